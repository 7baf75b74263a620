import assert from "node:assert/strict";
import { AROUND, endsOf, namespaceWith, only, packetOf } from "../../tests/made_rules.ts";
import { Netfilter, type Outcome } from "./netfilter.ts";

const TEXT = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A60000A:0050 rr
  -> 0AF40202:1F90      Masq    1      0          0
  -> 0AF40203:1F90      Masq    0      0          0
  -> 0AF40204:1F90      Masq    1      0          0
UDP  0A60000A:0035 wrr
  -> 0AF40205:0035      Masq    3      0          0
  -> 0AF40206:0035      Route   1      0          0
TCP  [fd96:0000:0000:0000:0000:0000:0000:000a]:01BB sh
  -> [fd44:0000:0000:0000:0000:0000:0000:0002]:01BB      Tunnel  1      0          0
FWM  00000007 rr
TCP  0A60000B:0050 rr persistent 10800 FFFFFFFF
  -> 0AF40207:0050      Masq    0      0          0
`;

function run(port: number, protocol = 6, to = "10.96.0.10", mark = 0): readonly Outcome[] {
  const rules = new Netfilter(namespaceWith({ ipvs: TEXT }));
  const from = to.includes(":") ? "fd44::9" : "10.244.1.2";
  return rules.run("input", packetOf(from, to, port, { protocol, mark }), AROUND);
}

Deno.test("IPVS sends to each server that has a weight, with its chance", () => {
  assert.deepEqual(
    run(80).map(({ verdict, packet, chance, server }) => [
      verdict,
      endsOf(packet),
      chance,
      server?.port,
    ]),
    ["10.244.2.2", "10.244.2.4"].map((
      to,
    ) => ["stolen", `10.244.1.2:40000 > ${to}:8080`, 0.5, 8080]),
  );
  const weighted = run(53, 17);
  assert.deepEqual(weighted.map(({ chance }) => chance), [0.75, 0.25]);
  assert.deepEqual(weighted.map(({ server }) => server?.mode), ["masq", "route"]);
  assert.equal(weighted[1] && endsOf(weighted[1].packet), "10.244.1.2:40000 > 10.96.0.10:53");
});

Deno.test("IPVS expects the answer from the server that it chose", () => {
  const [first] = run(80);
  const { reply } = first?.packet.connection ?? assert.fail();
  assert.deepEqual([reply.sourcePort, reply.source.bits], [8080, 0x0af40202n]);
});

Deno.test("IPVS refuses where no server has a weight, and names the service", () => {
  const none = only(run(80, 6, "10.96.0.11"));
  assert.equal(none.verdict, "reject");
  assert.match(none.because ?? "", /no server with a weight above 0/);
  assert.deepEqual([none.by?.engine, none.by?.number], ["ipvs", 5]);
  assert.equal(only(run(1, 6, "10.96.0.99", 7)).verdict, "reject");
});

Deno.test("IPVS leaves other packets alone, and knows IPv6", () => {
  assert.equal(only(run(81)).verdict, "accept");
  const six = only(run(443, 6, "fd96::a"));
  assert.deepEqual([six.verdict, six.server?.mode], ["stolen", "tunnel"]);
});

Deno.test("IPVS does not know what a damaged list leaves out", () => {
  const rules = new Netfilter(namespaceWith({ ipvs: `${TEXT}TCP  0A6` }));
  const other = only(rules.run("input", packetOf("10.244.1.2", "10.9.9.9", 80), AROUND));
  assert.equal(other.verdict, "unknown");
});
