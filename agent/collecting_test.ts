import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { collect, netnsFilesOf, type Place, type Sources } from "./collecting.ts";
import {
  type Collector,
  defineCollector,
  netnsFiles,
  nodeFiles,
  processFiles,
} from "./collector.ts";
import type { Metrics } from "./metric.ts";
import { type Collection, HOST, type Owner, Registry } from "./series.ts";

const POD: Owner = { key: "shop/cart", namespace: "shop", pod: "cart" };
const OTHER: Owner = { key: "shop/till", namespace: "shop", pod: "till" };

const perNetns = defineCollector<Metrics, string>({
  name: "lines",
  summary: "Counts the lines of a file",
  byDefault: true,
  source: netnsFiles("net/lines", "net/more"),
  metrics: {
    lines_total: { type: "counter", help: "Lines" },
    lines_more: { type: "gauge", help: "Characters of the second file" },
  },
  *parse({ ["net/lines"]: lines = "", ["net/more"]: more = "" }) {
    yield { metric: "lines_total", value: lines.split("\n").length - 1 };
    if (lines.includes("nonsense")) throw new SyntaxError("Cannot read line 1");
    yield { metric: "lines_more", value: more.length };
  },
});
const perProcess = defineCollector<Metrics, string>({
  name: "reads",
  summary: "Adds up what processes have read",
  byDefault: true,
  source: processFiles("io"),
  metrics: { reads_total: { type: "counter", help: "Reads" } },
  *parse({ io }) {
    yield { metric: "reads_total", value: Number(io) };
  },
});

function sources(over: Partial<Sources>): Sources {
  return {
    places: [],
    members: [],
    uplinks: undefined,
    nodeFile: () => "",
    processFile: () => undefined,
    ...over,
  };
}

function place(owner: Owner, files: Record<string, string | Error>): Place {
  return {
    owner,
    host: owner === HOST,
    read: (file) => files[file] ?? new Deno.errors.NotFound(file),
  };
}

function values(collection: Collection, name: string) {
  const found: [string, number][] = [];
  collection.forEach(name, ({ key }, _labels, value) => found.push([key, value]));
  return found;
}

function gather(collector: Collector, over: Partial<Sources>, registry = new Registry()) {
  const collection = registry.begin();
  return { collection, run: collect(collector, sources(over), collection) };
}

Deno.test("a collector runs at every place, and a missing optional file reads as nothing", () => {
  const { collection, run } = gather(perNetns, {
    places: [
      place(HOST, { "net/lines": "a\n", "net/more": "xyz" }),
      place(POD, { "net/lines": "a\nb\n" }),
    ],
  });
  deepStrictEqual(values(collection, "lines_total"), [["host", 1], ["shop/cart", 2]]);
  deepStrictEqual(values(collection, "lines_more"), [["host", 3], ["shop/cart", 0]]);
  strictEqual(run.outcome.state, "working");
});

Deno.test(
  "a text that makes no sense at one place hides no other, and leaves no half of " +
    "itself",
  () => {
    const { collection, run } = gather(perNetns, {
      places: [place(POD, { "net/lines": "nonsense\n" }), place(OTHER, { "net/lines": "a\n" })],
    });
    deepStrictEqual(values(collection, "lines_total"), [["shop/till", 1]]);
    deepStrictEqual(run.outcome, {
      state: "degraded",
      because: "1 not read, the first: shop/cart: Cannot read line 1",
    });
    strictEqual(run.failures, 1);
  },
);

Deno.test("a file that no place has makes its collector absent, not failed", () => {
  const { run } = gather(perNetns, { places: [place(POD, {})] });
  strictEqual(run.outcome.state, "absent");
  strictEqual(run.failures, 0);
});

Deno.test("a file that cannot be read anywhere makes its collector failed, with the reason", () => {
  const { run } = gather(perNetns, { places: [place(POD, { "net/lines": new Error("EIO") })] });
  deepStrictEqual(run.outcome, { state: "failed", because: "shop/cart: EIO" });
});

Deno.test("a late place keeps its owner's values, once, and the outcome says how old", () => {
  const registry = new Registry();
  const fresh = place(OTHER, { "net/lines": "a\n" });
  const before = [place(POD, { "net/lines": "a\nb\n" }), fresh];
  const first = gather(perNetns, { places: before }, registry);
  deepStrictEqual([first.run.late, first.run.ageSeconds], [0, 0]);
  const because = "Cannot read it: no answer in 2000 ms";
  const late = { ...place(POD, {}), late: { because, ageSeconds: 31.2 } };
  // Another place of the same pod was read; what is kept is of both.
  const second = place(POD, { "net/lines": "a\nb\nc\n" });
  const { collection, run } = gather(perNetns, { places: [second, late, fresh] }, registry);
  deepStrictEqual(values(collection, "lines_total"), [["shop/cart", 2], ["shop/till", 1]]);
  deepStrictEqual(run.outcome, {
    state: "late",
    because: `1 not read in time, the first: shop/cart: ${because}; its values are 31 s old`,
  });
  deepStrictEqual([run.late, run.ageSeconds, run.failures], [1, 31.2, 0]);
});

Deno.test("a late place without an age shows nothing, and hides no failure", () => {
  const registry = new Registry();
  gather(perNetns, { places: [place(POD, { "net/lines": "a\n" })] }, registry);
  const late = { ...place(POD, {}), late: { because: "too slow" } };
  const bad = place(OTHER, { "net/lines": new Error("EIO") });
  const { collection, run } = gather(perNetns, { places: [late] }, registry);
  deepStrictEqual(values(collection, "lines_total"), []);
  deepStrictEqual(run.outcome, {
    state: "late",
    because: "1 not read in time, the first: shop/cart: too slow; it has no values",
  });
  const both = gather(perNetns, { places: [late, bad] }, registry);
  deepStrictEqual(both.run.outcome, { state: "failed", because: "shop/till: EIO" });
  deepStrictEqual([both.run.late, both.run.failures], [1, 1]);
});

Deno.test("a pod's processes are added up, and what an ended one had read stays", () => {
  const registry = new Registry();
  const read = (texts: Record<number, string | undefined>) => {
    const { collection, run } = gather(perProcess, {
      members: [{ owner: POD, pids: Object.keys(texts).map(Number) }],
      processFile: (pid) => texts[pid],
    }, registry);
    strictEqual(run.outcome.state, "working");
    return values(collection, "reads_total");
  };
  deepStrictEqual(read({ 1: "10", 2: "7" }), [["shop/cart", 17]]);
  deepStrictEqual(read({ 1: "12", 2: undefined }), [["shop/cart", 17]]);
  deepStrictEqual(read({ 1: "15" }), [["shop/cart", 20]]);
});

Deno.test("one process whose file may not be read does not hide the others", () => {
  const { collection, run } = gather(perProcess, {
    members: [{ owner: POD, pids: [1, 2] }],
    processFile: (pid) => {
      if (pid === 1) throw new Deno.errors.PermissionDenied("ptrace");
      return "5";
    },
  });
  deepStrictEqual(values(collection, "reads_total"), [["shop/cart", 5]]);
  deepStrictEqual(run.outcome, {
    state: "degraded",
    because: "1 not read, the first: process 1: ptrace",
  });
});

Deno.test("netnsFilesOf names each file once, and none of the node's", () => {
  const node = defineCollector<Metrics, string>({
    ...perNetns,
    name: "node",
    source: nodeFiles("net/lines", "net/more"),
  });
  deepStrictEqual(netnsFilesOf([perNetns, perNetns, perProcess, node]), ["net/lines", "net/more"]);
});
