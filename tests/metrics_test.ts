import assert from "node:assert/strict";
import { documentedUnits, exposed } from "../tools/cards.ts";
import { ROOT } from "./tree.ts";

const GOLDEN = new URL("tests/golden/metrics.txt", ROOT);

/** `/metrics` under our names with one series of every metric, without its value. */
async function withoutValues(): Promise<string> {
  const cards = (await documentedUnits()).flatMap(({ metrics }) =>
    metrics.map(({ name, card }) => [name, card] as const)
  );
  assert.equal(new Set(cards.map(([name]) => name)).size, cards.length);
  return exposed(Object.fromEntries(cards), "podskoop").split("\n").map((line) =>
    line.startsWith("#") ? line : line.replace(/ \S+$/, "")
  ).join("\n");
}

Deno.test("names, help, types and labels of /metrics are the golden ones", async () => {
  const text = await withoutValues();
  if (Deno.env.get("PODSKOOP_GOLDEN") === "write") await Deno.writeTextFile(GOLDEN, text);
  assert.equal(text, await Deno.readTextFile(GOLDEN));
});

Deno.test("the golden file has every metric with its help, its type and a series", async () => {
  const lines = (await Deno.readTextFile(GOLDEN)).trimEnd().split("\n");
  const count = (await documentedUnits()).flatMap(({ metrics }) => metrics).length;
  assert.equal(lines.filter((line) => line.startsWith("# HELP ")).length, count);
  assert.equal(lines.filter((line) => line.startsWith("# TYPE ")).length, count);
  const series = lines.filter((line) => !line.startsWith("#"));
  assert(series.length >= count);
  for (const line of series) {
    assert.match(line, /^[a-z][a-z0-9_]*\{node="",namespace="",pod=""(,[a-z_]+="[^"]*")*\}$/);
  }
});
