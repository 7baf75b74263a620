/**
 * Packets that take long through this machine's kernel: a netfilter queue holds a known number of
 * them for a known time where they are received, sent and forwarded. This kernel allows no fentry,
 * so that only the ends of their ways are seen; tests/vm/ has the stages.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import {
  AgentUnderTest,
  eventually,
  expectFigure,
  Lab,
  type Node,
  type SeenEvent,
  sleep,
} from "./lab.ts";

const CONFIG = "events: {foldSeconds: 1}\nprobes:\n" +
  "  kernellatency: {metrics: true, events: true, events_per_second: 10000, slow_ns: 100000000}\n";
const HELD_MS = 137;
/** How much longer a packet is held on a machine that has other things to do. */
const SLACK_MS = 900;
/** How long such a machine may take for what it does at once. */
const PATIENCE_MS = 15_000;
const QUEUE = 7;

type Name =
  | "rx_slow_100ms_total"
  | "tx_slow_100ms_total"
  | "forward_slow_100ms_total"
  | "seconds_count";

async function value(
  agent: AgentUnderTest,
  at: Node,
  name: Name,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const metrics = await agent.metrics();
  return metrics.sum(`podskoop_kernellatency_${name}`, { pod: at.name, ...labels }) ?? 0;
}

/** The value once it is `wanted`, which it must stay. */
async function expectValue(
  agent: AgentUnderTest,
  at: Node,
  name: Name,
  wanted: number,
): Promise<void> {
  const what = `${name} of ${at.name}`;
  await expectFigure(() => value(agent, at, name), wanted, what, PATIENCE_MS);
}

/** The events of one direction and family: that many, each as long as it was held. */
async function expectHeld(
  agent: AgentUnderTest,
  at: Node,
  type: string,
  wanted: number,
  fits: (event: SeenEvent) => boolean,
): Promise<readonly SeenEvent[]> {
  const sum = (events: readonly SeenEvent[]) => events.reduce((all, { count }) => all + count, 0);
  const seen = await eventually(
    async () => (await agent.events(`type=${type}&pod=${at.name}`)).filter(fits),
    (events) => sum(events) >= wanted,
    PATIENCE_MS,
  );
  equal(sum(seen), wanted);
  for (const { attributes } of seen) {
    const ms = Number(attributes["latency_ms"]);
    ok(ms >= HELD_MS && ms < HELD_MS + SLACK_MS, `${ms} ms is not how long it was held`);
  }
  return seen;
}

const FAMILIES = [["v4", "iptables"], ["v6", "ip6tables"]] as const;

/** Has packets at a hook wait in the queue. */
async function queue(lab: Lab, at: Node, hook: string, ...what: string[]): Promise<void> {
  for (const [, tool] of FAMILIES) {
    const target = ["-j", "NFQUEUE", "--queue-num", String(QUEUE)];
    await lab.inside(at.name, tool, "-A", hook, ...what, ...target);
  }
}

Deno.test("kernellatency shows what is held on its way to a socket, UDP and TCP", async () => {
  await using lab = await Lab.create();
  await queue(lab, lab.right, "INPUT", ..."-p udp --dport 5012".split(" "));
  await queue(lab, lab.right, "INPUT", ..."-p tcp --dport 5013 --tcp-flags PSH PSH".split(" "));
  await lab.hold(lab.right, QUEUE, HELD_MS);
  await patient(lab);
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  let all = 0;
  for (const [family, datagrams, connections] of [["v4", 7, 3], ["v6", 5, 2]] as const) {
    const [left, right] = [lab.left[family], lab.right[family]];
    await lab.background(lab.right, "sink", right, 5012);
    await lab.background(lab.right, "serve", right, 5013, connections);
    await lab.traffic(lab.left, "udp", right, 5012, datagrams);
    await lab.traffic(lab.left, "pieces", right, 5013, connections, 0);
    all += datagrams + connections;
    await expectValue(agent, lab.right, "rx_slow_100ms_total", all);
    for (
      const [transport, port, wanted] of [
        ["udp", 5012, datagrams],
        ["tcp", 5013, connections],
      ] as const
    ) {
      const seen = await expectHeld(
        ...[agent, lab.right, "RXKERNEL_SLOW", wanted] as const,
        ({ network, source }) => network.transport === transport && source?.address === left,
      );
      for (const { destination, attributes } of seen) {
        deepEqual([destination?.address, destination?.port], [right, port]);
        equal(attributes["direction"], "receive");
      }
    }
  }
  equal(await value(agent, lab.left, "rx_slow_100ms_total"), 0);
  equal((await agent.events(`type=TXKERNEL_SLOW&pod=${lab.left.name}`)).length, 0);
});

/** Has TCP wait longer for what is held than it is held, also while the machine is busy. */
async function patient(lab: Lab): Promise<void> {
  await lab.inside(lab.left.name, "sysctl", "-qw", "net.ipv4.tcp_early_retrans=0");
  for (const address of [lab.right.v4, lab.right.v6]) {
    const route = [address, "dev", "cable0", "rto_min", "9s"];
    await lab.inside(lab.left.name, "ip", "route", "add", ...route);
  }
}

Deno.test("kernellatency shows what is held on its way from a socket, and between", async () => {
  await using lab = await Lab.create();
  await patient(lab);
  await queue(lab, lab.left, "OUTPUT", ..."-p tcp --dport 5014 --tcp-flags PSH PSH".split(" "));
  await lab.hold(lab.left, QUEUE, HELD_MS);
  await forwarding(lab);
  await queue(lab, lab.right, "FORWARD", ..."-p udp --dport 5015".split(" "));
  await lab.hold(lab.right, QUEUE, HELD_MS);
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  let [out, through] = [0, 0];
  for (
    const [family, far, count] of [["v4", "10.204.9.77", 5], ["v6", "fd00:204:9::77", 3]] as const
  ) {
    const [left, right] = [lab.left[family], lab.right[family]];
    await lab.background(lab.right, "serve", right, 5014, count);
    await lab.traffic(lab.left, "pieces", right, 5014, count, 0);
    out += count;
    await expectValue(agent, lab.left, "tx_slow_100ms_total", out);
    const sent = await expectHeld(
      ...[agent, lab.left, "TXKERNEL_SLOW", count] as const,
      ({ source }) => source?.address === left,
    );
    for (const { destination, network, attributes } of sent) {
      deepEqual([destination?.address, destination?.port], [right, 5014]);
      deepEqual([network.transport, network.interface], ["tcp", "cable0"]);
      equal(attributes["direction"], "transmit");
    }
    await lab.traffic(lab.left, "udp", far, 5015, count + 8);
    through += count + 8;
    await expectValue(agent, lab.right, "forward_slow_100ms_total", through);
    const passed = await expectHeld(
      ...[agent, lab.right, "RXKERNEL_SLOW", count + 8] as const,
      ({ source }) => source?.address === left,
    );
    for (const { destination, network, attributes } of passed) {
      deepEqual([destination?.address, destination?.port], [far, 5015]);
      deepEqual([network.transport, network.interface], ["udp", "sink0"]);
      equal(attributes["direction"], "forward");
    }
  }
  equal(await value(agent, lab.right, "rx_slow_100ms_total"), 0);
});

/** The right end forwards to a net of its own, where one address has a known neighbour. */
async function forwarding(lab: Lab): Promise<void> {
  const { name, v4, v6 } = lab.right;
  const ip = async (at: Node, ...args: string[]) => void await lab.inside(at.name, "ip", ...args);
  await ip(lab.right, ..."link add sink0 type veth peer name sink1".split(" "));
  for (const device of ["sink0", "sink1"]) {
    await lab.inside(name, "sysctl", "-qw", `net.ipv6.conf.${device}.router_solicitations=0`);
    await ip(lab.right, "link", "set", device, "up");
  }
  const settings = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
  await lab.inside(name, "sysctl", "-qw", ...settings);
  for (
    const [net, own, via, far] of [
      ["10.204.9.0/24", "10.204.9.1/24", v4, "10.204.9.77"],
      ["fd00:204:9::/64", "fd00:204:9::1/64", v6, "fd00:204:9::77"],
    ] as const
  ) {
    await ip(lab.right, "address", "add", own, "dev", "sink0");
    const neighbour = ["lladdr", "02:00:00:00:00:77", "dev", "sink0"];
    await ip(lab.right, "neighbour", "add", far, ...neighbour);
    await ip(lab.left, "route", "add", net, "via", via);
  }
}

/** Packets that wait in a namespace's netfilter queues. */
async function waiting(lab: Lab, at: Node): Promise<number> {
  const text = await lab.inside(at.name, "cat", "/proc/net/netfilter/nfnetlink_queue");
  return text.trim().split("\n").reduce(
    (sum, line) => sum + Number(line.trim().split(/\s+/)[2]),
    0,
  );
}

Deno.test("kernellatency gives up packets that have no end for too long", async () => {
  await using lab = await Lab.create();
  const { left, right } = lab;
  await queue(lab, right, "INPUT", ..."-p udp --dport 5018".split(" "));
  const holder = await lab.hold(right, QUEUE, 0);
  const config = CONFIG.replace(" slow_ns", " timeout_ns: 1000000000, slow_ns");
  await using agent = await AgentUnderTest.start({ config });
  for (const port of [5018, 5019]) {
    for (const family of ["v4", "v6"] as const) {
      await lab.background(right, "sink", right[family], port);
    }
  }
  holder.kill("SIGSTOP");
  await lab.traffic(left, "udp", right.v4, 5018, 53);
  await lab.traffic(left, "udp", right.v6, 5018, 44);
  equal(await waiting(lab, right), 97);
  await sleep(1_100);
  // One of 4,096 sets of places is looked through for each packet that comes 0.2 ms later or more.
  await lab.inside(left.name, "ping", "-qc4400", "-i0.001", right.v4);
  const metrics = await agent.metrics();
  const givenUp = metrics.sum("podskoop_kernellatency_given_up_total") ?? 0;
  ok(givenUp >= 97, `${givenUp} are fewer than 97`);
  holder.kill("SIGCONT");
  equal(await eventually(() => waiting(lab, right), (packets) => packets === 0, PATIENCE_MS), 0);
  // They have no time any more, and what comes after them has one.
  await lab.traffic(left, "udp", right.v4, 5019, 4);
  await lab.traffic(left, "udp", right.v6, 5019, 3);
  const received = () => value(agent, right, "seconds_count", { direction: "receive" });
  await expectFigure(received, 7, `packets that ${right.name} received`, PATIENCE_MS);
});

Deno.test("kernellatency has no time of one packet for another that comes later", async () => {
  await using lab = await Lab.create();
  const config = CONFIG.replace("100000000", "1000000000");
  await using agent = await AgentUnderTest.start({ config });
  for (let round = 0; round < 3; round++) {
    for (const address of [lab.right.v4, lab.right.v6]) {
      await lab.background(lab.right, "serve", address, 5016, 31);
      await lab.traffic(lab.left, "orderly", address, 5016, 31, 20_000);
      await lab.traffic(lab.left, "refused", address, 5017, 17);
      await lab.traffic(lab.left, "udp", address, 5017, 97);
      await lab.inside(lab.left.name, "ping", "-qc3", "-i0.2", address);
    }
    await sleep(2_500);
  }
  for (const [at, direction] of [[lab.left, "transmit"], [lab.right, "receive"]] as const) {
    const packets = await value(agent, at, "seconds_count", { direction });
    ok(packets > 6 * 31, `${packets} packets are too few for six times 31 connections`);
  }
  for (const { name } of lab.nodes) {
    deepEqual(await agent.events(`type=RXKERNEL_SLOW&pod=${name}`), []);
    deepEqual(await agent.events(`type=TXKERNEL_SLOW&pod=${name}`), []);
  }
});
