import assert from "node:assert/strict";
import { lineOf } from "../agent/events/text.ts";
import { documentedUnits, exposed, filled, namesOf, proseOf, table } from "../tools/cards.ts";
import { eventsPage, EXAMPLE } from "../tools/events_doc.ts";
import { metricsPage } from "../tools/metrics_doc.ts";
import { eventShape } from "../agent/routes/shapes.ts";
import { parse } from "valibot";
import { ROOT } from "./tree.ts";

/** Pages, and what writes each. */
const PAGES = { "docs/metrics.md": metricsPage, "docs/events.md": eventsPage } as const;

for (const [path, page] of Object.entries(PAGES)) {
  Deno.test(`${path} says what the cards say: 'make docs' writes it anew`, async () => {
    const text = await page();
    const file = new URL(path, ROOT);
    if (Deno.env.get("PODSKOOP_GOLDEN") === "write") await Deno.writeTextFile(file, text);
    assert.equal(await Deno.readTextFile(file), text);
  });
}

Deno.test("the page has every metric of every unit, with each name that it goes by", async () => {
  const page = await metricsPage();
  const units = await documentedUnits();
  assert(units.length >= 13);
  for (const { name, metrics, kind } of units) {
    assert(page.includes(kind === "agent" ? "## The agent itself" : `\n## ${name}\n`), name);
    const cards = Object.fromEntries(metrics.map((metric) => [metric.name, metric.card]));
    for (const names of ["podskoop", "kubeskoop", "inspector"] as const) {
      for (const [, shown = ""] of exposed(cards, names).matchAll(/^# TYPE (\S+) /gm)) {
        assert(page.includes(`\`${shown}\``), shown);
      }
    }
  }
  const golden = ["inspector", "kubeskoop"].map((names) =>
    Deno.readTextFileSync(new URL(`tests/golden/${names}_names.txt`, ROOT))
  );
  for (const name of golden.join("").trim().split("\n")) {
    assert(page.includes(`\`${name}\``), name);
  }
});

Deno.test("the pages say whose figure a metric is, and what a unit's module says", async () => {
  const units = new Map((await documentedUnits()).map((unit) => [unit.name, unit]));
  const levelOf = (unit: string, metric: string) =>
    units.get(unit)?.metrics.find(({ name }) => name === metric)?.level;
  assert.equal(levelOf("fd", "fd_open"), "processes");
  assert.equal(levelOf("fd", "fd_refused_total"), "node");
  assert.equal(levelOf("packetloss", "packetloss_packets_total"), "namespace");
  assert.equal(levelOf("softnet", "softnet_dropped_total"), "node");
  for (const { name, kind, prose } of units.values()) {
    assert.equal(prose === "", kind === "agent", name);
    assert.doesNotMatch(prose, /@module|^ ?\*/m, name);
  }
  await assert.rejects(proseOf("tests/tree_of_nothing.ts"), Deno.errors.NotFound);
  await assert.rejects(proseOf("tests/metrics_doc_test.ts"), /does not begin with a @module/);
});

Deno.test("the event of the page is one that the routes can answer with", async () => {
  assert.deepEqual(parse(eventShape, EXAMPLE), EXAMPLE);
  const page = await eventsPage();
  assert(page.includes(JSON.stringify(EXAMPLE, null, 2)));
  assert(page.includes(`\n${lineOf(EXAMPLE)}\n`));
});

Deno.test("the page of events has every type, and attributes that two fields decide", async () => {
  const page = await eventsPage();
  for (const { probe } of await documentedUnits()) {
    for (const type of probe?.records?.types ?? []) {
      assert.equal(page.includes(`\n| \`${type}\` |`), !type.endsWith("_UNKNOWN"), type);
    }
  }
  assert.match(page, /^\| `ip_protocol` \| a number \| `PACKETLOSS` \|$/m);
  assert.match(page, /^\| `tcp_flags` \| words, joined by `,` \| `PACKETLOSS` \|$/m);
  assert.match(page, /^\| `reason` \| `\{sk_rst_reason\}` \| all of TCPRESET \|$/m);
});

Deno.test("an alias of some series is looked up without the others", () => {
  const card = {
    type: "gauge",
    help: "Connections",
    labels: ["state"],
    seriesMax: 2,
    alias: { kubeskoop: ["x_established"], where: { state: "established" } },
  } as const;
  assert.deepEqual(namesOf("x", card, "podskoop"), ["podskoop_x"]);
  assert.deepEqual(namesOf("x", card, "kubeskoop"), []);
});

Deno.test("a page has all of its parts, and a bar in a cell ends no cell", async () => {
  const path = "tools/metrics_doc.md";
  assert((await filled(path, { units: "$& {{x}}" })).endsWith("\n$& {{x}}"));
  await assert.rejects(filled(path, {}), /it has no "units"$/);
  await assert.rejects(filled(path, { units: "", more: "" }), /it leaves out more$/);
  assert.equal(table(["a", "b"], [["1|2", "3"]]), "| a | b |\n|---|---|\n| 1\\|2 | 3 |");
});
