import assert from "node:assert/strict";
import { RescanBudget, RESCANS_PER_SECOND_MAX } from "./rescans.ts";

Deno.test("rescans are granted ten times a second, whoever asks", () => {
  const budget = new RescanBudget();
  const granted = Array.from({ length: 13 }, (_, key) => budget.take(BigInt(key), 5.5));
  assert.equal(granted.filter(Boolean).length, RESCANS_PER_SECOND_MAX);
  assert.equal(budget.take(99n, 6), true);
  assert.deepEqual(budget.counts, { granted: 11, refused: 3 });
});

Deno.test("rescans in vain are granted less and less often, to at most every 30 s", () => {
  const budget = new RescanBudget();
  const granted: number[] = [];
  for (let now = 0; now < 200; now += 0.25) if (budget.take(7n, now)) granted.push(now);
  assert.deepEqual(granted.slice(0, 8), [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5]);
  budget.found(7n);
  assert.equal(budget.take(7n, 200), true);
});
