import assert from "node:assert/strict";
import { Mib, readLines, readTables } from "./mib.ts";

const mib = new Mib({
  collector: "x",
  tables: { T: { family: "ipv4" }, TExt: { family: "ipv4" }, T6: { family: "ipv6" } },
  labels: ["family"],
  metrics: {
    x_in_total: { fields: ["In", "InSix"], help: "In" },
    x_wait_seconds: { fields: ["WaitMs"], help: "Wait", divisor: 1_000 },
  },
  patterns: {
    x_types_total: {
      form: /^(?<direction>In|Out)Type(?<type>\d+)$/,
      help: "Types",
      labels: ["direction", "type"],
      seriesMax: 1_024,
    },
  },
  predecessor: { names: new Set(["insix", "waitms"]), where: { family: "ipv4" } },
});

Deno.test("Mib makes cards whose type and unit are those of their names", () => {
  assert.deepEqual(mib.metrics["x_in_total"], {
    type: "counter",
    help: "In (In, InSix)",
    labels: ["family"],
    seriesMax: 2,
    alias: { kubeskoop: ["x_insix"], inspector: ["xinsix"], where: { family: "ipv4" } },
  });
  const wait = mib.metrics["x_wait_seconds"];
  assert.equal(wait?.type, "gauge");
  assert.equal(wait?.unit, "seconds");
  assert.deepEqual(wait?.alias, {
    kubeskoop: ["x_waitms"],
    inspector: ["xwaitms"],
    where: { family: "ipv4" },
    times: 1_000,
  });
});

Deno.test("Mib joins tables of a family, and what only its form is known of", () => {
  const tables = readTables("f", "T: In InType3\nT: 2 3\nTExt: WaitMs\nTExt: 5\n", {
    required: ["T"],
    optional: ["TExt"],
  });
  assert.deepEqual(mib.samplesOf([...tables, ...readLines("g", "T6InSix\t7\nT6New.1\t11\n")]), [
    { metric: "x_in_total", value: 2, labels: { family: "ipv4" } },
    { metric: "x_types_total", value: 3, labels: { family: "ipv4", direction: "in", type: "3" } },
    { metric: "x_wait_seconds", value: 0.005, labels: { family: "ipv4" } },
    { metric: "x_in_total", value: 7, labels: { family: "ipv6" } },
    { metric: "x_unlisted", value: 11, labels: { field: "T6New_1" } },
  ]);
});

Deno.test("Mib lets a gauge be negative and no counter", () => {
  const wanted = { required: ["T"] };
  assert.equal(mib.samplesOf(readTables("f", "T: WaitMs\nT: -1\n", wanted))[0]?.value, -0.001);
  assert.throws(() => mib.samplesOf(readTables("f", "T: In\nT: -1\n", wanted)), SyntaxError);
});

Deno.test("errors name the line of the figure, in tables and in lists", () => {
  const table = readTables("f", "A: B\nA: 1\nT: In\nT: x\n", { required: ["T"] });
  assert.throws(() => mib.samplesOf(table), /Cannot parse line 4 of "f": expected a number/);
  const list = readLines("g", "T6InSix\t7\nT6New\tx\n");
  assert.throws(() => mib.samplesOf(list), /Cannot parse line 2 of "g": expected a number/);
});
