import { deepEqual, equal, ok } from "node:assert/strict";
import { decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";
import { all, counts, latencies } from "./totals.ts";

/** A read that a disk was slow with. */
const READ = {
  at: 7n,
  cgroup: 4711n,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  latency_ns: 43_210_987,
  driver_ns: 23_456_789,
  length: 4_096,
  tgid: 31,
  comm: "dd",
  device: "nvme0n1",
  operation: 1,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("biolatency", event.record, values));
}

Deno.test("biolatency says who made a request, of which disk, and how long it took", async () => {
  deepEqual(await occurrenceOf(READ), {
    type: "BIOLAT",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    cgroup: 4711n,
    owner: 31,
    process: { pid: 31, comm: "dd" },
    attributes: {
      device: "nvme0n1",
      operation: "read",
      latency_ms: 43.211,
      driver_ms: 23.457,
      length_bytes: 4_096,
    },
    message: "A request to a disk took long: read",
  });
});

Deno.test("biolatency has a type for what is slow and what is very slow", async () => {
  const types = await Promise.all(
    [0, 1].map(async (long) => (await occurrenceOf({ ...READ, is_long: long })).type),
  );
  deepEqual(types, [...event.types]);
});

Deno.test("biolatency says nothing of a cgroup where there is none", async () => {
  ok(!("cgroup" in await occurrenceOf({ ...READ, cgroup: 0n })));
});

Deno.test("biolatency has a word for each operation", async () => {
  const words = await Promise.all(
    [1, 2, 3, 4, 5, 6].map(async (operation) =>
      (await decodeMade("biolatency", latencies.key, { device: "vda", operation })).operation
    ),
  );
  deepEqual(words, ["read", "write", "flush", "discard", "other", "unknown"]);
});

Deno.test("biolatency tells requests that were refused from those not even noted", async () => {
  const words = await Promise.all(
    [1, 2].map(async (what) => (await decodeMade("biolatency", counts.key, { what })).what),
  );
  deepEqual(words, ["refused", "unnoted"]);
});

Deno.test("biolatency says how many requests are under way", async () => {
  equal((await decodeMade("biolatency", all.value, { under_way: 23 })).under_way, 23);
});
