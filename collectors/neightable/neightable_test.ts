// testdata/: Linux 6.18.44 with two CPUs; `cat /proc/net/stat/arp_cache`, and so on.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import neightable from "./neightable.ts";

const HEADING = "entries  allocs   destroys hash_grows lookups  hits     res_failed " +
  "rcv_probes_mcast rcv_probes_ucast periodic_gc_runs forced_gc_runs unresolved_discards " +
  "table_fulls\n";

/** A row for each CPU, of which the first column is the same in all. */
function files(...rows: readonly string[]) {
  return {
    ...captured(neightable, "host"),
    "net/stat/arp_cache": HEADING + rows.map((row) => `${row}\n`).join(""),
  };
}

Deno.test("neightable adds up the CPUs, and the table is one", () => {
  const values = valuesOf(
    neightable,
    files("000000c0 1 2 3 4 5 0000000a 6 7 8 9 b c", "000000c0 1 2 3 4 5 00000010 6 7 8 1 2 3"),
  );
  const of = (metric: string) => values.get(`neightable_${metric}{family=ipv4}`);
  assert.equal(of("entries"), 192);
  assert.equal(of("entries_max"), 1024);
  assert.equal(of("fullness_ratio"), 0.1875);
  assert.equal(of("resolution_failures_total"), 26);
  assert.equal(of("forced_collections_total"), 10);
  assert.equal(of("discarded_packets_total"), 13);
  assert.equal(of("overflows_total"), 15);
});

Deno.test("neightable has both families where the kernel has both", () => {
  const host = captured(neightable, "host");
  assert.equal(valuesOf(neightable, host).size, 14);
  assert.equal(valuesOf(neightable, { ...host, "net/stat/ndisc_cache": "" }).size, 7);
  const noLimit = { ...host, "sys/net/ipv4/neigh/default/gc_thresh3": "" };
  assert.equal(valuesOf(neightable, noLimit).size, 12);
});

Deno.test("neightable says which line makes no sense", () => {
  const cases: readonly (readonly [ReturnType<typeof files>, RegExp])[] = [
    [files(), /^Cannot parse line 2 of "net\/stat\/arp_cache": there is no row$/],
    [files("000000c0 1"), /line 2 .*: expected hexadecimal digits, found nothing$/],
    [files("xyz 1 2 3 4 5 6 7 8 9 a b c"), /line 2 .*: expected hexadecimal digits, found "xyz"$/],
    [{ ...files(), "net/stat/arp_cache": "entries\n1\n" }, /line 1 .*: no "res_failed" in/],
  ];
  for (const [wrong, message] of cases) {
    assert.throws(() => valuesOf(neightable, wrong), { name: "SyntaxError", message });
  }
});
