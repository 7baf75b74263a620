// testdata/: Linux 5.10.0 (Debian 11); `cat /proc/net/ip_vs_stats` after ten connections, whose
// line of totals is recorded. The headings and the rates, 0, are put around it from
// net/netfilter/ipvs/ip_vs_ctl.c. Of Linux 6.12.107: `cat /proc/net/ip_vs`, with five connections
// to one server and three to another, of which two are closed.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import ipvs from "./ipvs.ts";

Deno.test("ipvs reads hexadecimal figures, and packets are not bytes", () => {
  const files = { ...captured(ipvs, "netns"), "net/ip_vs": "", "netlink/ipvs": "" };
  assert.deepEqual(Object.fromEntries(valuesOf(ipvs, files)), {
    ipvs_servers_unread: 0,
    ipvs_connections_total: 10,
    ipvs_incoming_packets_total: 41,
    ipvs_outgoing_packets_total: 40,
    ipvs_incoming_bytes_total: 2212,
    ipvs_outgoing_bytes_total: 2200,
  });
});

Deno.test("ipvs reads figures that are wider than their columns", () => {
  const files = captured(ipvs, "netns");
  const text = files["net/ip_vs_stats"].replace("      29", "12345678AB");
  const values = valuesOf(ipvs, { ...files, "net/ip_vs_stats": text });
  assert.equal(values.get("ipvs_incoming_packets_total"), 0x12345678ab);
});

Deno.test("ipvs says which line makes no sense", () => {
  const files = captured(ipvs, "netns");
  const text = files["net/ip_vs_stats"];
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /^Cannot parse line 1 of "net\/ip_vs_stats": the file is empty$/],
    [text.replace("Total", "Sum"), /line 1 .*: expected the heading/],
    [text.replace("8A4", "8G4"), /line 3 .*: expected hexadecimal digits, found "8G4"$/],
    [text.replace("8A4", ""), /line 3 .*: 4 figures for 5 columns$/],
  ];
  for (const [wrong, message] of cases) {
    assert.throws(() => valuesOf(ipvs, { ...files, "net/ip_vs_stats": wrong }), {
      name: "SyntaxError",
      message,
    });
  }
});

Deno.test("ipvs has the real servers of each virtual one, IPv4, IPv6 and by mark", () => {
  const values = valuesOf(ipvs, captured(ipvs, "netns"));
  const https = "protocol=tcp,service=10.96.0.1:443";
  const inIpv6 = "forward=masq,protocol=tcp,service=[fd00:96::1]:443";
  const wanted = [
    ["service_backends{protocol=tcp,scheduler=rr,service=10.96.0.1:443}", 2],
    ["service_backends_available{protocol=tcp,scheduler=rr,service=10.96.0.1:443}", 1],
    [`backend_weight{backend=10.1.0.12:6443,forward=masq,${https}}`, 0],
    [`backend_active_connections{backend=10.1.0.1:6443,forward=masq,${https}}`, 3],
    [`backend_inactive_connections{backend=10.1.0.1:6443,forward=masq,${https}}`, 2],
    [`backend_active_connections{backend=[fd00:1::1]:6443,${inIpv6}}`, 3],
    [`backend_weight{backend=[fd00:1::1]:6443,${inIpv6}}`, 2],
    ["service_backends{protocol=udp,scheduler=rr,service=10.96.0.10:53}", 1],
    ["backend_weight{backend=10.1.0.15:0,forward=route,protocol=fwmark,service=0x7}", 1],
  ] as const;
  const found = wanted.map(([key]) => [key, values.get(`ipvs_${key}`)]);
  assert.deepEqual(found, wanted);
  assert.equal([...values.keys()].filter((key) => key.startsWith("ipvs_service_b")).length, 10);
});

Deno.test("ipvs reads 4,096 servers, and says how many there are beyond", () => {
  const files = captured(ipvs, "netns");
  const [, real = ""] = /( {2}-> 0A01000F.*\n)/.exec(files["net/ip_vs"]) ?? [];
  const values = valuesOf(ipvs, files);
  assert.equal(values.get("ipvs_servers_left_out"), 0);
  const more = Array.from(
    { length: 4_096 },
    (_, index) =>
      real.replace("0A01000F", `0A02${index.toString(16).toUpperCase().padStart(4, "0")}`),
  );
  const many = valuesOf(ipvs, { ...files, "net/ip_vs": files["net/ip_vs"] + more.join("") });
  assert.equal(many.get("ipvs_servers_left_out"), 11);
  assert.equal([...many.keys()].filter((key) => key.startsWith("ipvs_backend_w")).length, 4_091);
});

Deno.test("ipvs says which line of the list of servers makes no sense", () => {
  const files = captured(ipvs, "netns");
  const text = files["net/ip_vs"];
  const cases: readonly (readonly [string, RegExp])[] = [
    [text.replace("Prot", "Port"), /line 2 of "net\/ip_vs": expected the heading/],
    [text.replace("0A600001:01BB", "0A60:01BB"), /line 4 .*: expected an address, found "0A60:/],
    [text.replace("Route   3", "Route   x"), /line 12 .*: expected a virtual or a real server/],
    [text.replace(/TCP .*\n/, ""), /line 4 .*: expected a virtual or a real server/],
    [text.replace("FWM  00000007", "FWM  7"), /line 13 .*: expected a mark of 8 digits/],
  ];
  for (const [wrong, message] of cases) {
    assert.throws(() => valuesOf(ipvs, { ...files, "net/ip_vs": wrong }), {
      name: "SyntaxError",
      message,
    });
  }
});
