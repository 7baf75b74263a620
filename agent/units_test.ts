import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import type { Kernel } from "../bpf/kernel.ts";
import { type Collector, defineCollector, nodeFiles } from "./collector.ts";
import type { UnitChoice } from "./config/config.ts";
import type { Metrics } from "./metric.ts";
import { defineProbe, totals } from "./probe.ts";
import { netns, struct, total } from "./schema.ts";
import { SELF, SELF_METRICS } from "./self.ts";
import { type Collection, HOST, Registry } from "./series.ts";
import { type Receiver, stateOf, Units } from "./units.ts";

const ON: UnitChoice = { metrics: true, events: true, parameters: {} };
const OFF: UnitChoice = { metrics: false, events: false, parameters: {} };

const NOBODY: Receiver = {
  take() {
    throw new Error("Cannot be reached: no probe has a ring");
  },
  count() {
    throw new Error("Cannot be reached: no probe has figures");
  },
  ofAddress: () => undefined,
};

const probe = defineProbe({
  name: "drops",
  summary: "Drops",
  byDefault: { metrics: true, events: false },
  hooks: [
    { object: "drops", needs: [{ tracepoint: "kfree_skb", arguments: 3 }] },
    { object: "drops_kprobe", needs: [{ kprobe: "kfree_skb" }] },
  ],
  totals: [totals({
    map: "drops",
    key: struct("drops_key", { netns }),
    value: struct("drops_value", { packets: total }),
    metrics: { drops_total: { type: "counter", help: "Drops", of: "packets" } },
  })],
});

function collector(name: string, parse: Collector["parse"]): Collector {
  return defineCollector<Metrics, string>({
    name,
    summary: name,
    byDefault: true,
    source: nodeFiles("stat"),
    metrics: { [`${name}_total`]: { type: "counter", help: name } },
    parse,
  });
}

const good = collector("good", () => [{ metric: "good_total", value: 7 }]);
const bad = collector("bad", () => {
  throw new SyntaxError("Cannot parse line 1 of stat");
});

/** A kernel that has BTF and lacks everything that a hook could need. */
const KERNEL: Kernel = {
  release: "6.18.0",
  btf: true,
  words: () => new Map(),
  lacks: (need) => `it has no ${"tracepoint" in need ? need.tracepoint : "kprobes"}`,
  refuses: () => undefined,
};

function collectWith(units: Units): Collection {
  const collection = new Registry().begin();
  collection.declare(SELF, SELF_METRICS);
  units.addTo(collection, {
    places: [],
    members: [],
    uplinks: undefined,
    nodeFile: () => "",
    processFile: () => undefined,
  }, {
    ofNetns: () => HOST,
    ofCgroup: () => undefined,
    ofProcess: () => HOST,
    ofAddress: () => undefined,
    unknown: HOST,
  });
  return collection;
}

function states(collection: Collection): Record<string, string> {
  const found: Record<string, string> = {};
  collection.forEach("unit_state", (_owner, { values: [unit = "", , state = ""] }) => {
    found[unit] = state;
  });
  return found;
}

function unitsOf(kernel: Kernel): Units {
  return new Units({
    probes: [probe],
    collectors: [bad, good],
    kernel,
    pinDir: "/nonexistent",
    hostNetns: 0,
  });
}

Deno.test("a unit that fails is said in the metrics, and hides no other", async () => {
  const units = unitsOf(KERNEL);
  await units.configure({ drops: ON, good: ON, bad: ON }, NOBODY);
  const collection = collectWith(units);
  deepStrictEqual(states(collection), { bad: "failed", good: "working", drops: "failed" });
  const values: number[] = [];
  collection.forEach("good_total", (_owner, _labels, value) => values.push(value));
  deepStrictEqual(values, [7]);
});

Deno.test("a probe whose hooks the kernel lacks says of each set what it lacks", async () => {
  const units = unitsOf(KERNEL);
  await units.configure({ drops: ON }, NOBODY);
  const [status] = units.inUse().metrics;
  strictEqual(status?.state, "Failed");
  deepStrictEqual(status?.passedOver, [
    { hooks: "drops", because: "it has no kfree_skb" },
    { hooks: "drops_kprobe", because: "it has no kprobes" },
  ]);
});

Deno.test("without BTF a probe says that, and is not tried", async () => {
  const units = unitsOf({ ...KERNEL, btf: false, whyNoBtf: "There is no BTF here" });
  await units.configure({ drops: ON }, NOBODY);
  match(units.inUse().metrics[0]?.because ?? "", /There is no BTF here/);
});

Deno.test(
  "a unit that is switched off is stopped, and in none of the lists of those in " +
    "use",
  async () => {
    const units = unitsOf(KERNEL);
    await units.configure({ drops: OFF, good: ON, bad: OFF }, NOBODY);
    deepStrictEqual(units.inUse().metrics.map(({ name }) => name), ["good"]);
    deepStrictEqual(states(collectWith(units)), {
      bad: "stopped",
      good: "working",
      drops: "stopped",
    });
    deepStrictEqual(units.available(), { event: [], metrics: ["bad", "drops", "good"] });
  },
);

Deno.test("stateOf uses the predecessor's words where it has them", () => {
  deepStrictEqual(stateOf({ state: "working" }), { state: "Running" });
  deepStrictEqual(stateOf({ state: "failed", because: "x" }), { state: "Failed", because: "x" });
  deepStrictEqual(stateOf({ state: "absent", because: "y" }), { state: "Absent", because: "y" });
});
