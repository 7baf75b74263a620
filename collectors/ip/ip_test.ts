// testdata/: Linux 6.18.44; `cat /proc/1/net/snmp`, `…/netstat`, `…/snmp6` (host), and `ip netns
// exec X cat /proc/self/net/…` (netns) after 37 pings over IPv4, 41 over IPv6, and datagrams to
// closed ports (19 and 23).
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import ip from "./ip.ts";

const netns = captured(ip, "netns");

Deno.test("ip joins the tables of IPv4, and sets IPv6 beside it", () => {
  const values = valuesOf(ip, netns);
  const expected = {
    "ip_forwarding{family=ipv4}": 2,
    "ip_default_ttl{family=ipv4}": 64,
    "ip_in_receives_total{family=ipv4}": 316,
    "ip_in_receives_total{family=ipv6}": 140,
    "ip_in_bytes_total{family=ipv4}": 17_170,
    "ip_in_bytes_total{family=ipv6}": 10_885,
    "ip_out_mcast_pkts_total{family=ipv6}": 7,
    "ip_icmp_out_echos_total{family=ipv4}": 37,
    "ip_icmp_out_echos_total{family=ipv6}": 41,
    "ip_icmp_in_echo_reps_total{family=ipv6}": 41,
    "ip_icmp_out_dest_unreachs_total{family=ipv4}": 19,
    "ip_icmp_out_dest_unreachs_total{family=ipv6}": 23,
  };
  for (const [key, value] of Object.entries(expected)) assert.equal(values.get(key), value, key);
});

Deno.test("ip counts ICMP by the number of its type", () => {
  const types = [...valuesOf(ip, netns)].filter(([key]) => key.startsWith("ip_icmp_types_total"));
  assert.deepEqual(Object.fromEntries(types), {
    "ip_icmp_types_total{direction=in,family=ipv4,type=0}": 37,
    "ip_icmp_types_total{direction=in,family=ipv4,type=3}": 19,
    "ip_icmp_types_total{direction=out,family=ipv4,type=3}": 19,
    "ip_icmp_types_total{direction=out,family=ipv4,type=8}": 37,
    "ip_icmp_types_total{direction=in,family=ipv6,type=1}": 23,
    "ip_icmp_types_total{direction=in,family=ipv6,type=129}": 41,
    "ip_icmp_types_total{direction=in,family=ipv6,type=136}": 1,
    "ip_icmp_types_total{direction=out,family=ipv6,type=1}": 23,
    "ip_icmp_types_total{direction=out,family=ipv6,type=128}": 41,
    "ip_icmp_types_total{direction=out,family=ipv6,type=133}": 1,
    "ip_icmp_types_total{direction=out,family=ipv6,type=135}": 2,
    "ip_icmp_types_total{direction=out,family=ipv6,type=143}": 4,
  });
});

Deno.test("ip has a name for every field that the kernel prints", () => {
  for (const capture of ["host", "netns"]) {
    const values = valuesOf(ip, captured(ip, capture));
    assert.deepEqual([...values.keys()].filter((key) => key.startsWith("ip_unlisted")), []);
  }
});

Deno.test("ip goes on with IPv4 where the node has no IPv6, and without the second table", () => {
  const values = valuesOf(ip, { ...netns, "net/netstat": "", "net/snmp6": "" });
  assert.equal([...values.keys()].filter((key) => key.includes("ipv6")).length, 0);
  assert.equal(values.get("ip_in_receives_total{family=ipv4}"), 316);
  assert.equal(values.get("ip_icmp_out_echos_total{family=ipv4}"), 37);
});

Deno.test("ip gives the two names that the predecessor documented and never had", () => {
  for (
    const [metric, name] of [["ip_in_no_routes_total", "ipinnoroutes"], [
      "ip_in_truncated_pkts_total",
      "ipintruncatedpkts",
    ]]
  ) {
    assert.deepEqual(ip.metrics[metric ?? ""]?.alias, {
      kubeskoop: [name?.replace("ip", "ip_")],
      inspector: [name],
      where: { family: "ipv4" },
    });
  }
});

Deno.test("ip says that a table is missing", () => {
  assert.throws(() => valuesOf(ip, { ...netns, "net/snmp": "Ip: InReceives\nIp: 3\n" }), {
    name: "SyntaxError",
    message: 'Cannot parse line 2 of "net/snmp": the table "Icmp" is missing',
  });
});
