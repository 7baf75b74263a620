import assert from "node:assert/strict";
import { UNITS } from "../../tests/fake_units.ts";
import { meaningOf } from "./names.ts";
import { nearest, suggestion } from "./nearest.ts";

function meant(name: string): string[] {
  return meaningOf(name, UNITS).units.map((unit) => unit.name);
}

Deno.test("every name that the predecessors' documents use for a probe means something", () => {
  const names = "Procfd flow insp_conntrack insp_ipvs insp_kernellatency insp_netiftxlat " +
    "insp_netsoftirq insp_packetloss insp_qdisc insp_socketlatency insp_virtcmdlatency procio " +
    "procnetdev procnetstat procsnmp procsock procsoftnet proctcpsummary netdev io " +
    "socketlatency packetloss net_softirq tcpext tcpsummary tcp sock softnet udp " +
    "virtcmdlatency kernellatency tcpreset conntrack biolatency netif_txlatency " +
    "netiftxlatency netsoftirq virtcmdLatency netiftxlat qdisc fd ip ipvs tcp_reset " +
    "socketlatancy biolatancy tcpretrans rdma softirq";
  for (const name of names.split(" ")) {
    const { units, absent, unknown } = meaningOf(name, UNITS);
    assert.equal(unknown, undefined, name);
    assert(units.length + absent.length > 0, name);
  }
});

Deno.test("a name means a unit by its own name, an alias or a predecessor's, in any case", () => {
  assert.deepEqual(meant("tcpreset"), ["tcpreset"]);
  assert.deepEqual(meant("reset"), ["tcpreset"]);
  assert.deepEqual(meant("TCP_Reset"), ["tcpreset"]);
  assert.deepEqual(meant("insp_packetloss"), ["packetloss"]);
  assert.deepEqual(meant("procsnmp"), ["tcp", "udp", "ip"]);
  assert.deepEqual(meaningOf("netiftxlatency", UNITS).absent, ["netiftxlat"]);
});

Deno.test("of a name for several units, those that this build has are meant", () => {
  const some = UNITS.filter(({ name }) => name !== "udp");
  const { units, absent } = meaningOf("procsnmp", some);
  assert.deepEqual(units.map(({ name }) => name), ["tcp", "ip"]);
  assert.deepEqual(absent, ["udp"]);
});

Deno.test("the nearest word is found across one slip, and none across many", () => {
  const words = ["packetloss", "tcpreset", "io", "netdev"];
  assert.equal(nearest("packetlos", words), "packetloss");
  assert.equal(nearest("pakcetloss", words), "packetloss");
  assert.equal(nearest("TCPRESET", words), "tcpreset");
  assert.equal(nearest("oi", words), "io");
  assert.equal(nearest("banana", words), undefined);
  assert.equal(nearest("x".repeat(100_000), words), undefined);
  assert.equal(suggestion("banana", words), "allowed are packetloss, tcpreset, io, netdev");
});
