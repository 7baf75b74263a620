import { deepEqual, equal, ok } from "node:assert/strict";
import { decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";

const NO_VECTOR = 255;

/** A wait for the CPU behind another vector. */
const WAIT = {
  at: 7n,
  latency_ns: 23_456_789,
  behind_ns: 21_000_000,
  tgid: 4711,
  cpu: 3,
  comm: "stress",
  vector: 2,
  stage: 1,
  behind: 3,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("softirq", event.record, values));
}

Deno.test("softirq says who had the CPU, and behind what a softirq waited", async () => {
  deepEqual(await occurrenceOf(WAIT), {
    type: "NETSOFTIRQ_SCHED_SLOW",
    severity: "warning",
    at: 7n,
    netns: { inum: 0, cookie: 0n },
    process: { pid: 4711, comm: "stress" },
    attributes: {
      vector: "net_tx",
      cpu: 3,
      latency_ms: 23.457,
      ksoftirqd: false,
      behind: "net_rx",
      behind_ms: 21,
    },
    message: "A softirq waited for the CPU: net_tx",
  });
});

Deno.test("softirq says nothing of a vector where none ran meanwhile", async () => {
  const { attributes } = await occurrenceOf({ ...WAIT, behind: NO_VECTOR, ksoftirqd: 1 });
  ok(attributes !== undefined && !("behind" in attributes) && !("behind_ms" in attributes));
  equal(attributes["ksoftirqd"], true);
});

Deno.test("softirq has a type for each stage, and for what is slow and very slow", async () => {
  const types = await Promise.all(
    [[1, 0], [1, 1], [2, 0], [2, 1]].map(async ([stage = 0, is_long = 0]) =>
      (await occurrenceOf({ ...WAIT, stage, is_long })).type
    ),
  );
  deepEqual(types, [...event.types]);
});

Deno.test("softirq has a word for each vector of the kernel's", async () => {
  const all = await Promise.all(
    Array.from({ length: 10 }, (_, vector) => occurrenceOf({ ...WAIT, vector })),
  );
  deepEqual(
    all.map(({ attributes }) => attributes?.["vector"]).join(" "),
    "hi timer net_tx net_rx block irq_poll tasklet sched hrtimer rcu",
  );
});
