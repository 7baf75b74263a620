// testdata/: `netlink/ipvs` is written by hand, for the servers of Linux 6.12.107 in `net/ip_vs`;
// what a kernel tells is compared with ipvsadm's in a guest (tests/vm/virtual_servers.ts).
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import ipvs from "./ipvs.ts";

Deno.test("ipvs has what each server has passed on, and each figure is its own", () => {
  const values = valuesOf(ipvs, captured(ipvs, "netns"));
  const https = "protocol=tcp,service=10.96.0.1:443";
  const inIpv6 = "protocol=tcp,service=[fd00:96::1]:443";
  const wanted = [
    [`service_connections_total{${https}}`, 5],
    [`service_incoming_packets_total{${https}}`, 41],
    [`service_outgoing_packets_total{${https}}`, 37],
    [`service_incoming_bytes_total{${https}}`, 2_213],
    [`service_outgoing_bytes_total{${https}}`, 9_001],
    [`backend_connections_total{backend=10.1.0.12:6443,forward=masq,${https}}`, 0],
    [`backend_connections_total{backend=10.1.0.1:6443,forward=masq,${https}}`, 5],
    [`backend_incoming_packets_total{backend=10.1.0.1:6443,forward=masq,${https}}`, 41],
    [`backend_outgoing_packets_total{backend=10.1.0.1:6443,forward=masq,${https}}`, 37],
    [`backend_incoming_bytes_total{backend=10.1.0.1:6443,forward=masq,${https}}`, 2_213],
    [`backend_outgoing_bytes_total{backend=10.1.0.1:6443,forward=masq,${https}}`, 9_001],
    [`backend_incoming_bytes_total{backend=[fd00:1::1]:6443,forward=masq,${inIpv6}}`, 2 ** 64],
    [`service_outgoing_bytes_total{${inIpv6}}`, 1_409],
    ["service_incoming_bytes_total{protocol=udp,service=10.96.0.10:53}", 1_403],
    ["service_connections_total{protocol=fwmark,service=0x7}", 7],
    [
      "backend_incoming_packets_total{backend=10.1.0.15:0,forward=route,protocol=fwmark," +
      "service=0x7}",
      29,
    ],
  ] as const;
  const found = wanted.map(([key]) => [key, values.get(`ipvs_${key}`)]);
  assert.deepEqual(found, wanted);
  assert.equal([...values.keys()].filter((key) => /^ipvs_s.*_bytes_total/.test(key)).length, 10);
});

Deno.test("ipvs says how many servers netlink did not tell of", () => {
  const files = captured(ipvs, "netns");
  const unread = (traffic: string) =>
    valuesOf(ipvs, { ...files, "netlink/ipvs": traffic }).get("ipvs_servers_unread");
  const traffic = files["netlink/ipvs"];
  assert.equal(unread(traffic), 0);
  assert.equal(unread(""), 11);
  assert.equal(unread(traffic.replace(/FWM [^]*/, "")), 2);
  // One that was made between the two readings.
  assert.equal(unread(`${traffic}-> 0A010010:0000 Route 0 0 0 0 0\n`), 0);
});

Deno.test("ipvs says which line of netlink's table makes no sense", () => {
  const files = captured(ipvs, "netns");
  const text = files["netlink/ipvs"];
  const cases: readonly (readonly [string, RegExp])[] = [
    [text.replace("Conns", "Cons"), /line 1 of "netlink\/ipvs": expected the heading/],
    [text.replace("TCP 0A600001:01BB 5", "TCP 0A600001:01BB"), /line 2 .*: expected a virtual/],
    [text.replace("TCP 0A600001:01BB", "TCP 0A60:01BB"), /line 2 .*: expected an address/],
    [text.replace(/TCP .*\n/, ""), /line 2 .*: expected a virtual or a real server/],
    [text.replace("0A01000E:0035 T", "0A01000E T"), /line 8 .*: expected an address/],
    [text.replace("Tunnel 23 23", "Tunnel 23 x"), /line 8 .*: expected a virtual or a real/],
    [text.replace("FWM 00000007", "FWM 7"), /line 11 .*: expected a mark of 8 digits/],
    [text.replace("9001", "9".repeat(21)), /line 2 .*: expected a number/],
    [text.trimEnd(), /line 12 .*: the text ends inside/],
  ];
  for (const [wrong, message] of cases) {
    assert.throws(() => valuesOf(ipvs, { ...files, "netlink/ipvs": wrong }), {
      name: "SyntaxError",
      message,
    });
  }
});
