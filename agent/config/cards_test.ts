import assert from "node:assert/strict";
import { defineCollector, nodeFiles } from "../collector.ts";
import { defineProbe } from "../probe.ts";
import { unitCards } from "./cards.ts";

Deno.test("a unit's card says what it gives, by its totals and records", () => {
  const probe = defineProbe({
    name: "one",
    aliases: ["uno"],
    summary: "One",
    byDefault: { metrics: true, events: false },
    hooks: [{ object: "one", needs: [] }],
    parameters: { rate: { summary: "Rate", default: 3, min: 1, max: 9 } },
    records: { record: { struct: "one", fields: {} }, types: ["ONE"], occurrence: () => seen },
  });
  const collector = defineCollector({
    name: "two",
    summary: "Two",
    byDefault: true,
    source: nodeFiles("stat"),
    metrics: {},
    parse: () => [],
  });
  assert.deepEqual(unitCards([probe], [collector]), [
    {
      name: "one",
      aliases: ["uno"],
      gives: { metrics: false, events: true },
      byDefault: { metrics: true, events: false },
      parameters: { rate: { summary: "Rate", default: 3, min: 1, max: 9 } },
    },
    {
      name: "two",
      aliases: [],
      gives: { metrics: true, events: false },
      byDefault: { metrics: true, events: false },
      parameters: {},
    },
  ]);
});

Deno.test("a probe and a collector of one name are one unit, with what either gives", () => {
  const probe = defineProbe({
    name: "one",
    aliases: ["uno"],
    summary: "One",
    byDefault: { metrics: false, events: false },
    hooks: [{ object: "one", needs: [] }],
    parameters: { rate: { summary: "Rate", default: 3, min: 1, max: 9 } },
    records: { record: { struct: "one", fields: {} }, types: ["ONE"], occurrence: () => seen },
  });
  const collector = defineCollector({
    name: "one",
    aliases: ["un", "uno"],
    summary: "One",
    byDefault: true,
    source: nodeFiles("stat"),
    metrics: {},
    parse: () => [],
  });
  assert.deepEqual(unitCards([probe], [collector]), [{
    name: "one",
    aliases: ["uno", "un"],
    gives: { metrics: true, events: true },
    byDefault: { metrics: true, events: false },
    parameters: { rate: { summary: "Rate", default: 3, min: 1, max: 9 } },
  }]);
});

const seen = {
  type: "ONE",
  severity: "info",
  at: 0n,
  netns: { inum: 1, cookie: 1n },
  message: "One was seen",
} as const;
