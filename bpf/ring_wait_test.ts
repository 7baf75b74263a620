import { ok, strictEqual } from "node:assert/strict";
import { RingWait } from "./ring_wait.ts";
import { onKernel, produce, withCounting } from "./testdata/lab.ts";

/** Longer than any test waits. */
const LONG_MILLISECONDS = 20_000;
/** Long enough that a wait has begun, even on a busy machine. */
const BEGUN_MILLISECONDS = 100;
const RING_BYTES = 4_096;

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

onKernel("a record ends a wait at once, before it and after it, each time", async (pinDir) => {
  await withCounting(pinDir, RING_BYTES, async (counting) => {
    await using waiting = new RingWait();
    const ring = counting.ring("events");
    let taken = 0;
    for (let round = 0; round < 7; round++) {
      const before = round % 2 === 0;
      if (before) produce(counting, "produce_events", round, 3);
      const wait = waiting.wait([ring], LONG_MILLISECONDS);
      if (!before) {
        await sleep(BEGUN_MILLISECONDS);
        produce(counting, "produce_events", round, 3);
      }
      strictEqual(await wait, true);
      taken += ring.drain(() => {}, 1_000);
    }
    strictEqual(taken, 21);
  });
});

onKernel("a wait for rings without a record ends when its time is over", async (pinDir) => {
  await withCounting(pinDir, RING_BYTES, async (counting) => {
    await using waiting = new RingWait();
    const began = performance.now();
    strictEqual(await waiting.wait([counting.ring("events")], 31), false);
    // Timers are a little early at times.
    ok(performance.now() - began > 28);
  });
});

Deno.test("whoever wakes a wait ends it, or the next one, and no other", async () => {
  await using waiting = new RingWait();
  const wait = waiting.wait([], LONG_MILLISECONDS);
  waiting.wake();
  strictEqual(await wait, true);
  waiting.wake();
  strictEqual(await waiting.wait([], LONG_MILLISECONDS), true);
  strictEqual(await waiting.wait([], 1), false);
});

Deno.test("a wait that is disposed of has ended, and there is no other", async () => {
  const waiting = new RingWait();
  let ended = false;
  void waiting.wait([], LONG_MILLISECONDS).then(() => {
    ended = true;
  });
  await waiting[Symbol.asyncDispose]();
  await Promise.resolve();
  ok(ended);
  strictEqual(await waiting.wait([], LONG_MILLISECONDS), false);
  await waiting[Symbol.asyncDispose]();
});
