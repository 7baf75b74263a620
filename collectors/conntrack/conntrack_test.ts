// testdata/: Linux 6.18.44; `conntrack -S` and `conntrack -C` said the same in the namespaces.
// `older` is made up, with the fields of Linux before 5.10.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import conntrack from "./conntrack.ts";

function valuesOfText(text: string): ReadonlyMap<string, number> {
  return valuesOf(conntrack, { "netlink/conntrack": text });
}

Deno.test("conntrack reads a capture with 15 connections", () => {
  const values = valuesOf(conntrack, captured(conntrack, "netns"));
  assert.equal(values.get("conntrack_entries"), 15);
  assert.equal(values.get("conntrack_entries_max"), 262_144);
  assert.equal(values.get("conntrack_fullness_ratio"), 15 / 262_144);
  assert.equal(values.get("conntrack_clashes_resolved_total"), 0);
  assert.equal(values.has("conntrack_ignored_total"), false);
});

Deno.test("conntrack takes each metric from its field", () => {
  assert.deepEqual(Object.fromEntries(valuesOf(conntrack, captured(conntrack, "older"))), {
    conntrack_entries: 7,
    conntrack_entries_max: 14,
    conntrack_fullness_ratio: 0.5,
    conntrack_found_total: 2,
    conntrack_invalid_total: 3,
    conntrack_ignored_total: 5,
    conntrack_inserted_total: 11,
    conntrack_insert_failed_total: 13,
    conntrack_dropped_total: 17,
    conntrack_early_dropped_total: 19,
    conntrack_errors_total: 23,
    conntrack_search_restarts_total: 29,
  });
});

Deno.test("conntrack has no fullness where the table has no limit", () => {
  assert.equal(valuesOfText("entries 3\nmaxentries 0\n").has("conntrack_fullness_ratio"), false);
});

Deno.test("conntrack says which line makes no sense", () => {
  const cases: Record<string, RegExp> = {
    "": /^Cannot parse line 1 of "netlink\/conntrack": the file is empty$/,
    "entries 1\nwidth 2\n": /line 2 .*: expected a name and a figure, found "width 2"$/,
    "drop 1\ndrop 1\n": /line 2 .*: drop is there twice$/,
    "drop 1 2\n": /line 1 .*, found "drop 1 2"$/,
    "drop -1\n": /line 1 .*: expected a number, found "-1"$/,
  };
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => valuesOfText(text), { name: "SyntaxError", message });
  }
});
