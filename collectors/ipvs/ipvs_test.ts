// testdata/: Linux 5.10.0 (Debian 11); `cat /proc/net/ip_vs_stats` after ten connections, whose
// line of totals is recorded. The headings and the rates, 0, are put around it from
// net/netfilter/ipvs/ip_vs_ctl.c.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import ipvs from "./ipvs.ts";

Deno.test("ipvs reads hexadecimal figures, and packets are not bytes", () => {
  assert.deepEqual(Object.fromEntries(valuesOf(ipvs, captured(ipvs, "netns"))), {
    ipvs_connections_total: 10,
    ipvs_incoming_packets_total: 41,
    ipvs_outgoing_packets_total: 40,
    ipvs_incoming_bytes_total: 2212,
    ipvs_outgoing_bytes_total: 2200,
  });
});

Deno.test("ipvs reads figures that are wider than their columns", () => {
  const text = captured(ipvs, "netns")["net/ip_vs_stats"].replace("      29", "12345678AB");
  const values = valuesOf(ipvs, { "net/ip_vs_stats": text });
  assert.equal(values.get("ipvs_incoming_packets_total"), 0x12345678ab);
});

Deno.test("ipvs says which line makes no sense", () => {
  const text = captured(ipvs, "netns")["net/ip_vs_stats"];
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /^Cannot parse line 1 of "net\/ip_vs_stats": the file is empty$/],
    [text.replace("Total", "Sum"), /line 1 .*: expected the heading/],
    [text.replace("8A4", "8G4"), /line 3 .*: expected hexadecimal digits, found "8G4"$/],
    [text.replace("8A4", ""), /line 3 .*: 4 figures for 5 columns$/],
  ];
  for (const [wrong, message] of cases) {
    assert.throws(() => valuesOf(ipvs, { "net/ip_vs_stats": wrong }), {
      name: "SyntaxError",
      message,
    });
  }
});
