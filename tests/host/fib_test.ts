/**
 * Missing routes on this machine's kernel: a known number of packets and connections has no way to
 * go, and the agent must say that number, whose they were, and where they were to go.
 */
import { deepEqual, equal } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab, type Node, run, type SeenEvent, sleep } from "./lab.ts";

const FAILURES = "podskoop_fib_failures_total";
const PATIENCE_MS = 20_000;

type Labels = Readonly<Record<string, string>>;

/** What the agent has counted in a namespace, once it is `wanted` and stays so. */
async function expectFailures(agent: AgentUnderTest, at: Node, labels: Labels, wanted: number) {
  const look = async () => (await agent.metrics()).sum(FAILURES, { pod: at.name, ...labels }) ?? 0;
  equal(await eventually(look, (value) => value >= wanted, PATIENCE_MS), wanted);
  await sleep(300);
  equal(await look(), wanted); // and no more come later
}

/** A counter of the kernel's in a namespace, which has only what the test has made. */
async function nstat(lab: Lab, at: Node, name: string): Promise<number> {
  const text = await lab.inside(at.name, "nstat", "-asz", name);
  return Number(new RegExp(`^${name}\\s+(\\d+)\\s`, "m").exec(text)?.[1]);
}

/** Events about packets of a family to a port, once they stand for as many as wanted. */
async function eventsTo(
  agent: AgentUnderTest,
  at: Node,
  to: { family: string; port: number | undefined },
  wanted: number,
): Promise<readonly SeenEvent[]> {
  const seen = await eventually(
    async () =>
      (await agent.events(`type=FIB_NOROUTE&pod=${at.name}`)).filter(({ destination }) =>
        destination?.port === to.port &&
        destination?.address.includes(":") === (to.family === "ipv6")
      ),
    (events) => occurrences(events) >= wanted,
    PATIENCE_MS,
  );
  equal(occurrences(seen), wanted);
  return seen;
}

function occurrences(events: readonly SeenEvent[]): number {
  return events.reduce((sum, { count }) => sum + count, 0);
}

/** `count` addresses from one whose last part is a number on. */
function addressesFrom(first: string, count: number): readonly string[] {
  const [, head = "", last = ""] = /^(.*[.:])([0-9a-f]+)$/.exec(first) ?? [];
  const base = first.includes(":") ? 16 : 10;
  const at = Number.parseInt(last, base);
  return Array.from({ length: count }, (_, index) => head + (at + index).toString(base)).sort();
}

Deno.test("fib counts what processes send without a route, as OutNoRoutes does", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  for (
    const [family, first, counter, datagrams, connections] of [
      ["ipv4", "192.0.2.101", "IpOutNoRoutes", 23, 11],
      ["ipv6", "2001:db8:77::101", "Ip6OutNoRoutes", 29, 13],
    ] as const
  ) {
    const before = await nstat(lab, lab.left, counter);
    await lab.traffic(lab.left, "sweep", first, 4201, datagrams);
    await lab.traffic(lab.left, "knock", first, 4202, connections, 0);
    const wanted = datagrams + connections;
    equal(await nstat(lab, lab.left, counter) - before, wanted);
    const labels = { family, result: "no_route", direction: "sent" };
    await expectFailures(agent, lab.left, labels, wanted);

    const seen = await eventsTo(agent, lab.left, { family, port: 4201 }, datagrams);
    const addresses = seen.map(({ destination }) => destination?.address ?? "").sort();
    deepEqual(addresses, addressesFrom(first, datagrams));
    for (const { network, process, attributes } of seen) {
      equal(network.transport, "udp");
      equal(process?.comm, "deno");
      deepEqual(attributes, { result: "no_route", direction: "sent" });
    }
    for (
      const { destination, network } of await eventsTo(
        agent,
        lab.left,
        { family, port: 4202 },
        connections,
      )
    ) {
      equal(destination?.address, first);
      equal(network.transport, "tcp");
    }
  }
  await expectFailures(agent, lab.left, {}, 23 + 11 + 29 + 13);
  await expectFailures(agent, lab.right, {}, 0);
});

Deno.test("fib counts what a router has no route for, in the router's namespace", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const forwarding = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
  await lab.inside(lab.right.name, "sysctl", "-qw", ...forwarding);
  for (
    const [family, net, to, counter, via, count] of [
      ["ipv4", "10.204.8.0/24", "10.204.8.77", "IpExtInNoRoutes", lab.right.v4, 31],
      ["ipv6", "fd00:204:8::/64", "fd00:204:8::77", "Ip6InNoRoutes", lab.right.v6, 37],
    ] as const
  ) {
    await run("ip", "-n", lab.left.name, "route", "add", net, "via", via);
    const before = await nstat(lab, lab.right, counter);
    await lab.traffic(lab.left, "udp", to, 4203, count);
    const look = async () => await nstat(lab, lab.right, counter) - before;
    equal(await eventually(look, (value) => value >= count, PATIENCE_MS), count);
    const labels = { family, result: "no_route", direction: "received" };
    await expectFailures(agent, lab.right, labels, count);
    // Where no rule asks for them, IPv6 looks a route up without ports.
    const port = family === "ipv4" ? 4203 : undefined;
    const [seen] = await eventsTo(agent, lab.right, { family, port }, count);
    equal(seen?.destination?.address, to);
    equal(seen?.source?.address, family === "ipv4" ? lab.left.v4 : lab.left.v6);
    equal(seen?.network.transport, "udp");
    equal(seen?.process, undefined);
  }
  await expectFailures(agent, lab.left, {}, 0);
});

/**
 * Nets with a route of each type that forbids the way, and how many addresses of each are tried.
 */
const FORBIDDEN = [
  {
    family: "ipv4",
    net: "198.51.100.32/27",
    first: "198.51.100.33",
    type: "unreachable",
    count: 11,
  },
  { family: "ipv4", net: "198.51.100.64/27", first: "198.51.100.65", type: "prohibit", count: 13 },
  { family: "ipv4", net: "198.51.100.96/27", first: "198.51.100.97", type: "blackhole", count: 17 },
  {
    family: "ipv6",
    net: "2001:db8:5::/64",
    first: "2001:db8:5::1",
    type: "unreachable",
    count: 19,
  },
  { family: "ipv6", net: "2001:db8:6::/64", first: "2001:db8:6::1", type: "prohibit", count: 23 },
  { family: "ipv6", net: "2001:db8:7::/64", first: "2001:db8:7::1", type: "blackhole", count: 29 },
] as const;

Deno.test("fib tells routes that forbid the way apart, in a namespace with rules too", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const { name } = lab.left;
  await run("ip", "-n", name, "-4", "rule", "add", "preference", "100", "lookup", "77");
  await run("ip", "-n", name, "-6", "rule", "add", "preference", "100", "lookup", "77");
  for (const { family, net, first, type, count } of FORBIDDEN) {
    const ip = family === "ipv4" ? "-4" : "-6";
    await run("ip", "-n", name, ip, "route", "add", type, net, "table", "77");
    await lab.traffic(lab.left, "sweep", first, 4204, count);
    await expectFailures(agent, lab.left, { family, result: type, direction: "sent" }, count);
  }
  // Which table is the last is not known there, so what no table knows is left to `ip`.
  await lab.traffic(lab.left, "sweep", "192.0.2.101", 4205, 7);
  equal(await nstat(lab, lab.left, "IpOutNoRoutes"), 7);
  await expectFailures(agent, lab.left, {}, 11 + 13 + 17 + 19 + 23 + 29);
});

Deno.test("fib tells apart what a router's routes forbid, in the router's namespace", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const { left, right } = lab;
  const forwarding = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
  await lab.inside(right.name, "sysctl", "-qw", ...forwarding);
  for (const { family, net, first, type, count } of FORBIDDEN) {
    const [ip, via] = family === "ipv4" ? ["-4", right.v4] as const : ["-6", right.v6] as const;
    await run("ip", "-n", right.name, ip, "route", "add", type, net);
    await run("ip", "-n", left.name, ip, "route", "add", net, "via", via);
    await lab.traffic(left, "sweep", first, 4206, count);
    await expectFailures(agent, right, { family, result: type, direction: "received" }, count);
  }
  const ipv4 = await eventsTo(agent, right, { family: "ipv4", port: 4206 }, 11 + 13 + 17);
  deepEqual(
    [...new Set(ipv4.map(({ source, network }) => `${source?.address} ${network.transport}`))],
    [`${left.v4} udp`],
  );
  await expectFailures(agent, right, {}, 11 + 13 + 17 + 19 + 23 + 29);
  await expectFailures(agent, left, {}, 0);
});

Deno.test("fib is silent while every packet has a route", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.background(lab.right, "serve", address, 4206, 31);
    await lab.traffic(lab.left, "orderly", address, 4206, 31, 2_000);
    await lab.traffic(lab.left, "udp", address, 4207, 17);
  }
  for (const node of lab.nodes) await expectFailures(agent, node, {}, 0);
  equal(
    (await agent.events("type=FIB_NOROUTE")).filter(({ pod }) => pod?.name === lab.left.name)
      .length,
    0,
  );
});
