import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addAges, addProcess, addUnits, SELF, SELF_METRICS, SELF_POD_METRICS } from "./self.ts";
import { type Collection, Registry } from "./series.ts";

function begin(registry = new Registry()): Collection {
  const collection = registry.begin();
  collection.declare(SELF, SELF_METRICS);
  collection.declare(SELF, SELF_POD_METRICS);
  return collection;
}

function valueOf(collection: Collection, name: string): number {
  const values: number[] = [];
  collection.forEach(name, (_owner, _labels, value) => values.push(value));
  strictEqual(values.length, 1, name);
  return values[0] ?? NaN;
}

Deno.test("the process's own figures are those of /proc/self", () => {
  const collection = begin();
  addProcess(collection, new Registry(), 1_795_240_629);
  const status = Deno.readTextFileSync("/proc/self/status");
  const rss = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
  const ours = valueOf(collection, "process_resident_memory_bytes");
  strictEqual(Math.abs(ours - rss) < rss / 4, true, `${ours} ${rss}`);
  const cpu = valueOf(collection, "process_cpu_seconds_total");
  strictEqual(
    cpu > 0 && cpu <= performance.now() / 1000 * navigator.hardwareConcurrency + 60,
    true,
  );
  strictEqual(valueOf(collection, "process_open_fds") >= 3, true);
  strictEqual(valueOf(collection, "process_start_time_seconds"), 1_795_240_629);
});

Deno.test("a unit has one state, and a cost only while it runs", () => {
  const collection = begin();
  addUnits(collection, [
    {
      unit: "tcp",
      kind: "collector",
      outcome: { state: "working" },
      seconds: 0.5,
      series: 3,
      failures: 0,
      late: 11,
      ageSeconds: 17.5,
    },
    {
      unit: "fd",
      kind: "probe",
      outcome: { state: "stopped" },
      seconds: undefined,
      series: 0,
      failures: 0,
      late: 11,
      ageSeconds: 17.5,
    },
  ]);
  const states: (readonly string[])[] = [];
  collection.forEach("unit_state", (_owner, { values }) => states.push(values));
  deepStrictEqual(states, [["tcp", "collector", "working"], ["fd", "probe", "stopped"]]);
  strictEqual(valueOf(collection, "unit_collection_seconds"), 0.5);
  strictEqual(valueOf(collection, "unit_late_total"), 11);
  strictEqual(valueOf(collection, "unit_age_seconds"), 17.5);
});

Deno.test("a late pod has the age of its oldest values, and a pod in time has none", () => {
  const pod = (name: string) => ({ key: name, namespace: "shop", pod: name });
  const late = (ageSeconds?: number) => ({
    late: { because: "too slow", ...(ageSeconds === undefined ? {} : { ageSeconds }) },
  });
  const collection = begin();
  addAges(collection, [
    { owner: pod("cart"), ...late(7) },
    { owner: pod("till"), ...late(3) },
    { owner: pod("cart"), ...late(5) },
    { owner: pod("till"), ...late(11) },
    { owner: pod("bank") },
    { owner: pod("door"), ...late() },
  ]);
  const found: unknown[] = [];
  collection.forEach("late_age_seconds", ({ key }, _labels, age) => found.push([key, age]));
  deepStrictEqual(found, [["cart", 7], ["till", 11]]);
});
