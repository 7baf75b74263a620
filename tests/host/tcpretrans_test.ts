/**
 * Retransmits on this machine's kernel: a known number of packets is lost on the way, the kernel
 * sends each again, and the agent must say that number, why, and agree with the kernel's counters.
 */
import { deepEqual, equal } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab, type Node, type SeenEvent, sleep } from "./lab.ts";

const PACKETS = "podskoop_tcpretrans_packets_total";
const SEGMENTS = "podskoop_tcpretrans_segments_total";
const FAILED = "podskoop_tcpretrans_failed_total";
/** How long a machine that has other things to do may take for what it does at once. */
const PATIENCE_MS = 15_000;
/** Bytes of the IP and TCP headers, the timestamp option included, before `pieces` puts 1,000. */
const HEADERS = { 4: 52, 6: 72 } as const;

type Counts = Readonly<Record<string, number>>;

/** What the agent has counted of a pod, by kind, once it is `wanted` or stays what it is. */
async function expectCounts(
  lab: Lab,
  agent: AgentUnderTest,
  at: Node,
  wanted: Counts,
): Promise<void> {
  const kinds = ["fast", "timeout", "tail_loss_probe", "syn", "synack"];
  const look = async () => {
    const metrics = await agent.metrics();
    const of = (kind: string) => metrics.sum(PACKETS, { pod: at.name, kind }) ?? 0;
    return Object.fromEntries(kinds.map((kind) => [kind, of(kind)]).filter(([, count]) => count));
  };
  const same = (counts: Counts) => JSON.stringify(counts) === JSON.stringify(wanted);
  await eventually(look, same, PATIENCE_MS);
  await sleep(300);
  const counts = await look();
  if (!same(counts)) {
    throw new Error(
      `Expected ${JSON.stringify(wanted)}, not ${JSON.stringify(counts)}; nstat has ` +
        `${await nstat(lab, at, "TcpRetransSegs")}:\n${await agent.report(/tcpretrans/)}`,
    );
  }
}

/** Counters of the kernel's in a namespace, which has only what the test has made. */
async function nstat(lab: Lab, at: Node, ...names: string[]): Promise<readonly number[]> {
  const text = await lab.inside(at.name, "nstat", "-asz", ...names);
  return names.map((name) => Number(new RegExp(`^${name}\\s+(\\d+)\\s`, "m").exec(text)?.[1]));
}

async function expectEvents(
  agent: AgentUnderTest,
  at: Node,
  kind: string,
  wanted: number,
  ends: { from: string; to: string; port: number },
): Promise<void> {
  const ofThese = ({ source, attributes }: SeenEvent) =>
    source?.address === ends.from && attributes["kind"] === kind;
  const sum = (events: readonly SeenEvent[]) => events.reduce((all, { count }) => all + count, 0);
  const seen = await eventually(
    async () => (await agent.events(`type=TCPRETRANS&pod=${at.name}`)).filter(ofThese),
    (events) => sum(events) >= wanted,
    PATIENCE_MS,
  );
  equal(sum(seen), wanted);
  for (const { source, destination, network, pod, attributes } of seen) {
    equal(pod?.name, at.name);
    equal(destination?.address, ends.to);
    equal(kind === "synack" ? source?.port : destination?.port, ends.port);
    equal(network.transport, "tcp");
    equal(attributes["segments"], 1);
    equal(attributes["length_bytes"], kind.startsWith("syn") ? 0 : 1_000);
    equal(
      attributes["state"],
      kind === "syn" ? "syn_sent" : kind === "synack" ? "new_syn_recv" : "established",
    );
  }
}

/** Has a namespace drop what comes in or goes out and fits the nftables expression. */
async function dropping(
  lab: Lab,
  at: Node,
  hook: "input" | "output",
  expression: string,
): Promise<void> {
  await lab.inside(at.name, "nft", "flush", "ruleset");
  await lab.inside(at.name, "nft", "add table inet lab");
  await lab.inside(
    at.name,
    "nft",
    `add chain inet lab lost { type filter hook ${hook} priority 0; }`,
  );
  await lab.inside(at.name, "nft", `add rule inet lab lost ${expression} counter drop`);
}

async function set(lab: Lab, at: Node, ...settings: string[]): Promise<void> {
  await lab.inside(at.name, "sysctl", "-qw", ...settings);
}

/** One more SYN after a second, and no other before the third. */
async function trySynTwice(lab: Lab): Promise<void> {
  await set(lab, lab.left, "net.ipv4.tcp_syn_retries=1");
  // Linux 6.5 and later send some more each second first; before, there is no such setting.
  await set(lab, lab.left, "-e", "net.ipv4.tcp_syn_linear_timeouts=0");
}

Deno.test("tcpretrans counts SYNs and SYN-ACKs that are sent again, IPv4 and IPv6", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await trySynTwice(lab);
  await set(lab, lab.right, "net.ipv4.tcp_synack_retries=1");
  let [syns, answers] = [0, 0];
  for (const family of ["v4", "v6"] as const) {
    const [left, right] = [lab.left[family], lab.right[family]];
    await dropping(lab, lab.right, "input", "tcp dport 6001");
    await lab.traffic(lab.left, "knock", right, 6001, 13, 2_000);
    syns += 13;
    await expectCounts(lab, agent, lab.left, { syn: syns });
    await expectEvents(agent, lab.left, "syn", 13, { from: left, to: right, port: 6001 });

    await dropping(lab, lab.left, "input", "tcp sport 6002");
    await lab.background(lab.right, "serve", right, 6002, 1);
    await lab.traffic(lab.left, "knock", right, 6002, 17, 0);
    answers += 17;
    const sent = () => nstat(lab, lab.right, "TcpRetransSegs");
    deepEqual(await eventually(sent, ([segments]) => segments === answers, PATIENCE_MS), [answers]);
    await expectCounts(lab, agent, lab.right, { synack: answers });
    await expectEvents(agent, lab.right, "synack", 17, { from: right, to: left, port: 6002 });
    await lab.inside(lab.left.name, "nft", "flush", "ruleset");
  }
  const names = ["TcpRetransSegs", "TcpExtTCPSynRetrans"];
  deepEqual(await nstat(lab, lab.left, ...names), [26, 26]);
  deepEqual(await nstat(lab, lab.right, ...names), [34, 34]);
});

Deno.test("tcpretrans tells timeouts, tail loss probes and fast retransmits apart", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const counts: Record<string, number> = { fast: 0, timeout: 0, tail_loss_probe: 0 };
  const faults = [
    { kind: "timeout", port: 6003, count: 5, more: 0, early: 0 },
    { kind: "tail_loss_probe", port: 6004, count: 7, more: 0, early: 3 },
    { kind: "fast", port: 6005, count: 11, more: 5, early: 0 },
  ] as const;
  for (const [family, bytes] of [["v4", HEADERS[4] + 1_000], ["v6", HEADERS[6] + 1_000]] as const) {
    const [left, right] = [lab.left[family], lab.right[family]];
    for (const { kind, port, count, more, early } of faults) {
      await set(lab, lab.left, `net.ipv4.tcp_early_retrans=${early}`);
      const quota = `quota ${bytes * count + 1} bytes`; // the last of them is still within
      await dropping(lab, lab.right, "input", `tcp dport ${port} meta length > 1000 ${quota}`);
      await lab.background(lab.right, "serve", right, port, count);
      await lab.traffic(lab.left, "pieces", right, port, count, more);
      counts[kind] = (counts[kind] ?? 0) + count;
      const wanted = Object.entries(counts).filter(([, value]) => value > 0);
      await expectCounts(lab, agent, lab.left, Object.fromEntries(wanted));
      await expectEvents(agent, lab.left, kind, count, { from: left, to: right, port });
    }
  }
  const names = ["TcpRetransSegs", "TcpExtTCPTimeouts", "TcpExtTCPLossProbes"];
  deepEqual(await nstat(lab, lab.left, ...names, "TcpExtTCPFastRetrans"), [46, 10, 14, 22]);
  equal((await agent.metrics()).sum(SEGMENTS, { pod: lab.left.name }), 46);
  equal((await agent.metrics("kubeskoop")).sum("kubeskoop_tcpretrans_total"), 46);
});

Deno.test("tcpretrans keeps apart what a rule kept from leaving the node", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  await trySynTwice(lab);
  await dropping(lab, lab.left, "output", "tcp dport 6006");
  await lab.traffic(lab.left, "knock", lab.right.v4, 6006, 19, 2_000);
  await lab.traffic(lab.left, "knock", lab.right.v6, 6006, 23, 2_000);
  const look = async () =>
    (await agent.metrics()).sum(FAILED, { pod: lab.left.name, kind: "syn" }) ?? 0;
  equal(await eventually(look, (value) => value >= 42, PATIENCE_MS), 42);
  await expectCounts(lab, agent, lab.left, {});
  deepEqual(await nstat(lab, lab.left, "TcpExtTCPRetransFail"), [42]);
});

Deno.test("tcpretrans is silent while nothing is lost", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.background(lab.right, "serve", address, 6007, 31);
    await lab.traffic(lab.left, "orderly", address, 6007, 31, 20_000);
  }
  await sleep(3_000);
  for (const node of lab.nodes) {
    await expectCounts(lab, agent, node, {});
    deepEqual(await nstat(lab, node, "TcpRetransSegs"), [0]);
  }
  equal((await agent.events("type=TCPRETRANS")).length, 0);
});
