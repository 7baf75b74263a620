// testdata/: Linux 6.18.44; `cat /proc/1/net/sockstat` and `…/sockstat6` (host), and `ip netns exec
// X cat /proc/self/net/…` (netns) with 16 TCP sockets of IPv4, 11 of IPv6, 3 in TIME_WAIT, 2 UDP
// each, 2 UDP-Lite and 1 raw.
import assert from "node:assert/strict";
import { captured, valuesOf } from "../../tests/captures.ts";
import sock from "./sock.ts";

const netns = captured(sock, "netns");
const OF_NODE = [
  "sock_tcp_orphan",
  "sock_tcp_alloc",
  "sock_tcp_memory_pages",
  "sock_udp_memory_pages",
];

Deno.test("sock gives a namespace its own figures, and none of the whole node", () => {
  const values = valuesOf(sock, netns);
  assert.deepEqual(Object.fromEntries(values), {
    "sock_used": 34,
    "sock_tcp_inuse{family=ipv4}": 16,
    "sock_tcp_inuse{family=ipv6}": 11,
    "sock_tcp_tw": 3,
    "sock_udp_inuse{family=ipv4}": 2,
    "sock_udp_inuse{family=ipv6}": 2,
    "sock_udplite_inuse{family=ipv4}": 2,
    "sock_udplite_inuse{family=ipv6}": 0,
    "sock_raw_inuse{family=ipv4}": 1,
    "sock_raw_inuse{family=ipv6}": 0,
    "sock_frag_inuse{family=ipv4}": 0,
    "sock_frag_inuse{family=ipv6}": 0,
    "sock_frag_memory_bytes{family=ipv4}": 0,
    "sock_frag_memory_bytes{family=ipv6}": 0,
  });
});

Deno.test("sock gives the whole node's figures on the host, where they are true", () => {
  const values = valuesOf(sock, netns, { host: true });
  assert.deepEqual(OF_NODE.map((metric) => values.get(metric)), [0, 28, 0, 0]);
});

Deno.test("sock goes on with IPv4 where the node has no IPv6", () => {
  const values = valuesOf(sock, { ...netns, "net/sockstat6": "" }, { host: true });
  assert.equal(values.get("sock_tcp_inuse{family=ipv4}"), 16);
  assert.equal(values.size, 13 - 1);
});

Deno.test("sock gives what it does not know as what the host has", () => {
  const files = { "net/sockstat": "NEW: in-use 5\n", "net/sockstat6": "" };
  assert.deepEqual([...valuesOf(sock, files)], []);
  assert.deepEqual([...valuesOf(sock, files, { host: true })], [
    ["sock_unlisted{field=NEW_in_use}", 5],
  ]);
});

Deno.test("sock says which line makes no sense", () => {
  const cases: Record<string, RegExp> = {
    "TCP: inuse\n": /^Cannot parse line 1 of "net\/sockstat": expected names and numbers, found/,
    "TCP: inuse 1\nTCP: inuse 1\n": /line 2 .*: "TCP\.inuse" is there twice$/,
    "TCP: inuse many\n": /line 1 .*: expected a number, found "many"$/,
    "TCP inuse 1\n": /line 1 .*: expected names and numbers/,
    "TCP: inuse 1": /line 1 .*: the text ends inside of/,
  };
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => valuesOf(sock, { ...netns, "net/sockstat": text }), {
      name: "SyntaxError",
      message,
    });
  }
});
