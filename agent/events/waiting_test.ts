import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { WaitingEvents } from "./waiting.ts";

function unexpected(error: unknown): void {
  throw new Error(`Cannot be reached: ${error}`);
}

Deno.test("an event waits for its name, and is offered once", async () => {
  const waiting = new WaitingEvents();
  const offered: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  waiting.until(promise, () => offered.push(1), unexpected);
  strictEqual(waiting.size, 1);
  deepStrictEqual(offered, []);
  resolve();
  await promise.then(() => {}).then(() => {}).then(() => {});
  waiting.end();
  deepStrictEqual([offered, waiting.size], [[1], 0]);
});

Deno.test("what still waits at the end is offered then, in its order, and not again", async () => {
  const waiting = new WaitingEvents();
  const offered: number[] = [];
  const names = Array.from({ length: 7 }, () => Promise.withResolvers<void>());
  names.forEach(({ promise }, index) =>
    waiting.until(promise, () => offered.push(index), unexpected)
  );
  strictEqual(waiting.size, 7);
  waiting.end();
  deepStrictEqual([offered, waiting.size], [[0, 1, 2, 3, 4, 5, 6], 0]);
  for (const { resolve } of names) resolve();
  await Promise.all(names.map(({ promise }) => promise));
  await Promise.resolve();
  strictEqual(offered.length, 7);
});

Deno.test("an event whose name cannot be found is offered, and the reason told", async () => {
  const waiting = new WaitingEvents();
  const said: unknown[] = [];
  const done = Promise.withResolvers<void>();
  const because = new Error("the runtime does not answer");
  waiting.until(Promise.reject(because), () => done.resolve(), (error) => said.push(error));
  await done.promise;
  deepStrictEqual([said, waiting.size], [[because], 0]);
});
