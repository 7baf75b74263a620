import assert from "node:assert/strict";
import { madeEvent } from "../../tests/made_events.ts";
import { EncodedEvent } from "../events/encoded.ts";
import type { Outcome } from "../outcome.ts";
import { openSink } from "./open.ts";
import { SinkQueue } from "./queue.ts";
import type { Sink } from "./sink.ts";

const made = (from: number, count: number) =>
  Array.from(
    { length: count },
    (_, index) => EncodedEvent.of({ id: String(from + index), ...madeEvent() }),
  );

/** Waits until something holds; a test that waits for ever says for what. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 2) {
    assert.ok(waited < 2_000, `Not within 2 seconds: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A sink that does as it is told, and remembers. */
class MadeSink implements Sink {
  readonly arrived: string[] = [];
  takes: (count: number) => number | Promise<number> = (count) => count;
  opened = 0;
  closed = false;
  state: Outcome = { state: "working" };

  async write(events: readonly EncodedEvent[]): Promise<number> {
    const taken = await this.takes(events.length);
    this.arrived.push(...events.slice(0, taken).map(({ id }) => id));
    this.state = taken === events.length
      ? { state: "working" }
      : { state: "failed", because: "It is told to fail" };
    return taken;
  }

  outcome(): Outcome {
    return this.state;
  }

  reopen(): Promise<void> {
    this.opened++;
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

Deno.test("a queue delivers everything in order, and closes its sink", async () => {
  const sink = new MadeSink();
  const queue = new SinkQueue("made", sink);
  for (let from = 0; from < 1_000; from += 100) queue.push(made(from, 100));
  await queue.close();
  assert.deepEqual(sink.arrived, Array.from({ length: 1_000 }, (_, index) => String(index)));
  assert.deepEqual(queue.stage.sum(), { produced: 1_000, delivered: 1_000, lost: 0 });
  assert.deepEqual([sink.opened, sink.closed], [1, true]);
});

Deno.test("what a sink refuses comes again after a pause, once and in order", async () => {
  const sink = new MadeSink();
  let tries = 0;
  sink.takes = (count) => ++tries % 3 === 0 ? count : Math.min(count, tries % 2);
  const queue = new SinkQueue("made", sink, { retryMin: 1 });
  queue.push(made(0, 23));
  await until("all have arrived", () => sink.arrived.length === 23);
  assert.deepEqual(sink.arrived, Array.from({ length: 23 }, (_, index) => String(index)));
  assert.deepEqual(queue.stage.sum(), { produced: 23, delivered: 23, lost: 0 });
  await queue.close();
});

Deno.test("a sink that goes on failing loses what does not fit, in the end all", async () => {
  const sink = new MadeSink();
  sink.takes = () => 0;
  const queue = new SinkQueue("made", sink, { eventsMax: 10, retryMin: 10_000 });
  queue.push(made(0, 23));
  assert.deepEqual(queue.stage.sum(), { produced: 23, delivered: 0, lost: 13 });
  await until("it has failed", () => queue.outcome().state === "failed");
  await queue.close();
  assert.deepEqual(queue.stage.sum(), { produced: 23, delivered: 0, lost: 23 });
});

Deno.test("reopening tries again at once", async () => {
  const sink = new MadeSink();
  sink.takes = () => 0;
  const queue = new SinkQueue("made", sink, { retryMin: 60_000 });
  queue.push(made(0, 3));
  await until("it has failed", () => queue.outcome().state === "failed");
  sink.takes = (count) => count;
  queue.reopen();
  await until("all have arrived", () => sink.arrived.length === 3);
  assert.equal(sink.opened, 2);
  await queue.close();
});

Deno.test("a write that does not come back is called blocked until it does", async () => {
  const sink = new MadeSink();
  let release = (_count: number) => {};
  sink.takes = () =>
    new Promise<number>((resolve) => {
      release = resolve;
    });
  const queue = new SinkQueue("made", sink, { timeout: 5, eventsMax: 4 });
  queue.push(made(0, 3));
  queue.push(made(3, 2));
  await until("it is blocked", () => queue.outcome().state === "failed");
  assert.match(JSON.stringify(queue.outcome()), /nothing has been taken .*; 4 events wait/);
  sink.takes = (count) => count;
  release(3);
  await until("the rest has arrived", () => sink.arrived.length === 4);
  assert.deepEqual(queue.outcome(), { state: "working" });
  assert.deepEqual(queue.stage.sum(), { produced: 5, delivered: 4, lost: 1 });
  await queue.close();
});

Deno.test("a blocked write is given up when the queue closes, and not counted twice", async () => {
  const sink = new MadeSink();
  let release = (_count: number) => {};
  sink.takes = () =>
    new Promise<number>((resolve) => {
      release = resolve;
    });
  const queue = new SinkQueue("made", sink, { timeout: 5 });
  queue.push(made(0, 3));
  await queue.close();
  release(3);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(queue.stage.sum(), { produced: 3, delivered: 0, lost: 3 });
});

Deno.test("a sink that throws is a defect that costs its own events only", async () => {
  const sink = new MadeSink();
  sink.takes = () => {
    throw new Error("A defect");
  };
  const queue = new SinkQueue("made", sink, { retryMin: 10_000 });
  queue.push(made(0, 2));
  await new Promise((resolve) => setTimeout(resolve, 5));
  await queue.close();
  assert.deepEqual(queue.stage.sum(), { produced: 2, delivered: 0, lost: 2 });
});

Deno.test("a FIFO that nobody reads blocks nobody, and keeps it all for a reader", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "podskoop-fifo-" });
  const path = `${directory}/fifo`;
  assert.ok(new Deno.Command("mkfifo", { args: [path] }).outputSync().success);
  const sink = openSink({ kind: "file", path, format: "text", bytesMax: 1e6, filesMax: 1 });
  const queue = new SinkQueue("file", sink, { timeout: 50, eventsMax: 1_500 });
  const events = made(0, 2_003);
  const begin = performance.now();
  queue.push(events);
  assert.ok(performance.now() - begin < 400, "Pushing took long");
  await until("it is blocked", () => queue.outcome().state === "failed");
  const { lost } = queue.stage.sum();
  assert.equal(lost, 503);
  const reader = new Deno.Command("head", { args: ["-n", "1500", path], stdout: "piped" }).spawn();
  const { stdout } = await reader.output();
  await until("all has gone", () => queue.stage.sum().delivered === 1_500);
  const expected = events.slice(0, 1_500).map(({ textLine }) => new TextDecoder().decode(textLine));
  assert.equal(new TextDecoder().decode(stdout), expected.join(""));
  await queue.close();
  assert.deepEqual(queue.stage.sum(), { produced: 2_003, delivered: 1_500, lost: 503 });
  Deno.removeSync(directory, { recursive: true });
});

Deno.test("a full device fails, keeps its events, and loses them only at the end", async () => {
  const sink = openSink({
    ...{ kind: "file", path: "/dev/full", format: "json", bytesMax: 1e6, filesMax: 1 },
  });
  const queue = new SinkQueue("file", sink, { retryMin: 1 });
  queue.push(made(0, 7));
  await until("it has failed", () => queue.outcome().state === "failed");
  assert.match(JSON.stringify(queue.outcome()), /No space left on device/);
  assert.equal(queue.stage.sum().lost, 0);
  await queue.close();
  assert.deepEqual(queue.stage.sum(), { produced: 7, delivered: 0, lost: 7 });
});
