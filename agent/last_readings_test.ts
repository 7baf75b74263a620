import { deepStrictEqual } from "node:assert/strict";
import { AGE_SECONDS_MAX, LastReadings } from "./last_readings.ts";
import type { NetnsReading } from "./namespaces/reader.ts";

const READ: NetnsReading = { files: {}, errors: {} };
const LATE: NetnsReading = { error: "too slow", late: true };
const FAILED: NetnsReading = { error: "EPERM", late: false };
const because = "too slow";

function noted(last: LastReadings, seconds: number, readings: Record<number, NetnsReading>) {
  const all = new Map(Object.entries(readings).map(([inum, found]) => [Number(inum), found]));
  const namespaces = [1, 2, 3].map((inum) => ({ inum, cookie: BigInt(inum + 100) }));
  return Object.fromEntries(last.note(namespaces, all, seconds * 1000));
}

Deno.test("a late namespace has the age of its last reading, up to the next", () => {
  const last = new LastReadings();
  deepStrictEqual(noted(last, 5, { 1: READ, 2: LATE, 3: FAILED }), { 2: { because } });
  deepStrictEqual(noted(last, 20, { 1: LATE, 2: READ }), { 1: { because, ageSeconds: 15 } });
  deepStrictEqual(noted(last, 35.5, { 1: LATE, 2: LATE, 3: LATE }), {
    1: { because, ageSeconds: 30.5 },
    2: { because, ageSeconds: 15.5 },
    3: { because },
  });
  deepStrictEqual(noted(last, 50, { 1: READ }), {});
  deepStrictEqual(noted(last, 51, { 1: LATE }), { 1: { because, ageSeconds: 1 } });
});

Deno.test("values that are too old are shown no more, nor after a collection without them", () => {
  const last = new LastReadings();
  noted(last, 0, { 1: READ, 2: READ, 3: READ });
  deepStrictEqual(noted(last, AGE_SECONDS_MAX, { 1: LATE, 2: FAILED }), {
    1: { because, ageSeconds: AGE_SECONDS_MAX },
  });
  deepStrictEqual(noted(last, AGE_SECONDS_MAX + 0.001, { 1: LATE, 2: LATE, 3: LATE }), {
    1: { because },
    2: { because },
    3: { because },
  });
});

Deno.test("another namespace of the number has no age, one whose cookie is in doubt has", () => {
  for (const [cookie, ageSeconds] of [[101n, 2], [0n, 2], [7n, undefined]] as const) {
    const last = new LastReadings();
    noted(last, 1, { 1: READ });
    const late = last.note([{ inum: 1, cookie }], new Map([[1, LATE]]), 3000).get(1);
    deepStrictEqual(late, { because, ...(ageSeconds === undefined ? {} : { ageSeconds }) });
  }
});
