import assert from "node:assert/strict";
import { madeEvent, randomEvent, seeded } from "../../tests/made_events.ts";
import type { Config, SinkChoice } from "../config/config.ts";
import type { Outcome } from "../outcome.ts";
import type { Sink } from "../sinks/sink.ts";
import type { Subscription } from "../surface.ts";
import type { EncodedEvent } from "./encoded.ts";
import type { NewEvent } from "./event.ts";
import { EventPipeline, type PipelineOptions } from "./pipeline.ts";
import { EventStore } from "./store.ts";
import { WATCHER_EVENTS_MAX, WATCHERS_MAX } from "./watcher.ts";

type Events = Config["events"];

const CONFIG: Events = {
  ...{ foldSeconds: 0, queueMax: 10_000, sinks: [] },
  store: { hoursMax: 1e6, bytesMax: 1e8 },
};

/** What a test gets: a pipeline with a store in a directory of its own. */
interface Bench {
  readonly pipeline: EventPipeline;
  readonly store: EventStore;
  readonly dataDir: string;
}

async function withPipeline(
  config: Partial<Events>,
  test: (bench: Bench) => Promise<void>,
  options: Partial<PipelineOptions> = {},
): Promise<void> {
  const dataDir = Deno.makeTempDirSync({ prefix: "podskoop-pipeline-" });
  const store = new EventStore({ dataDir, hoursMax: 1e6, bytesMax: 1e8 });
  const pipeline = new EventPipeline({ config: { ...CONFIG, ...config }, store, ...options });
  try {
    await test({ pipeline, store, dataDir });
  } finally {
    await pipeline.close();
    Deno.removeSync(dataDir, { recursive: true });
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 2) {
    assert.ok(waited < 2_000, `Not within 2 seconds: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Events that differ, so that none folds. */
const numbered = (from: number, count: number): NewEvent[] =>
  Array.from({ length: count }, (_, index) => madeEvent({ message: `number ${from + index}` }));

const offerAll = ({ pipeline }: Bench, events: readonly NewEvent[]) => {
  for (const event of events) pipeline.offer(event);
};

/** Reads a stream to its end: the messages, and what was lost between them. */
async function read({ events }: Subscription): Promise<(string | number)[]> {
  const found: (string | number)[] = [];
  for await (const { event, lost } of events) found.push(event?.message ?? lost ?? NaN);
  return found;
}

/** A sink in memory; `fails` decides for each write how many of its events arrive. */
class MemorySink implements Sink {
  readonly arrived: EncodedEvent[] = [];
  closed = false;

  constructor(readonly fails: (count: number) => number = (count) => count) {}

  write(events: readonly EncodedEvent[]): Promise<number> {
    const count = this.fails(events.length);
    this.arrived.push(...events.slice(0, count));
    return Promise.resolve(count);
  }

  outcome(): Outcome {
    return { state: "working" };
  }

  reopen(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

const fileChoice = (path: string): SinkChoice => ({
  ...{ kind: "file", path, format: "json", bytesMax: 1e6, filesMax: 1 },
});

Deno.test("a watcher sees the first event at once, and the others as one", () =>
  withPipeline({ foldSeconds: 0.5 }, async (bench) => {
    const subscription = bench.pipeline.subscribe({});
    const reader = subscription.events.getReader();
    const begin = performance.now();
    for (let port = 40_001; port <= 40_023; port++) {
      bench.pipeline.offer(madeEvent({ destination: { address: "10.0.0.2", port } }));
    }
    const first = await reader.read();
    assert.ok(performance.now() - begin < 450, "The first took long");
    assert.deepEqual([first.value?.event?.count, first.value?.event?.destination?.port], [
      1,
      40001,
    ]);
    const second = await reader.read();
    assert.ok(performance.now() - begin >= 495, "The window ended early");
    const { count, destination } = second.value?.event ?? {};
    assert.deepEqual([count, destination?.port], [22, undefined]);
    await reader.cancel();
    assert.equal(bench.pipeline.counters().watchers, 0);
  }));

Deno.test("what waits in a window when the agent stops is delivered", async () => {
  const sink = new MemorySink();
  await withPipeline({ foldSeconds: 3_600, sinks: [fileChoice("a")] }, async (bench) => {
    for (let time = 0; time < 13; time++) bench.pipeline.offer(madeEvent());
    const watched = read(bench.pipeline.subscribe({}));
    await bench.pipeline.close();
    assert.deepEqual(sink.arrived.map(({ event }) => event.count), [1, 12]);
    assert.equal((await watched).length, 2);
    assert.deepEqual(bench.pipeline.counts().map(({ waiting }) => waiting), [0, 0, 0]);
    bench.pipeline.offer(madeEvent());
    assert.equal(bench.pipeline.counts()[0]?.lost, 1);
  }, { openSink: () => sink });
});

Deno.test("a watcher resumes after an event without gap or duplicate, while more come", () =>
  withPipeline({}, async (bench) => {
    // More than a watcher's queue holds, so that it still reads the store while more come.
    const before = 2 * WATCHER_EVENTS_MAX;
    offerAll(bench, numbered(0, before));
    await until("all are stored", () => bench.store.size().events === before);
    const after = bench.pipeline.query({ limit: 10_000 }).events[99]?.id ?? "";
    const subscription = bench.pipeline.subscribe({ after });
    const found: string[] = [];
    let next = before;
    const last = before + 10;
    for await (const { event } of subscription.events) {
      found.push(event?.message ?? "lost");
      if (found.length % 160 === 0 && next < last) {
        offerAll(bench, numbered(next++, 1));
        await until("it is stored", () => bench.store.size().events === next);
      }
      if (found.length === last - 100) break;
    }
    const expected = Array.from({ length: last - 100 }, (_, index) => `number ${100 + index}`);
    assert.deepEqual(found, expected);
  }));

Deno.test("a watcher with since begins with history, filtered as what follows", () =>
  withPipeline({}, async (bench) => {
    offerAll(bench, [
      madeEvent({ message: "long ago", time: "2024-01-01T00:00:00Z" }),
      madeEvent({ message: "another type", type: "PACKETLOSS" }),
      madeEvent({ message: "before" }),
    ]);
    await until("all are stored", () => bench.store.size().events === 3);
    const since = Date.parse("2025-01-01T00:00:00Z");
    const subscription = bench.pipeline.subscribe({ since, type: ["TCPRESET_NOSOCK"] });
    const found = read(subscription);
    await new Promise((resolve) => setTimeout(resolve, 5));
    offerAll(bench, [
      madeEvent({ message: "other", type: "PACKETLOSS" }),
      madeEvent({ message: "after" }),
    ]);
    await until("all are stored", () => bench.store.size().events === 5);
    subscription.close();
    assert.deepEqual(await found, ["before", "after"]);
  }));

Deno.test("a watcher that does not read loses only its own, and is told how many, in place", () =>
  withPipeline({}, async (bench) => {
    const slow = bench.pipeline.subscribe({});
    const fast = read(bench.pipeline.subscribe({}));
    for (let from = 0; from < 2_000; from += 250) {
      offerAll(bench, numbered(from, 250));
      await until("they are stored", () => bench.store.size().events === from + 250);
    }
    const reader = slow.events.getReader();
    const found: (string | number)[] = [];
    for (let count = 0; count <= WATCHER_EVENTS_MAX; count++) {
      const { value } = await reader.read();
      found.push(value?.event?.message ?? value?.lost ?? NaN);
    }
    assert.equal(found[WATCHER_EVENTS_MAX - 1], `number ${WATCHER_EVENTS_MAX - 1}`);
    assert.equal(found[WATCHER_EVENTS_MAX], 2_000 - WATCHER_EVENTS_MAX);
    offerAll(bench, numbered(2_000, 1));
    assert.equal((await reader.read()).value?.event?.message, "number 2000");
    assert.equal(bench.pipeline.counters().watchersLost, 2_000 - WATCHER_EVENTS_MAX);
    await bench.pipeline.close();
    assert.equal((await fast).length, 2_001);
  }));

Deno.test("watchers are bounded, and the one too many is told", () =>
  withPipeline({}, ({ pipeline }) => {
    const all = Array.from({ length: WATCHERS_MAX }, () => pipeline.subscribe({}));
    assert.throws(() => pipeline.subscribe({}), /256 watchers already/);
    assert.equal(pipeline.counters().watchersRefused, 1);
    all[0]?.close();
    all[0]?.close();
    pipeline.subscribe({}).close();
    assert.throws(() => pipeline.subscribe({ after: "x" }), { name: "RangeError" });
    return Promise.resolve();
  }));

Deno.test("a full queue loses what comes then, and counts it", () =>
  withPipeline({ queueMax: 10 }, async (bench) => {
    offerAll(bench, numbered(0, 23));
    assert.deepEqual(bench.pipeline.counts(), [{
      ...{ probe: "tcpreset", stage: "queue", produced: 23, delivered: 0, lost: 13, waiting: 10 },
    }]);
    await until("ten are stored", () => bench.store.size().events === 10);
  }));

Deno.test("the kernel's totals are the first two stages", () =>
  withPipeline({}, ({ pipeline }) => {
    pipeline.addKernel("tcpreset", { produced: 50, limited: 10, ringFull: 5 });
    pipeline.addKernel("tcpreset", { produced: 100, limited: 30, ringFull: 7 });
    const probe = "tcpreset";
    assert.deepEqual(pipeline.counts(), [
      { probe, stage: "kernel_limit", produced: 100, delivered: 70, lost: 30, waiting: 0 },
      { probe, stage: "ring", produced: 70, delivered: 63, lost: 7, waiting: 0 },
    ]);
    return Promise.resolve();
  }));

Deno.test("a change of the configuration touches only the sinks that are different", async () => {
  const opened: MemorySink[] = [];
  const openSink = () => opened[opened.push(new MemorySink()) - 1] ?? new MemorySink();
  const names = ({ pipeline }: Bench) => pipeline.sinkStatus().map(({ name }) => name);
  await withPipeline({ sinks: [fileChoice("a"), fileChoice("b")] }, async (bench) => {
    assert.deepEqual(names(bench), ["file", "file-2"]);
    const sinks = [fileChoice("b"), { kind: "stderr", format: "text" } as const, fileChoice("c")];
    await bench.pipeline.configure({ ...CONFIG, sinks });
    assert.deepEqual(names(bench), ["file-2", "stderr", "file"]);
    assert.deepEqual(opened.map(({ closed }) => closed), [true, false, false, false]);
    offerAll(bench, numbered(0, 3));
    await bench.pipeline.close();
    assert.deepEqual(opened.map(({ arrived }) => arrived.length), [0, 3, 3, 3]);
  }, { openSink });
});

Deno.test("events come out of a real file as they went in, and reopening is asked of it", () =>
  withPipeline({}, async (bench) => {
    const path = `${bench.dataDir}/events.log`;
    await bench.pipeline.configure({ ...CONFIG, sinks: [fileChoice(path)] });
    offerAll(bench, numbered(0, 7));
    await until("they are written", () => bench.pipeline.sinkStatus()[0]?.delivered === 7);
    Deno.renameSync(path, `${path}.moved`);
    bench.pipeline.reopen();
    offerAll(bench, numbered(7, 4));
    await until("they are written", () => bench.pipeline.sinkStatus()[0]?.delivered === 11);
    const lines = (each: string) => Deno.readTextFileSync(each).trimEnd().split("\n");
    const found = [...lines(`${path}.moved`), ...lines(path)].map((line) => JSON.parse(line));
    assert.deepEqual(found, bench.pipeline.query({}).events);
    assert.equal(lines(path).length, 4);
  }));

Deno.test("produced = delivered + lost at every stage, whatever fails", async () => {
  for (let seed = 1; seed <= 6; seed++) await storm(seed);
});

/**
 * Random events against a small queue, few windows, failing sinks and a store that comes and goes.
 */
async function storm(seed: number): Promise<void> {
  const random = seeded(seed);
  const flaky = () =>
    new MemorySink((count) => random() < 0.5 ? Math.floor(random() * (count + 1)) : count);
  const sinks: MemorySink[] = [];
  const openSink = () => sinks[sinks.push(flaky()) - 1] ?? flaky();
  const dataDir = Deno.makeTempDirSync({ prefix: "podskoop-storm-" });
  const blocked = `${dataDir}/store`;
  if (seed % 2 === 0) Deno.writeTextFileSync(blocked, "");
  const start = Date.now();
  // A clock that runs quickly, so that the back-off passes within the test.
  const now = () => start + (Date.now() - start) * 500;
  const store = new EventStore({ dataDir: blocked, hoursMax: 1e6, bytesMax: 1e8, now });
  const config = {
    ...{ ...CONFIG, foldSeconds: 0.05, queueMax: 50 },
    sinks: [fileChoice("a"), fileChoice("b")],
  };
  const pipeline = new EventPipeline({ config, store, openSink });
  const kinds = Array.from({ length: 30 }, () => randomEvent(random));
  const offered = new Map<string, number>();
  for (let round = 0; round < 20; round++) {
    for (let count = Math.floor(random() * 120); count > 0; count--) {
      const event = kinds[Math.floor(random() * kinds.length)] ?? madeEvent();
      const made = random() < 0.5 ? event : { ...event, message: `other ${count} ${round}` };
      pipeline.offer(made);
      offered.set(made.probe, (offered.get(made.probe) ?? 0) + made.count);
    }
    for (const { stage, probe, ...counted } of pipeline.counts()) {
      assert.ok(counted.waiting >= 0, `${stage} ${probe} ${JSON.stringify(counted)}`);
    }
    if (round === 10 && seed % 4 === 0) Deno.removeSync(blocked);
    await new Promise((resolve) => setTimeout(resolve, random() * 10));
  }
  await pipeline.close();
  check(pipeline, offered, sinks, `seed ${seed}`);
  if (seed % 4 === 2) assert.ok(store.stage.sum().delivered === 0, "The store was blocked");
  Deno.removeSync(dataDir, { recursive: true });
}

function check(
  pipeline: EventPipeline,
  offered: ReadonlyMap<string, number>,
  sinks: readonly MemorySink[],
  seed: string,
): void {
  const counts = pipeline.counts();
  const sum = (stage: string, what: "produced" | "delivered" | "lost") =>
    counts.filter((each) => each.stage === stage).reduce((all, each) => all + each[what], 0);
  for (const { probe, stage, produced, delivered, lost, waiting } of counts) {
    assert.equal(waiting, 0, `${seed}: ${stage} ${probe}`);
    assert.equal(produced, delivered + lost, `${seed}: ${stage} ${probe}`);
    if (stage === "queue") assert.equal(produced, offered.get(probe), `${seed}: ${probe}`);
  }
  assert.ok(sum("queue", "lost") > 0, `${seed}: the queue was never full`);
  for (const stage of ["store", "file", "file-2"]) {
    assert.equal(sum(stage, "produced"), sum("queue", "delivered"), `${seed}: ${stage}`);
  }
  for (const [index, stage] of ["file", "file-2"].entries()) {
    const events = sinks[index]?.arrived.map(({ event }) => event) ?? [];
    const arrived = events.reduce((all, { count }) => all + count, 0);
    assert.equal(arrived, sum(stage, "delivered"), `${seed}: ${stage}`);
    assert.equal(new Set(events.map(({ id }) => id)).size, events.length, `${seed}: ${stage}`);
  }
}
