import assert from "node:assert/strict";
import { openRouteSocket } from "./libc.ts";
import { LostWorkers, WORKERS_LOST_MAX } from "./lost_workers.ts";
import { PROGRESS_SOCKETS, PROGRESS_STATE, STOP } from "./visit.ts";

const IDLE = "data:text/javascript,self.onmessage = () => {}";

/** As many Workers as a test wants, ended after it. */
async function withWorkers(count: number, test: (workers: readonly Worker[]) => void) {
  const workers = Array.from({ length: count }, () => new Worker(IDLE, { type: "module" }));
  try {
    await test(workers);
  } finally {
    for (const worker of workers) worker.terminate();
  }
}

function progressOf(...sockets: readonly number[]): SharedArrayBuffer {
  const progress = new SharedArrayBuffer(4 * (PROGRESS_SOCKETS + sockets.length));
  new Int32Array(progress, 4 * PROGRESS_SOCKETS).set(sockets);
  return progress;
}

function isOpen(descriptor: number): boolean {
  try {
    Deno.readLinkSync(`/proc/self/fd/${descriptor}`);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("Workers that hang fill the room until they come back; all that were are counted", () =>
  withWorkers(WORKERS_LOST_MAX, (workers) => {
    const lost = new LostWorkers();
    for (const worker of workers) {
      assert.equal(lost.isFull, false);
      lost.addHung(worker, progressOf());
    }
    assert.deepEqual([lost.hung, lost.total, lost.isFull], [8, 8, true]);
    const [first, second] = workers;
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(lost.hangs(first), true);
    lost.release(first, false);
    lost.release(first, false);
    assert.equal(lost.hangs(first), false);
    assert.deepEqual([lost.hung, lost.ended, lost.total, lost.isFull], [7, 0, 8, false]);
    // One that dies instead of coming back still takes room, for a while.
    lost.release(second, true);
    assert.deepEqual([lost.hung, lost.ended], [6, 1]);
    lost.close();
    assert.equal(lost.hung, 0);
  }));

Deno.test("Workers that ended count for a minute", () =>
  withWorkers(WORKERS_LOST_MAX, (workers) => {
    let now = 1_000;
    const lost = new LostWorkers(() => now);
    for (const worker of workers) lost.addEnded(worker);
    assert.deepEqual([lost.ended, lost.isFull], [8, true]);
    now += 59_999;
    assert.equal(lost.isFull, true);
    now++;
    assert.deepEqual([lost.ended, lost.isFull, lost.total], [0, false, 8]);
  }));

Deno.test("a Worker that hangs is told to stop, and what it opens then is closed, too", () =>
  withWorkers(1, ([worker]) => {
    assert.ok(worker !== undefined);
    const lost = new LostWorkers();
    const [one, other] = [openRouteSocket(), openRouteSocket()];
    const progress = progressOf(one, -13, 0);
    lost.addHung(worker, progress);
    assert.equal(Atomics.load(new Int32Array(progress), PROGRESS_STATE), STOP);
    assert.deepEqual([isOpen(one), isOpen(other)], [false, true]);
    Atomics.store(new Int32Array(progress), PROGRESS_SOCKETS + 2, other);
    lost.release(worker, false);
    assert.equal(isOpen(other), false);
  }));
