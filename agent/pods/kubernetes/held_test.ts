import assert from "node:assert/strict";
import type { Holder } from "../../kubernetes/objects.ts";
import { Held } from "./held.ts";

const item = (uid: string, ...addresses: readonly string[]): Holder => ({ uid, addresses });

Deno.test("held finds by address, one that stays before those that leave", () => {
  const held = new Held<Holder>(10);
  held.put(item("a", "1", "2"));
  held.put({ ...item("b", "2"), leaving: true });
  assert.deepEqual(["1", "2", "3"].map((each) => held.byAddress(each)?.uid), ["a", "a", undefined]);
  held.put(item("c", "2"));
  assert.equal(held.byAddress("2"), undefined);
  held.remove("a");
  assert.deepEqual([held.byAddress("2")?.uid, held.byAddress("1")], ["c", undefined]);
  held.put(item("c", "3"));
  assert.deepEqual([held.byAddress("2")?.uid, held.byAddress("3")?.uid], ["b", "c"]);
});

Deno.test("held turns away what is above its bound, and counts it", () => {
  const held = new Held<Holder>(2);
  held.replace([item("a", "1"), item("b", "2"), item("c", "3")]);
  assert.deepEqual([held.size, held.refused, held.missing], [2, 1, 1]);
  held.put(item("b", "4"));
  assert.equal(held.byAddress("4")?.uid, "b");
  assert.equal(held.byAddress("3"), undefined);
  held.replace([item("c", "3")]);
  assert.deepEqual([held.size, held.refused, held.missing], [1, 1, 0]);
  assert.equal(held.byAddress("3")?.uid, "c");
});
