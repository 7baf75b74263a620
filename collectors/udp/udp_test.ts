// testdata/: Linux 6.18.44; `cat /proc/1/net/snmp` and `…/snmp6` (host), and `ip netns exec X cat
// /proc/self/net/…` (netns) after datagrams to closed ports (19 IPv4, 23 IPv6) and open ones (29
// IPv4, 31 IPv6, 2 UDP-Lite).
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import udp from "./udp.ts";

const netns = captured(udp, "netns");

Deno.test("udp tells the families and protocols apart", () => {
  const values = valuesOf(udp, netns);
  assert.equal(values.get("udp_no_ports_total{family=ipv4,protocol=udp}"), 19);
  assert.equal(values.get("udp_no_ports_total{family=ipv6,protocol=udp}"), 23);
  assert.equal(values.get("udp_in_datagrams_total{family=ipv4,protocol=udp}"), 29);
  assert.equal(values.get("udp_in_datagrams_total{family=ipv6,protocol=udp}"), 31);
  assert.equal(values.get("udp_in_datagrams_total{family=ipv4,protocol=udplite}"), 2);
  assert.equal(values.get("udp_in_datagrams_total{family=ipv6,protocol=udplite}"), 0);
  // Nine fields in each of four tables; UDP-Lite of IPv6 has no IgnoredMulti.
  assert.equal(values.size, 35);
});

Deno.test("udp gives IPv4 alone under the predecessor's names, as it had them", () => {
  const { alias } = udp.metrics["udp_rcvbuf_errors_total"] ?? {};
  assert.deepEqual(alias, {
    kubeskoop: ["udp_rcvbuferrors"],
    inspector: ["udprcvbuferrors"],
    where: { family: "ipv4", protocol: "udp" },
  });
});

Deno.test("udp goes on with IPv4 where the node has no IPv6", () => {
  const values = valuesOf(udp, { ...netns, "net/snmp6": "" });
  assert.equal(values.size, 18);
  assert.equal(values.get("udp_no_ports_total{family=ipv4,protocol=udp}"), 19);
});

Deno.test("udp goes on where the kernel has no UDP-Lite", () => {
  const files = { "net/snmp": "Udp: NoPorts\nUdp: 3\n", "net/snmp6": "Udp6NoPorts \t5\n" };
  assert.deepEqual([...valuesOf(udp, files).values()], [3, 5]);
});

Deno.test("udp says which line of which file makes no sense", () => {
  const cases: Record<string, RegExp> = {
    "Udp6NoPorts \t5\nUdp6InErrors\n":
      /^Cannot parse line 2 of "net\/snmp6": expected a name and a number, found "Udp6InErrors"$/,
    "Udp6NoPorts \t5\nUdp6NoPorts \t5\n": /line 2 .*: "Udp6NoPorts" is there twice$/,
    "Udp6NoPorts \t5\nUdp6InErrors \t5.5\n": /line 2 .*: expected a number, found "5\.5"$/,
    "Udp6NoPorts \t5": /line 1 .*: the text ends inside of/,
    "\n": /line 1 .*: expected a name and a number, found ""$/,
  };
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => valuesOf(udp, { ...netns, "net/snmp6": text }), {
      name: "SyntaxError",
      message,
    });
  }
});
