// testdata/: Linux 6.18.44; `cat /proc/1/net/snmp` (host), and `ip netns exec X cat
// /proc/self/net/snmp` (netns) after 11 refused connections, 13 closed with unread data and 17 with
// zero linger, with 12 left open.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import tcp from "./tcp.ts";

const netns = captured(tcp, "netns");

Deno.test("tcp gives all fields, and what goes down is a gauge", () => {
  const values = valuesOf(tcp, netns);
  assert.deepEqual(Object.fromEntries(values), {
    "tcp_rto_algorithm": 1,
    "tcp_rto_min_seconds": 0.2,
    "tcp_rto_max_seconds": 120,
    "tcp_max_conn": -1,
    "tcp_active_opens_total": 56,
    "tcp_passive_opens_total": 45,
    "tcp_attempt_fails_total": 11,
    "tcp_estab_resets_total": 60,
    "tcp_curr_estab": 24,
    "tcp_in_segs_total": 225,
    "tcp_out_segs_total": 225,
    "tcp_retrans_segs_total": 0,
    "tcp_in_errs_total": 0,
    "tcp_out_rsts_total": 41,
    "tcp_in_csum_errors_total": 0,
  });
  const gauges = [...values.keys()].filter((metric) => tcp.metrics[metric]?.type === "gauge");
  assert.equal(gauges.length, 5);
});

Deno.test("tcp makes an unknown field a label, so that names stay fixed on newer kernels", () => {
  const files = { "net/snmp": "Tcp: OutRsts InNew-Thing\nTcp: 41 43\n" };
  assert.deepEqual(Object.fromEntries(valuesOf(tcp, files)), {
    "tcp_out_rsts_total": 41,
    "tcp_unlisted{field=TcpInNew_Thing}": 43,
  });
});

Deno.test("tcp says which line makes no sense", () => {
  const cases: Record<string, RegExp> = {
    "": /^Cannot parse line 1 of "net\/snmp": the file is empty$/,
    "Tcp: OutRsts\n": /^Cannot parse line 2 of "net\/snmp": "" follows the heading "Tcp: OutRsts"$/,
    "Tcp: OutRsts\nTcp: 1 2\n": /line 2 .*: 2 figures for 1 names$/,
    "Tcp: OutRsts\nTcp: x\n": /line 2 .*: expected a number, found "x"$/,
    "Tcp: OutRsts\nTcp: -1\n": /line 2 .*: expected a number, found "-1"$/,
    "Tcp: OutRsts\nTcp: 12": /line 2 .*: the text ends inside of "Tcp: 12"$/,
    "Tcp: OutRsts\nTcp: 184467440737095516150\n": /line 2 .*: expected a number/,
    "Tcp: OutRsts OutRsts\nTcp: 1 1\n": /line 1 .*: a name is there twice$/,
    "Tcp: OutRsts\nTcp: 1\nTcp: OutRsts\nTcp: 1\n": /line 4 .*: the table "Tcp" is there twice$/,
    "Udp: NoPorts\nUdp: 1\n": /line 2 .*: the table "Tcp" is missing$/,
    "Tcp: OutRsts\nUdp: 1\n": /line 2 .*: "Udp: 1" follows the heading "Tcp: OutRsts"$/,
  };
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => valuesOf(tcp, { "net/snmp": text }), { name: "SyntaxError", message });
  }
});

Deno.test("tcp rounds what a double cannot hold to the nearest that it can", () => {
  const values = valuesOf(tcp, { "net/snmp": "Tcp: OutRsts\nTcp: 18446744073709551615\n" });
  assert.equal(values.get("tcp_out_rsts_total"), 2 ** 64);
});
