import assert from "node:assert/strict";
import { packetsOf, readCounters } from "./counters.ts";

Deno.test("counters that tell something are read from each of the kernel's tables", () => {
  const snmp = "Ip: Forwarding InAddrErrors OutNoRoutes\nIp: 1 17 3\n" +
    "Udp: InDatagrams NoPorts\nUdp: 23 5\n";
  const netstat = "TcpExt: SyncookiesSent ListenDrops\nTcpExt: 1 7\n" +
    "IpExt: InNoRoutes InOctets\nIpExt: 11 13\n";
  const snmp6 = "Ip6InReceives\t2\nIp6InNoRoutes                  \t19\nUdp6NoPorts 29\n";
  assert.deepEqual(
    Object.fromEntries(readCounters([snmp, netstat, -2, snmp6])),
    {
      ...{ IpInAddrErrors: 17n, IpOutNoRoutes: 3n, UdpInDatagrams: 23n, UdpNoPorts: 5n },
      ...{ TcpExtListenDrops: 7n, IpExtInNoRoutes: 11n, Ip6InNoRoutes: 19n, Udp6NoPorts: 29n },
    },
  );
  assert.equal(readCounters(["nonsense", "", "Ip: a\nIp: -1\n"]).size, 0);
});

Deno.test("the packets of a rule and of a policy are read from what iptables lists", () => {
  const rule =
    "      41     2460 DROP       6    --  *      *       0.0.0.0/0   0.0.0.0/0   dpt:81\n";
  assert.equal(packetsOf(rule), 41n);
  const policy = "Chain FORWARD (policy DROP 13 packets, 780 bytes)\n" +
    "    pkts      bytes target     prot opt in     out     source               destination\n";
  assert.equal(packetsOf(policy), 13n);
  assert.equal(packetsOf(""), undefined);
});
