/**
 * Softirqs on this machine's kernel: a tc program holds a CPU for a known time with each of a known
 * number of packets, and the agent must say how often, how long, and who waited behind it. How
 * often softirqs run is compared with the kernel's own counters. A node has one set of softirqs,
 * and others make some too, so that what a test has made is told by its time.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { Burn } from "./burn.ts";
import { AgentUnderTest, eventually, Lab, type SeenEvent, sleep } from "./lab.ts";

const PORT = 5009;
const ALL_VECTORS = 1_023;
/** A burn is over at the next look at the clock; interrupts and a hypervisor make it longer. */
const SLACK_MS = 25;
/** Of the timer that a burn starts, which goes off a millisecond later. */
const TIMER_SLACK_MS = 10;

function config(vectors: number): string {
  return `events: {foldSeconds: 1}\nprobes:\n  netsoftirq: ` +
    `{metrics: true, events: true, vectors: ${vectors}, events_per_second: 10000}\n`;
}

async function send(lab: Lab, address: string, packets: number): Promise<void> {
  for (let sent = 0; sent < packets; sent++) {
    await lab.inside(lab.left.name, "bash", "-c", `echo -n x > /dev/udp/${address}/${PORT}`);
    await sleep(100); // the timer has gone off by then, also where ksoftirqd had to wait
  }
}

function sum(events: readonly SeenEvent[]): number {
  return events.reduce((all, { count }) => all + count, 0);
}

/** What burns of `ms` milliseconds made: runs of net_rx, and waits of the timer behind them. */
async function burnt(agent: AgentUnderTest, ms: number, wanted: number) {
  const isBurn = (time: unknown) => Number(time) >= ms && Number(time) < ms + SLACK_MS;
  const look = async () => {
    const events = await agent.events("");
    const runs = events.filter(({ type, attributes }) =>
      type === (ms > 100 ? "NETSOFTIRQ_EXCUTE_100MS" : "NETSOFTIRQ_EXCUTE_SLOW") &&
      attributes["vector"] === "net_rx" && isBurn(attributes["latency_ms"])
    );
    // How long a wait goes on after the burn is up to who else wants the CPU.
    const waits = events.filter(({ type, attributes }) =>
      type.startsWith("NETSOFTIRQ_SCHED_") && attributes["vector"] === "hrtimer" &&
      attributes["behind"] === "net_rx" && isBurn(attributes["behind_ms"]) &&
      Number(attributes["latency_ms"]) >= ms - TIMER_SLACK_MS
    );
    return { runs, waits };
  };
  return await eventually(
    look,
    ({ runs, waits }) => sum(runs) >= wanted && sum(waits) >= wanted,
    10_000,
  );
}

for (const [ms, packets] of [[37, 7], [137, 5]] as const) {
  Deno.test(`softirq sees runs of ${ms} ms, and the timers that wait behind them`, async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start({ config: config(ALL_VECTORS) });
    await using _burn = await Burn.on(lab.right, "ingress", ms);
    let total = 0;
    for (const address of [lab.right.v4, lab.right.v6]) {
      total += packets;
      await send(lab, address, packets);
      const { runs, waits } = await burnt(agent, ms, total);
      equal(sum(runs), total);
      equal(sum(waits), total);
      deepEqual(cpus(runs), cpus(waits), "a timer waits on the CPU that started it");
      for (const { process, attributes } of runs) {
        equal(process?.comm, attributes["ksoftirqd"] ? `ksoftirqd/${attributes["cpu"]}` : "bash");
      }
    }
    await sleep(1_500);
    const metrics = await agent.metrics();
    for (const [stage, kind] of [["run", "EXCUTE"], ["wait", "SCHED"]] as const) {
      const very = sum(await agent.events(`type=NETSOFTIRQ_${kind}_100MS`));
      const slow = sum(await agent.events(`type=NETSOFTIRQ_${kind}_SLOW`));
      equal(metrics.sum(`podskoop_softirq_${stage}_slow_total`), slow + very);
      equal(metrics.sum(`podskoop_softirq_${stage}_slow_100ms_total`), very);
    }
  });
}

/** How often each CPU is in the events. */
function cpus(events: readonly SeenEvent[]): readonly number[] {
  const counts: number[] = Array(navigator.hardwareConcurrency).fill(0);
  for (const { attributes, count } of events) {
    const cpu = Number(attributes["cpu"]);
    counts[cpu] = (counts[cpu] ?? 0) + count;
  }
  return counts;
}

/** The kernel's own counters, by vector and CPU. */
async function kernels(): Promise<ReadonlyMap<string, number>> {
  const [head = "", ...lines] = (await Deno.readTextFile("/proc/softirqs")).trimEnd().split("\n");
  const names = head.trim().split(/\s+/).map((cpu) => cpu.slice("CPU".length));
  return new Map(lines.flatMap((line) => {
    const [vector = "", ...counts] = line.trim().split(/\s+/);
    return counts.map((value, index) =>
      [`${vector.slice(0, -1).toLowerCase()} ${names[index]}`, Number(value)] as const
    );
  }));
}

Deno.test("softirq counts on each CPU what the kernel counts there", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({ config: config(ALL_VECTORS) });
  await lab.traffic(lab.left, "udp", lab.right.v4, PORT, 3);
  const [before, first, early] = [await kernels(), await agent.metrics(), await kernels()];
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.traffic(lab.left, "udp", address, PORT, 997);
  }
  const [late, last, after] = [await kernels(), await agent.metrics(), await kernels()];
  let received = 0;
  for (const key of before.keys()) {
    const [vector = "", cpu = ""] = key.split(" ");
    const at = (metrics: typeof first, name: string) =>
      metrics.sum(`podskoop_softirq_${name}`, { vector, cpu }) ?? 0;
    const runs = (metrics: typeof first) => at(metrics, "run_seconds_count");
    const between = (one: ReadonlyMap<string, number>, two: ReadonlyMap<string, number>) =>
      (two.get(key) ?? 0) - (one.get(key) ?? 0);
    const ours = runs(last) - runs(first);
    const [least, most] = [between(early, late), between(before, after)];
    // A run that goes on while we look is in the kernel's count and not yet in ours.
    ok(ours >= least - 1 && ours <= most + 1, `${key}: ${ours} is not from ${least} to ${most}`);
    if (vector === "net_rx") received += least;
    const timed = at(last, "wait_seconds_count") + at(last, "untimed_total");
    ok(Math.abs(timed - runs(last)) <= 1, `${key}: ${timed} entries, ${runs(last)} exits`);
  }
  ok(received > 0, "packets were received, and no softirq for it was compared");
  equal(last.sum("podskoop_softirq_refused_total") ?? 0, 0);
});

Deno.test("softirq looks at the network's vectors, and is silent while all goes well", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start({
    config: "events: {foldSeconds: 1}\nprobes: {softirq: true}\n",
  });
  for (const address of [lab.right.v4, lab.right.v6]) {
    await lab.background(lab.right, "serve", address, PORT, 31);
    await lab.traffic(lab.left, "orderly", address, PORT, 31, 100);
  }
  await sleep(5_000);
  const { text } = await agent.metrics();
  const vectors = new Set(
    [...text.matchAll(/podskoop_softirq_run_seconds_count\{.*vector="(\w+)"/g)]
      .map(([, vector]) => vector),
  );
  ok(vectors.has("net_rx"));
  vectors.delete("net_tx"); // which not every machine has
  deepEqual([...vectors], ["net_rx"]);
  deepEqual((await agent.events("")).filter(({ probe }) => probe === "softirq"), []);
});
