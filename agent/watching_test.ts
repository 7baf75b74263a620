import { deepEqual, equal } from "node:assert/strict";
import { type Collector, defineCollector, netnsFiles } from "./collector.ts";
import type { Metrics } from "./metric.ts";
import { Watching } from "./watching.ts";

const collector: Collector = defineCollector<Metrics, string>({
  name: "watched",
  summary: "Watched",
  byDefault: true,
  source: netnsFiles("net/one"),
  metrics: {},
  parse: () => [],
  watch: {
    examples: [{ type: "GREW", severity: "info", message: "It grew" }],
    changes(before, after) {
      const by = Number(after["net/one"]) - Number(before["net/one"]);
      if (Number.isNaN(by)) throw new SyntaxError("Cannot parse net/one");
      if (by === 0) return [];
      return [{ type: "GREW", severity: "info", attributes: { by }, message: "It grew" }];
    },
  },
});

type Texts = Readonly<Record<number, string | Error>>;

function look(watching: Watching, texts: Texts): string[] {
  const seen: string[] = [];
  const places = Object.entries(texts).map(([inum, text]) => ({
    netns: { inum: Number(inum), cookie: 5n },
    read: () => text,
  }));
  watching.look(collector, places, 9n, ({ type, at, netns, attributes }) => {
    seen.push(`${type} ${at} ${netns.inum} ${attributes?.["by"]}`);
  });
  return seen;
}

Deno.test("what grew from one look to the next is an event of that namespace", () => {
  const watching = new Watching();
  deepEqual(look(watching, { 1: "5", 2: "7" }), []);
  deepEqual(look(watching, { 1: "5", 2: "18" }), ["GREW 9 2 11"]);
  deepEqual(look(watching, { 1: "8", 2: "18", 3: "100" }), ["GREW 9 1 3"]);
  deepEqual(look(watching, { 1: "8", 2: "18", 3: "101" }), ["GREW 9 3 1"]);
  deepEqual(watching.outcome("watched"), { state: "working" });
});

Deno.test("a namespace that has gone, or a collector that was off, begins anew", () => {
  const watching = new Watching();
  look(watching, { 1: "5", 2: "5" });
  look(watching, { 1: "5" });
  deepEqual(look(watching, { 1: "5", 2: "9" }), []);
  watching.keepOnly(new Set());
  equal(watching.outcome("watched"), undefined);
  deepEqual(look(watching, { 1: "9", 2: "19" }), []);
});

Deno.test("a namespace that cannot be read hides no other, and is told", () => {
  const watching = new Watching();
  look(watching, { 1: "5", 2: "5" });
  deepEqual(look(watching, { 1: new Error("Cannot enter it"), 2: "6" }), ["GREW 9 2 1"]);
  deepEqual(watching.outcome("watched"), {
    state: "degraded",
    because: "1 not read, the first: Cannot enter it",
  });
  deepEqual(look(watching, { 1: "18", 2: "6" }), ["GREW 9 1 13"]);
  look(watching, { 1: "5" });
  look(watching, { 1: "nonsense" });
  equal(watching.outcome("watched")?.state, "failed");
  deepEqual(look(watching, { 1: "7" }), []);
  equal(watching.outcome("watched")?.state, "working");
  look(watching, { 1: new Error("Cannot enter it") });
  equal(watching.outcome("watched")?.state, "failed");
});

Deno.test("what no namespace has is absent; what some lack is no failure", () => {
  const watching = new Watching();
  const none = new Deno.errors.NotFound("there is no such file");
  look(watching, { 1: none });
  deepEqual(watching.outcome("watched"), {
    state: "absent",
    because: 'Cannot read "net/one": there is no such file',
  });
  look(watching, { 1: none, 2: "5" });
  deepEqual(watching.outcome("watched"), { state: "working" });
});
