/**
 * How long data waits in sockets, on this machine's kernel: readers that sleep, and a window that
 * is closed. What the kernel side says must be as long as it was made, of each call, and of no
 * other.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { AgentUnderTest, eventually, Lab, type Node, type SeenEvent, sleep } from "./lab.ts";

/** How long a machine that has other things to do may take for what it does at once. */
const PATIENCE_MS = 8_000;
/** What takes longer was made to; nothing here waits for that long by itself. */
const SLOW_MS = 500;
const FAMILIES = ["v4", "v6"] as const;
const CONFIG = "events: {foldSeconds: 1}\n" +
  `probes: {socketlatency: {metrics: true, events: true, slow_ns: ${SLOW_MS}000000}}\n`;

interface Calls {
  readonly all: number;
  readonly slow: number;
  readonly untimed: number;
}

async function calls(
  agent: AgentUnderTest,
  at: Node,
  operation: "read" | "write",
  protocol: "tcp" | "udp",
): Promise<Calls> {
  const metrics = await agent.metrics();
  const value = (name: string, more = {}) =>
    metrics.sum(`podskoop_socketlatency_${name}`, { pod: at.name, operation, protocol, ...more }) ??
      0;
  const all = value("wait_seconds_count");
  return {
    all,
    slow: all - value("wait_seconds_bucket", { le: "0.5" }),
    untimed: value("untimed_total"),
  };
}

/** The figures once they are what is wanted, which they must stay. */
async function expectCalls(
  wanted: Calls,
  ...of: readonly [AgentUnderTest, Node, "read" | "write", "tcp" | "udp"]
): Promise<void> {
  const fits = (found: Calls) => JSON.stringify(found) === JSON.stringify(wanted);
  await eventually(() => calls(...of), fits, PATIENCE_MS);
  await sleep(200);
  const [agent, at, ...which] = of;
  const found = await calls(...of);
  if (fits(found)) return;
  const report = await agent.report(/socketlatency/);
  throw new Error(`${which} of ${at.name}: ${JSON.stringify(found)}\n${report}`);
}

async function expectEvents(
  agent: AgentUnderTest,
  at: Node,
  type: string,
  wanted: number,
): Promise<readonly SeenEvent[]> {
  const seen = await eventually(
    () => agent.events(`type=${type}&pod=${at.name}`),
    (events) => events.length >= wanted,
    PATIENCE_MS,
  );
  deepEqual(seen.map(({ count }) => count), Array(wanted).fill(1));
  return seen;
}

/** When what each read took had arrived, in ms. */
function arrivals(events: readonly SeenEvent[]): readonly number[] {
  return events.map(({ time, attributes }) => Date.parse(time) - Number(attributes["latency_ms"]))
    .sort((a, b) => a - b);
}

for (const protocol of ["tcp", "udp"] as const) {
  Deno.test(`socketlatency has each ${protocol} read's own wait, and no idle time`, async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start({ config: CONFIG });
    const suffix = protocol === "tcp" ? "" : "-udp";
    // The reader begins to read when what came first has been there for 2.9 s.
    await Promise.all(FAMILIES.map(async (family) => {
      const right = lab.right[family];
      await lab.background(lab.right, `sleeper${suffix}`, right, 7101, 5, 2_900);
      await lab.traffic(lab.left, `spaced${suffix}`, right, 7101, 5, 200);
    }));
    await expectCalls({ all: 12, slow: 10, untimed: 0 }, agent, lab.right, "read", protocol);
    const seen = await expectEvents(agent, lab.right, "SOCKETLAT_READSLOW", 10);
    for (const family of FAMILIES) {
      const of = seen.filter(({ source }) => source?.address === lab.right[family]);
      equal(of.length, 5);
      const longest = Math.max(...of.map(({ attributes }) => Number(attributes["latency_ms"])));
      ok(longest > 2_900 && longest < 9_000, `${longest} ms is not what the reader slept`);
      // However late a process is, what it sends 200 ms apart does not come closer together.
      arrivals(of).reduce((before, at) => {
        ok(at - before > 195, `${arrivals(of)} were not 200 ms apart`);
        return at;
      }, 0);
    }
    for (const { source, destination, network, process, pod } of seen) {
      deepEqual([source?.port, network.transport], [7101, protocol]);
      const left = source?.address === lab.right.v4 ? lab.left.v4 : lab.left.v6;
      equal(destination?.address, protocol === "tcp" ? left : undefined);
      deepEqual([process?.comm, pod?.name], ["deno", lab.right.name]);
    }
    await expectCalls({ all: 0, slow: 0, untimed: 0 }, agent, lab.left, "read", protocol);
    equal((await agent.events(`type=SOCKETLAT_SENDSLOW&pod=${lab.left.name}`)).length, 0);
  });
}

Deno.test("socketlatency has a time for each read of a long queue, and none too long", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  const began = Date.now();
  for (const [suffix, port] of [["", 7104], ["-udp", 7105]] as const) {
    await lab.background(lab.right, `sleeper${suffix}`, lab.right.v4, port, 101, 1_500);
  }
  await Promise.all([
    lab.traffic(lab.left, "spaced", lab.right.v4, 7104, 101, 0),
    lab.traffic(lab.left, "spaced-udp", lab.right.v4, 7105, 101, 0),
  ]);
  for (const protocol of ["tcp", "udp"] as const) {
    const wanted = { all: 102, slow: 101, untimed: 0 };
    await expectCalls(wanted, agent, lab.right, "read", protocol);
    const metrics = await agent.metrics();
    const of = { pod: lab.right.name, operation: "read", protocol };
    const mean = (metrics.sum("podskoop_socketlatency_wait_seconds_sum", of) ?? 0) / 102;
    const most = (Date.now() - began) / 1_000;
    ok(mean > 0.9 && mean < most, `${mean} s is no mean of waits of 1.5 s`);
  }
});

Deno.test("socketlatency shows how long a closed window keeps what is sent", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  await Promise.all(FAMILIES.map(async (family) => {
    const right = lab.right[family];
    await lab.background(lab.right, "narrow", right, 7102, 1_500);
    await lab.traffic(lab.left, "crowd", right, 7102, 7, 20_000);
  }));
  // Of 8 calls on each connection, the first one's first byte goes out at once.
  await expectCalls({ all: 16, slow: 14, untimed: 0 }, agent, lab.left, "write", "tcp");
  const seen = await expectEvents(agent, lab.left, "SOCKETLAT_SENDSLOW", 14);
  for (const { source, destination, network, process, attributes } of seen) {
    const [left, right] = source?.address === lab.left.v4
      ? [lab.left.v4, lab.right.v4]
      : [lab.left.v6, lab.right.v6];
    deepEqual([source?.address, destination?.address], [left, right]);
    deepEqual([destination?.port, network.transport], [7102, "tcp"]);
    equal(process?.comm, "deno");
    const ms = Number(attributes["latency_ms"]);
    ok(ms > 1_000 && ms < 6_000, `${ms} ms is not what the window was closed for`);
  }
});

Deno.test("socketlatency says nothing of questions and answers, and of an idle hour", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: CONFIG });
  await Promise.all(FAMILIES.map(async (family) => {
    const right = lab.right[family];
    await lab.background(lab.right, "echo", right, 7103, 101);
    await lab.traffic(lab.left, "ask", right, 7103, 101, 3_000);
  }));
  for (const node of lab.nodes) {
    for (const operation of ["read", "write"] as const) {
      await expectCalls({ all: 202, slow: 0, untimed: 0 }, agent, node, operation, "tcp");
    }
    for (const type of ["SOCKETLAT_READSLOW", "SOCKETLAT_SENDSLOW"]) {
      equal((await agent.events(`type=${type}&pod=${node.name}`)).length, 0);
    }
  }
});
