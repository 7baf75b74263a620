/**
 * Rules of which a verdict was once false. What the kernel does with each was seen on Linux 6.18,
 * by counters, and by marks of packets that passed.
 */
import assert from "node:assert/strict";
import { AROUND, namespaceWith, only, packetOf } from "../../tests/made_rules.ts";
import { type Packet, PROTOCOLS } from "../packet/packet.ts";
import { type Hook, type Layer, Netfilter, type Outcome, type Surroundings } from "./netfilter.ts";

interface Asked {
  readonly hook?: Hook;
  readonly family?: string;
  readonly type?: string;
  readonly layer?: Layer;
  readonly packet?: Packet;
  readonly around?: Partial<Surroundings>;
}

const TCP = packetOf("10.0.0.2", "10.0.1.3", 80);
const TCP6 = packetOf("fd00::2", "fd01::3", 80);
const UDP = packetOf("10.0.0.2", "10.0.1.3", 53, {
  ...{ protocol: PROTOCOLS.udp, length: 29 },
});
const DEVICES: Readonly<Record<string, number>> = { eth0: 1, eth1: 1, lo: 772, tunl0: 768 };

/** What a rule of one chain comes to. */
function outcomeOf(expressions: readonly unknown[], asked: Asked = {}): Outcome {
  const { hook = "forward", family = "inet", layer = "ip", type = "filter" } = asked;
  const own = { family, table: "t" };
  const device = hook === "ingress" ? "eth0" : "eth1";
  const at = hook === "ingress" || hook === "egress" ? { dev: device } : {};
  const base = { name: "c", handle: 1, type, hook, prio: 0, policy: "accept" };
  const nft = JSON.stringify({
    nftables: [
      { table: { family, name: "t", handle: 1 } },
      { chain: { ...own, ...base, ...at } },
      { rule: { ...own, chain: "c", handle: 2, expr: expressions } },
    ],
  });
  const around = {
    ...{ ...AROUND, inDevice: "eth0", outDevice: "eth1" },
    device: (name: string) => ({ index: 1, group: 0, type: DEVICES[name] ?? 1 }),
    ...asked.around,
  };
  return only(new Netfilter(namespaceWith({ nft })).run(hook, asked.packet ?? TCP, around, layer));
}

const drop = { drop: null };
const match = (left: unknown, right: unknown, op = "==") => [{ match: { op, left, right } }, drop];
const says = (expected: string, expressions: readonly unknown[], asked?: Asked) =>
  assert.equal(outcomeOf(expressions, asked).verdict, expected, JSON.stringify(expressions));

Deno.test("nft finds no option of TCP in what is no TCP, and does not know those of TCP", () => {
  const missing = match({ "tcp option": { name: "sack-perm" } }, false);
  says("drop", missing, { packet: UDP });
  says("unknown", missing);
  says("accept", match({ "tcp option": { name: "maxseg", field: "size" } }, 5, "!="), {
    packet: UDP,
  });
});

Deno.test("nft has headers and options of one family in that family alone", () => {
  const option = match({ "ip option": { name: "rr" } }, false);
  says("drop", option);
  says("accept", option, { packet: TCP6 });
  says("accept", match({ "ip option": { name: "rr", field: "ptr" } }, 5, "!="));
  const header = match({ exthdr: { name: "hbh" } }, false);
  says("drop", header, { packet: TCP6 });
  says("accept", header);
});

Deno.test("nft asks Ethernet's header of a device that has none in vain", () => {
  const ether = match({ payload: { protocol: "ether", field: "type" } }, "ip");
  says("drop", ether);
  for (const inDevice of ["lo", "tunl0"]) says("accept", ether, { around: { inDevice } });
});

Deno.test("nft knows bits of a connection's status by themselves alone", () => {
  const status = { ct: { key: "status" } };
  says("accept", match(status, "dnat", "in"));
  says("unknown", match(status, "dying", "in"));
  says("unknown", match(status, { set: [0, "confirmed"] }));
  says("unknown", match(status, 0));
  const answered = { ...TCP, connection: { ...TCP.connection, state: "established" as const } };
  says("drop", match(status, "seen-reply", "in"), { packet: answered });
  says("unknown", match(status, "assured", "in"), { packet: answered });
  says("accept", match(status, "assured", "in"));
});

Deno.test("nft counts the packet itself for a quota", () => {
  const over = [{ quota: { val: 1, val_unit: "bytes", inv: true } }, drop];
  says("drop", over);
  says("accept", [{ quota: { val: 1, val_unit: "mbytes", inv: true } }, drop]);
});

Deno.test("nft does not know whose type iiftype is behind routing, unless both are alike", () => {
  const ether = match({ meta: { key: "iiftype" } }, "ether");
  says("drop", ether, { hook: "postrouting" });
  says("unknown", ether, { hook: "postrouting", around: { inDevice: "tunl0" } });
  const { inDevice: _, ...sent } = { ...AROUND, inDevice: undefined, outDevice: "eth1" };
  const own = { ...sent, device: () => ({ index: 1, group: 0, type: 1 }) };
  says("drop", ether, { around: { inDevice: "eth0" }, hook: "input" });
  assert.equal(verdictOfSent(ether, "output", own), "accept");
  assert.equal(verdictOfSent(ether, "postrouting", own), "unknown");
});

/** Of what the namespace itself sends. */
function verdictOfSent(expressions: readonly unknown[], hook: Hook, around: Surroundings): string {
  const own = { family: "inet", table: "t" };
  const base = { name: "c", handle: 1, type: "filter", hook, prio: 0, policy: "accept" };
  const nft = JSON.stringify({
    nftables: [
      { table: { family: "inet", name: "t", handle: 1 } },
      { chain: { ...own, ...base } },
      { rule: { ...own, chain: "c", handle: 2, expr: expressions } },
    ],
  });
  return only(new Netfilter(namespaceWith({ nft })).run(hook, TCP, around)).verdict;
}

Deno.test("nft does not know what a bridge's rules see of connections and of frames", () => {
  const bridge = { family: "bridge", layer: "bridge" } as const;
  says("unknown", match({ ct: { key: "state" } }, "established", "in"), bridge);
  says("unknown", match({ ct: { key: "mark" } }, 0), bridge);
  says("unknown", match({ meta: { key: "pkttype" } }, "host"), bridge);
  says("unknown", match({ meta: { key: "pkttype" } }, "host"), {
    family: "netdev",
    hook: "ingress",
  });
});

Deno.test("nft counts the frame's header where a device sends it", () => {
  const long = match({ meta: { key: "length" } }, 60);
  says("drop", long);
  says("accept", long, { family: "netdev", hook: "egress" });
  const framed = match({ meta: { key: "length" } }, 74);
  says("drop", framed, { family: "netdev", hook: "egress" });
  says("unknown", framed, {
    ...{ family: "netdev", hook: "egress" },
    around: { device: () => ({ index: 1, group: 0, type: 768 }) },
  });
});

const setting = (key: unknown, value: unknown) => [{ mangle: { key, value } }];
const field = (protocol: string, name: string) => ({ payload: { protocol, field: name } });

Deno.test("nft does not know what becomes of a packet whose headers a rule rewrites", () => {
  for (
    const key of [
      ...[field("ether", "daddr"), field("ether", "saddr"), field("ip", "protocol")],
      ...[field("ip", "length"), field("ip", "frag-off"), field("tcp", "flags")],
      ...[field("tcp", "sequence"), { meta: { key: "pkttype" } }, { meta: { key: "broute" } }],
    ]
  ) says("unknown", setting(key, 1));
  says("accept", setting(field("ip", "id"), 1));
  says("accept", setting({ meta: { key: "priority" } }, 1));
  const moved = outcomeOf(setting(field("ip", "daddr"), "10.9.9.9"));
  assert.equal(moved.packet.destination.bits, 0x0a090909n);
});

Deno.test("nft does not know the connection of a packet with another end before conntrack", () => {
  const own = { family: "inet", table: "t" };
  const base = { name: "c", handle: 1, type: "filter", hook: "prerouting", policy: "accept" };
  const outcome = (prio: number, expressions: readonly unknown[]) => {
    const nft = JSON.stringify({
      nftables: [
        { table: { family: "inet", name: "t", handle: 1 } },
        { chain: { ...own, ...base, prio } },
        { rule: { ...own, chain: "c", handle: 2, expr: expressions } },
      ],
    });
    const rules = new Netfilter(namespaceWith({ nft }));
    return only(rules.run("prerouting", TCP, { ...AROUND, inDevice: "eth0" }));
  };
  const verdict = (...asked: Parameters<typeof outcome>) => outcome(...asked).verdict;
  const [moves = {}] = setting(field("ip", "daddr"), "10.9.9.9");
  // NAT, which is asked later, puts nothing back that it has not translated.
  assert.equal(outcome(-150, [moves]).packet.destination.bits, 0x0a090909n);
  assert.equal(verdict(-300, [moves]), "unknown");
  assert.equal(verdict(-300, [{ notrack: null }, moves]), "accept");
  assert.equal(verdict(-150, [moves]), "accept");
});

Deno.test("nft takes a number that stands for a port for a port", () => {
  const redirected = outcomeOf([{
    redirect: { port: { numgen: { mode: "inc", mod: 1, offset: 8080 } } },
  }], {
    ...{ hook: "prerouting", type: "nat" },
    around: { addressOf: () => TCP.source },
  });
  assert.equal(redirected.packet.destinationPort, 8080);
  assert.equal(redirected.packet.destination.bits, TCP.source.bits);
});
