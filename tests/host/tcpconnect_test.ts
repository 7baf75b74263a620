/**
 * Connections on this machine's kernel: a known number is made, made slowly, or not made, and the
 * agent must say that number, how long it took, why, and agree with the kernel's own counters.
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

/** How long a machine that has other things to do may take for what it does at once. */
const PATIENCE_MS = 15_000;

/** Without the prefix that all of them have. */
type Name =
  | "handshake_seconds_count"
  | "handshake_seconds_sum"
  | "slow_total"
  | "connections_total"
  | "attempts_total"
  | "failures_total"
  | "srtt_seconds_count";

async function value(
  agent: AgentUnderTest,
  at: Node,
  name: Name,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const metrics = await agent.metrics();
  return metrics.sum(`podskoop_tcpconnect_${name}`, { pod: at.name, ...labels }) ?? 0;
}

/** The value once it is `wanted`, which it must stay. */
async function expectValue(
  agent: AgentUnderTest,
  at: Node,
  name: Name,
  wanted: number,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  const what = `${name} of ${at.name}`;
  await expectFigure(() => value(agent, at, name, labels), wanted, what, PATIENCE_MS);
}

/** Counters of the kernel's in a namespace, which has only what the test has made. */
async function nstat(lab: Lab, at: Node, ...names: string[]): Promise<readonly number[]> {
  const text = await lab.inside(at.name, "nstat", "-asz", ...names);
  return names.map((name) => Number(new RegExp(`^${name}\\s+(\\d+)\\s`, "m").exec(text)?.[1]));
}

async function expectEvents(
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
  return seen;
}

/** Has the right end of a lab do as an nftables rule says with what comes in. */
async function rule(lab: Lab, text: string): Promise<void> {
  await lab.inside(lab.right.name, "nft", "flush", "ruleset");
  await lab.inside(lab.right.name, "nft", "add table inet lab");
  const chain = "add chain inet lab lost { type filter hook input priority 0; }";
  await lab.inside(lab.right.name, "nft", chain);
  await lab.inside(lab.right.name, "nft", `add rule inet lab lost ${text}`);
}

Deno.test("tcpconnect counts and times what is made, at both ends, and says nothing", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.background(lab.right, "serve", address, 7001, 37);
    await lab.traffic(lab.left, "orderly", address, 7001, 37, 5_000);
  }
  await sleep(3_000);
  for (const [node, role] of [[lab.left, "connect"], [lab.right, "accept"]] as const) {
    await expectValue(agent, node, "handshake_seconds_count", 74);
    await expectValue(agent, node, "handshake_seconds_count", 74, { role });
    await expectValue(agent, node, "connections_total", 74, { role });
    await expectValue(agent, node, "slow_total", 0);
    await expectValue(agent, node, "srtt_seconds_count", 74);
    await expectValue(agent, node, "failures_total", 0);
    const mean = await value(agent, node, "handshake_seconds_sum") / 74;
    ok(mean > 0.000_001 && mean < 0.01, `${mean} s is no handshake over a cable`);
  }
  await expectValue(agent, lab.left, "attempts_total", 74);
  await expectValue(agent, lab.right, "attempts_total", 0);
  deepEqual(await nstat(lab, lab.left, "TcpActiveOpens"), [74]);
  deepEqual(await nstat(lab, lab.right, "TcpPassiveOpens"), [74]);
  for (const { name } of lab.nodes) {
    for (const type of ["TCPCONNECT_SLOW", "TCPCONNECT_FAILED"]) {
      equal((await agent.events(`type=${type}&pod=${name}`)).length, 0);
    }
  }
});

Deno.test("tcpconnect shows what a lost SYN costs, and whose process waited", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  let total = 0;
  for (const [family, bytes] of [["v4", 60], ["v6", 80]] as const) {
    const [left, right] = [lab.left[family], lab.right[family]];
    await rule(lab, `tcp dport 7002 tcp flags syn quota ${bytes * 13 + 1} bytes drop`);
    await lab.background(lab.right, "serve", right, 7002, 13);
    await lab.traffic(lab.left, "knock", right, 7002, 13, 2_000);
    total += 13;
    await expectValue(agent, lab.left, "slow_total", total, { role: "connect" });
    const seen = await expectEvents(
      ...[agent, lab.left, "TCPCONNECT_SLOW", 13] as const,
      ({ source }) => source?.address === left,
    );
    for (const { destination, attributes, process, network } of seen) {
      deepEqual([destination?.address, destination?.port], [right, 7002]);
      equal(network.transport, "tcp");
      equal(process?.comm, "deno");
      equal(attributes["role"], "connect");
      equal(attributes["retransmits"], 1);
      const ms = Number(attributes["latency_ms"]);
      ok(ms > 990 && ms < 1_300, `${ms} ms is not the first timeout of a SYN`);
    }
  }
  await expectValue(agent, lab.right, "handshake_seconds_count", 26, { role: "accept" });
  await expectValue(agent, lab.right, "slow_total", 0);
});

Deno.test("tcpconnect shows where it accepts what a lost answer to a SYN-ACK costs", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  let total = 0;
  for (const [family, bytes] of [["v4", 52], ["v6", 72]] as const) {
    const [left, right] = [lab.left[family], lab.right[family]];
    const answers = "tcp dport 7003 tcp flags & (syn | ack) == ack";
    await rule(lab, `${answers} quota ${bytes * 7 + 1} bytes drop`);
    await lab.background(lab.right, "serve", right, 7003, 7);
    await lab.traffic(lab.left, "knock", right, 7003, 7, 2_500);
    total += 7;
    await expectValue(agent, lab.right, "slow_total", total, { role: "accept" });
    await expectValue(agent, lab.right, "handshake_seconds_count", total, { role: "accept" });
    const seen = await expectEvents(
      ...[agent, lab.right, "TCPCONNECT_SLOW", 7] as const,
      ({ source }) => source?.address === right,
    );
    for (const { source, destination, attributes } of seen) {
      deepEqual([source?.port, destination?.address], [7003, left]);
      deepEqual([attributes["role"], attributes["retransmits"]], ["accept", 1]);
      const ms = Number(attributes["latency_ms"]);
      ok(ms > 990 && ms < 1_300, `${ms} ms is not the first timeout of a SYN-ACK`);
    }
    await expectValue(agent, lab.left, "handshake_seconds_count", total, { role: "connect" });
  }
  await expectValue(agent, lab.left, "slow_total", 0);
});

Deno.test("tcpconnect calls slow what its parameter says, at either end", async () => {
  await using lab = await Lab.create();
  const config = "events: {foldSeconds: 1}\nprobes: {tcpconnect: {slow_ns: 1000}}\n";
  await using agent = await AgentUnderTest.start({ config });
  for (const family of ["v4", "v6"] as const) {
    const [left, right] = [lab.left[family], lab.right[family]];
    await lab.background(lab.right, "serve", right, 7004, 11);
    await lab.traffic(lab.left, "orderly", right, 7004, 11, 100);
    for (
      const [node, role, from] of [
        [lab.left, "connect", left],
        [lab.right, "accept", right],
      ] as const
    ) {
      const seen = await expectEvents(
        ...[agent, node, "TCPCONNECT_SLOW", 11] as const,
        ({ source, attributes }) => source?.address === from && attributes["role"] === role,
      );
      for (const { source, destination, pod, process } of seen) {
        equal(role === "connect" ? destination?.port : source?.port, 7004);
        equal(destination?.address, role === "connect" ? right : left);
        equal(pod?.name, node.name);
        equal(process === undefined, role === "accept");
      }
    }
  }
});

Deno.test("tcpconnect tells why connections are not made, IPv4 and IPv6", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const inside = (...settings: string[]) => lab.inside(lab.left.name, "sysctl", "-qw", ...settings);
  await inside("net.ipv4.tcp_syn_retries=1");
  // Linux 6.5 and later send some more each second first; before, there is no such setting.
  await inside("-e", "net.ipv4.tcp_syn_linear_timeouts=0");
  // One message a second for each that it is for would be the kernel's way.
  await lab.inside(lab.right.name, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0");
  await lab.inside(lab.right.name, "sysctl", "-qw", "net.ipv6.icmp.ratelimit=0");
  const unreachable = "tcp dport 7006 reject with icmpx type host-unreachable";
  const drop = "tcp dport 7006 drop";
  const faults = [
    { rule: "counter", how: "refused", ms: 0, reason: "refused", error: "ECONNREFUSED", count: 29 },
    { rule: drop, how: "knock", ms: 4_000, reason: "timeout", error: "ETIMEDOUT", count: 17 },
    {
      ...{ rule: unreachable, how: "knock", ms: 2_000, reason: "unreachable" },
      ...{ error: "EHOSTUNREACH", count: 19 },
    },
    { rule: drop, how: "knock", ms: 0, reason: "abandoned", error: "none", count: 23 },
  ];
  let [times, all] = [0, 0];
  for (const family of ["v4", "v6"] as const) {
    const [left, right] = [lab.left[family], lab.right[family]];
    times += 1;
    for (const { rule: text, how, ms, reason, error, count } of faults) {
      await rule(lab, text);
      await lab.traffic(lab.left, how, right, 7006, count, ms);
      all += count;
      await expectValue(agent, lab.left, "failures_total", count * times, { reason, error });
      await expectValue(agent, lab.left, "failures_total", all);
      const seen = await expectEvents(
        ...[agent, lab.left, "TCPCONNECT_FAILED", count] as const,
        ({ source, attributes }) => source?.address === left && attributes["reason"] === reason,
      );
      for (const { destination, attributes, process } of seen) {
        deepEqual([destination?.address, destination?.port], [right, 7006]);
        equal(attributes["error"] ?? "none", error);
        equal(attributes["role"], "connect");
        equal(process?.comm, "deno");
      }
    }
  }
  // One port for twenty connections to one place.
  await inside("net.ipv4.ip_local_port_range=40000 40000");
  await rule(lab, drop);
  await lab.traffic(lab.left, "knock", lab.right.v4, 7006, 20, 0);
  await expectValue(agent, lab.left, "failures_total", 19, { reason: "no_port", error: "none" });
  await expectValue(agent, lab.left, "attempts_total", all + 20);
  await expectValue(agent, lab.left, "connections_total", 0);
  await expectValue(agent, lab.right, "failures_total", 0);
});

Deno.test("tcpconnect says that a port was in use, where a process had chosen it", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const { left, right } = lab;
  for (const [family, count] of [["v4", 7], ["v6", 11]] as const) {
    await lab.background(right, "serve", right[family], 7010, 1);
    await lab.traffic(left, "again", right[family], 7010, count, 41_010);
  }
  await expectValue(agent, left, "failures_total", 18, { reason: "no_port", error: "none" });
  await expectValue(agent, left, "failures_total", 18);
  await expectValue(agent, left, "connections_total", 2);
  await expectValue(agent, left, "attempts_total", 20);
});
