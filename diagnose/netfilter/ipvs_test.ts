import assert from "node:assert/strict";
import { AROUND, endsOf, namespaceWith, only, packetOf, saved } from "../../tests/made_rules.ts";
import { type Packet, TCP_FLAGS } from "../packet/packet.ts";
import { translated } from "./nat.ts";
import { type Hook, Netfilter, type Outcome, type Surroundings } from "./netfilter.ts";

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

/** With connections in conntrack, too, as kube-proxy has it. */
const TRACKED = { sysctls: { "net/ipv4/vs/conntrack": "1" } };

function run(port: number, protocol = 6, to = "10.96.0.10", mark = 0): readonly Outcome[] {
  return asked(TEXT, packetOf(fromFor(to), to, port, { protocol, mark }));
}

function fromFor(to: string): string {
  return to.includes(":") ? "fd44::9" : "10.244.1.2";
}

function asked(
  ipvs: string,
  packet: Packet,
  { hook = "input", ...around }: Partial<Surroundings> & { readonly hook?: Hook } = {},
  more = {},
): readonly Outcome[] {
  return new Netfilter(namespaceWith({ ipvs, ...more })).run(hook, packet, {
    ...AROUND,
    ...around,
  });
}

const TO_SERVICE = packetOf("10.244.1.2", "10.96.0.10", 80);

/** One service with one server. */
const ONE = `TCP  0A60000A:0050 rr
  -> 0AF40202:1F90      Masq    1      0          0
`;

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

Deno.test("IPVS expects the answer from the server that it chose, where conntrack is told", () => {
  const { connection } = only(asked(ONE, TO_SERVICE, {}, TRACKED)).packet;
  const { state, reply, original } = connection;
  assert.deepEqual([state, reply.sourcePort, reply.source.bits], ["new", 8080, 0x0af40202n]);
  assert.equal(original.destination.bits, 0x0a60000an);
  assert.equal(translated(connection, "destination"), false);
  assert.equal(only(asked(ONE, TO_SERVICE)).packet.connection.state, "untracked");
});

Deno.test("IPVS schedules what opens a connection, once, and what follows it follows", () => {
  const first = only(asked(ONE, TO_SERVICE));
  assert.equal(first.verdict, "stolen");
  assert.equal(only(asked(ONE, first.packet, { hook: "output" })).verdict, "accept");
  const ack = { ...TO_SERVICE, tcpFlags: TCP_FLAGS.ack };
  assert.equal(only(asked(ONE, ack)).verdict, "accept");
  const { served } = first;
  assert.ok(served !== undefined);
  const two = TEXT.replace("0AF40203:1F90      Masq    0", "0AF40203:1F90      Masq    5");
  const next = only(asked(two, ack, { served: [served] }));
  assert.deepEqual([next.verdict, next.server?.address.bits], ["stolen", 0x0af40202n]);
  assert.equal(next.served, undefined);
});

Deno.test("IPVS gives a server's answer the service's address, where the kernel does it", () => {
  const { served } = only(asked(ONE, TO_SERVICE));
  assert.ok(served !== undefined);
  const answer = packetOf("10.244.2.2", "10.244.1.2", 40_000, {
    sourcePort: 8080,
    tcpFlags: TCP_FLAGS.syn | TCP_FLAGS.ack,
  });
  const back = (hook: Hook, packet = answer, more = {}) => {
    const { packet: seen } = only(asked(ONE, packet, { hook, served: [served] }, more));
    return `${endsOf(seen)} ${seen.connection.state}`;
  };
  const { connection } = only(asked(ONE, TO_SERVICE, {}, TRACKED)).packet;
  const known = {
    ...answer,
    connection: { ...connection, state: "established", direction: "reply" },
  } as const;
  const toClient = "10.96.0.10:80 > 10.244.1.2:40000";
  for (const hook of ["forward", "input", "output"] as const) {
    assert.equal(back(hook), `${toClient} untracked`);
    assert.equal(back(hook, known, TRACKED), `${toClient} established`);
  }
  assert.match(back("prerouting"), /^10\.244\.2\.2:8080 /);
  assert.match(back("postrouting", known, TRACKED), /^10\.244\.2\.2:8080 /);
  // Rules of the table filter come before, and see the server.
  const drops = (from: string) => {
    const rules = { iptablesLegacy: saved({ filter: `-A FORWARD -s ${from} -j DROP` }) };
    return only(asked(ONE, answer, { hook: "forward", served: [served] }, rules)).verdict;
  };
  assert.deepEqual([drops("10.96.0.10"), drops("10.244.2.2")], ["accept", "drop"]);
});

Deno.test("IPVS leaves a server of its own namespace to the hooks that follow", () => {
  const addressType = () => "local";
  const own = only(asked(ONE, TO_SERVICE, { addressType }));
  assert.deepEqual([own.verdict, endsOf(own.packet)], [
    "accept",
    "10.244.1.2:40000 > 10.244.2.2:8080",
  ]);
  const sent = only(asked(ONE, TO_SERVICE, { addressType, hook: "output" }));
  assert.deepEqual([sent.verdict, sent.rerouted], ["accept", true]);
  const loopback = packetOf("127.0.0.1", "10.96.0.10", 80);
  assert.equal(only(asked(ONE, loopback, { hook: "output" })).verdict, "drop");
  const here = only(asked(ONE, loopback, { addressType, hook: "output" }));
  assert.equal(here.verdict, "accept");
});

Deno.test("IPVS by a hash may choose a server of weight 0, and refuse", () => {
  const verdicts = (scheduler: string) =>
    asked(TEXT.replace("0050 rr", `0050 ${scheduler}`), TO_SERVICE).map(({ verdict }) => verdict);
  assert.deepEqual(verdicts("sh"), ["stolen", "stolen", "reject"]);
  assert.deepEqual(verdicts("lc"), ["stolen", "stolen"]);
});

Deno.test("IPVS asks the mark of TCP, UDP and SCTP alone, in the family of the servers", () => {
  const byMark = ONE.replace("TCP  0A60000A:0050", "FWM  00000007");
  const verdict = (protocol: number, to = "10.9.9.9") =>
    only(asked(byMark, packetOf(fromFor(to), to, 80, { protocol, mark: 7 }))).verdict;
  assert.deepEqual([6, 17, 132, 1].map((protocol) => verdict(protocol)), [
    ...["stolen", "stolen", "stolen", "accept"],
  ]);
  assert.equal(verdict(6, "fd96::9"), "accept");
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
