import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Column } from "./column.ts";

function valuesOf(column: Column): [number, number][] {
  const values: [number, number][] = [];
  column.forEach((owner, _labels, value) => values.push([owner, value]));
  return values;
}

for (const dense of [true, false]) {
  const kind = dense ? "dense" : "sparse";

  Deno.test(`a ${kind} column adds up, says what is new, and holds any number of owners`, () => {
    const column = new Column([], dense);
    strictEqual(column.add(3, 5), true);
    strictEqual(column.add(3, 6), false);
    strictEqual(column.add(70_001, 0), true);
    deepStrictEqual(valuesOf(column), [[3, 11], [70_001, 0]]);
  });

  Deno.test(`a ${kind} column is empty after clear, and forgets one owner at a time`, () => {
    const column = new Column([], dense);
    for (const owner of [0, 1, 2]) column.add(owner, owner);
    column.forget(1);
    deepStrictEqual(valuesOf(column), [[0, 0], [2, 2]]);
    column.clear();
    deepStrictEqual(valuesOf(column), []);
    strictEqual(column.add(2, 9), true);
    deepStrictEqual(valuesOf(column), [[2, 9]]);
  });

  Deno.test(`a ${kind} column keeps the values of some owners, and says how many`, () => {
    const column = new Column([], dense);
    for (const owner of [0, 1, 2, 3]) column.add(owner, owner + 0.5);
    const histogram = { counts: [2, 3], sum: 7 };
    column.observe(3, histogram);
    strictEqual(column.clear([1, 3, 70_001]), 3);
    const values = valuesOf(column).filter(([, value]) => !Number.isNaN(value));
    deepStrictEqual(values, [[1, 1.5], [3, 3.5]]);
    const found: unknown[] = [];
    column.forEach((owner, _labels, _value, kept) => kept && found.push([owner, kept]));
    deepStrictEqual(found, [[3, histogram]]);
    strictEqual(column.clear(), 0);
    deepStrictEqual(valuesOf(column), []);
  });

  Deno.test(`a ${kind} column never counts backwards, and starts anew for a new owner`, () => {
    const column = new Column([], dense);
    const next = (value: number) => {
      column.clear();
      column.add(0, value);
      column.neverLess();
      return valuesOf(column);
    };
    deepStrictEqual([next(10), next(4), next(6)], [[[0, 10]], [[0, 10]], [[0, 12]]]);
    column.forget(0);
    deepStrictEqual(next(1), [[0, 1]]);
  });
}

Deno.test("a column knows how long ago an owner's label set was seen", () => {
  const column = new Column(["eth0"], false);
  column.seen(1, 7);
  deepStrictEqual([column.admits(1), column.admits(2), column.unseen(1, 9)], [true, false, 2]);
});

Deno.test("a label set that many owners have goes on as an array, and loses none of them", () => {
  const column = new Column(["eth0"], false);
  const owners = Array.from({ length: 23 }, (_, index) => index * 2);
  for (const owner of owners) {
    column.seen(owner, 1);
    column.add(owner, owner + 0.5);
  }
  deepStrictEqual(valuesOf(column), owners.map((owner) => [owner, owner + 0.5]));
  strictEqual(owners.every((owner) => column.admits(owner)), true);
  deepStrictEqual([column.admits(1), column.admits(999), column.unseen(44, 5)], [false, false, 4]);
  column.seen(1_009, 2);
  column.add(1_009, 7);
  strictEqual(column.add(1_009, 1), false);
  strictEqual(column.admits(1_009), true);
  strictEqual(column.owners, 24);
  column.forget(2);
  column.forget(2);
  strictEqual(column.owners, 23);
  strictEqual(column.admits(2), false);
  deepStrictEqual(valuesOf(column).at(-1), [1_009, 8]);
  column.clear();
  strictEqual(column.owners, 23);
  for (const owner of [...owners, 1_009]) column.forget(owner);
  strictEqual(column.owners, 0);
});

Deno.test("a label set whose owners are far apart stays a map", () => {
  const column = new Column(["eth0"], false);
  for (let owner = 0; owner < 19; owner++) {
    column.seen(owner * 1_000, 1);
    column.add(owner * 1_000, 3);
  }
  strictEqual(valuesOf(column).length, 19);
  strictEqual(column.admits(18_000), true);
  column.clear();
  strictEqual(column.add(18_000, 3), true);
});
