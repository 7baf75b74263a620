import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import type { Attached } from "./object.ts";
import { Ring } from "./ring.ts";
import {
  loadCounting,
  lostRecords,
  onKernel,
  openDescriptors,
  produce,
  withCounting,
} from "./testdata/lab.ts";

/** How the test probe makes record `number`: 12, 41 or 72 bytes. */
function expectedLength(number: number): number {
  return [12, 41, 72][number % 3] ?? 0;
}

/** Checks a record's every byte; returns its number. */
function checkRecord(view: DataView, offset: number, length: number): number {
  const number = view.getUint32(offset, true);
  strictEqual(length, expectedLength(number), `length of record ${number}`);
  for (let at = 4; at < length; at++) {
    const byte = view.getUint8(offset + at);
    if (byte !== number % 251) strictEqual(byte, number % 251, `byte ${at} of record ${number}`);
  }
  return number;
}

/** The numbers of the records that are not discarded, from `first` on. */
function kept(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => first + index).filter((n) => n % 7 !== 0);
}

function drainAll(counting: Attached, max = 1_000): readonly number[] {
  const numbers: number[] = [];
  const visit = (view: DataView, offset: number, length: number) => {
    numbers.push(checkRecord(view, offset, length));
  };
  while (counting.ring("events").drain(visit, max) === max);
  return numbers;
}

onKernel(
  "a ring of 4 KiB carries 3,001 records across its end, each byte right",
  async (pinDir) => {
    await withCounting(pinDir, 4_096, (counting) => {
      const numbers: number[] = [];
      for (let first = 0; first < 3_001; first += 47) {
        produce(counting, "produce_mixed", first, Math.min(47, 3_001 - first));
        numbers.push(...drainAll(counting, 11));
      }
      deepStrictEqual(numbers, kept(0, 3_001));
      strictEqual(lostRecords(counting), 0);
      strictEqual(counting.ring("events").backlog(), 0);
    });
  },
);

onKernel("what found no room is counted: produced is delivered and lost", async (pinDir) => {
  await withCounting(pinDir, 4_096, (counting) => {
    const numbers: number[] = [];
    const visit = (view: DataView, offset: number, length: number) => {
      strictEqual(length, 88);
      numbers.push(view.getUint32(offset + 8, true));
    };
    produce(counting, "produce_events", 0, 1_009);
    counting.ring("events").drain(visit, 2_000);
    // 42 records of 88 bytes and their headers of 8 fit into 4,096 bytes; the ring keeps the
    // oldest.
    deepStrictEqual(numbers, Array.from({ length: 42 }, (_, index) => index));
    strictEqual(lostRecords(counting), 1_009 - 42);
    produce(counting, "produce_events", 5_003, 13);
    counting.ring("events").drain(visit, 2_000);
    deepStrictEqual(numbers.slice(42), Array.from({ length: 13 }, (_, index) => 5_003 + index));
    strictEqual(lostRecords(counting), 1_009 - 42);
  });
});

onKernel(
  "a new reader goes on where the last one stopped, and discards nothing",
  async (pinDir) => {
    await withCounting(pinDir, 4_096, async (counting) => {
      produce(counting, "produce_mixed", 1, 31);
      const seen: number[] = [];
      const visit = (view: DataView, offset: number, length: number) => {
        seen.push(checkRecord(view, offset, length));
      };
      strictEqual(counting.ring("events").drain(visit, 5), 5);
      counting.close();
      const again = await loadCounting(pinDir, 4_096);
      strictEqual(again.adopted, true);
      ok(again.ring("events").backlog() > 0);
      again.ring("events").drain(visit, 1_000);
      again.close();
      deepStrictEqual(seen, kept(1, 31));
    });
  },
);

onKernel("a visitor that throws loses its own record and no other", async (pinDir) => {
  await withCounting(pinDir, 4_096, (counting) => {
    produce(counting, "produce_mixed", 1, 5);
    const seen: number[] = [];
    throws(() =>
      counting.ring("events").drain((view, offset, length) => {
        seen.push(checkRecord(view, offset, length));
        if (seen.length === 2) throw new RangeError("refused");
      }, 100), /refused/);
    deepStrictEqual([...seen, ...drainAll(counting)], [1, 2, 3, 4, 5]);
  });
});

onKernel("after its end a ring reads nothing, and a view that was kept throws", async (pinDir) => {
  await withCounting(pinDir, 4_096, (counting) => {
    produce(counting, "produce_mixed", 1, 3);
    const before = openDescriptors();
    const ring = new Ring(counting.ring("events") && `${counting.dir}/maps/events`);
    const views: DataView[] = [];
    ring.drain((view) => views.push(view), 1);
    ring[Symbol.dispose]();
    ring[Symbol.dispose]();
    strictEqual(openDescriptors(), before + 1, "only the ring that the object opened is left");
    throws(() => views[0]?.getUint32(0), TypeError);
    throws(() => ring.drain(() => {}, 1), /Cannot drain the ring ".*events" as it is closed/);
    strictEqual(ring.backlog(), 0);
    throws(() => new Ring(`${counting.dir}/maps/totals`), /as a ring: its map type is 5$/);
  });
});
