// testdata/: Linux 6.18.44; `cat /proc/1/net/netstat` (host), and `ip netns exec X cat
// /proc/self/net/netstat` (netns) after 13 connections closed with unread data, 17 closed with zero
// linger and 3 into TIME_WAIT.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import tcpext from "./tcpext.ts";

const netns = captured(tcpext, "netns");

Deno.test("tcpext counts aborts by their cause", () => {
  const values = valuesOf(tcpext, netns);
  assert.equal(values.get("tcpext_abort_on_close_total"), 13);
  assert.equal(values.get("tcpext_abort_on_data_total"), 17);
  assert.equal(values.get("tcpext_tw_total"), 3);
});

Deno.test("tcpext has a name for every field that the kernel prints, and no two alike", () => {
  const values = valuesOf(tcpext, netns);
  const [heading = ""] = netns["net/netstat"].split("\n");
  assert.equal(values.size, heading.split(" ").length - 1);
  assert.deepEqual([...values.keys()].filter((key) => key.startsWith("tcpext_unlisted")), []);
  // Each card and nothing but cards, `tcpext_unlisted` apart: a field misspelt in a card would be
  // missing here.
  assert.equal(Object.keys(tcpext.metrics).length, values.size + 1);
});

Deno.test("tcpext gives memory pressure in seconds, and in milliseconds under the old name", () => {
  const text = "TcpExt: TCPMemoryPressuresChrono\nTcpExt: 1237\n";
  const values = valuesOf(tcpext, { "net/netstat": text });
  assert.equal(values.get("tcpext_memory_pressures_seconds_total"), 1.237);
  assert.deepEqual(tcpext.metrics["tcpext_memory_pressures_seconds_total"]?.alias, {
    kubeskoop: ["tcpext_tcpmemorypressureschrono"],
    inspector: ["tcpexttcpmemorypressureschrono"],
    times: 1_000,
  });
});

Deno.test("tcpext passes over the tables of others, whatever is in them", () => {
  const text = "TcpExt: TW\nTcpExt: 7\nMPTcpExt: A B\nMPTcpExt: x\n";
  assert.deepEqual([...valuesOf(tcpext, { "net/netstat": text })], [["tcpext_tw_total", 7]]);
});

Deno.test("tcpext throws for a text without its table", () => {
  assert.throws(() => valuesOf(tcpext, { "net/netstat": "IpExt: InOctets\nIpExt: 1\n" }), {
    name: "SyntaxError",
    message: 'Cannot parse line 2 of "net/netstat": the table "TcpExt" is missing',
  });
});
