// testdata/services.json: Linux 6.18, nftables 1.0.6; `nft -j list ruleset` of services.nft
import assert from "node:assert/strict";
import { AROUND, endsOf, namespaceWith, only, packetOf } from "../../tests/made_rules.ts";
import type { Packet } from "../packet/packet.ts";
import { type Hook, Netfilter, type Outcome, type Surroundings } from "./netfilter.ts";

const JSON_TEXT = Deno.readTextFileSync(new URL("testdata/services.json", import.meta.url));

function run(
  hook: Hook,
  packet: Packet,
  around: Partial<Surroundings> = {},
  layer?: "ip" | "bridge",
): readonly Outcome[] {
  const rules = new Netfilter(namespaceWith({ nft: JSON_TEXT }));
  return rules.run(hook, packet, { ...AROUND, ...around }, layer);
}

/** A rule set of one chain, for what the capture does not have. */
function alone(
  hook: string,
  expressions: readonly unknown[],
  packet: Packet,
  more: readonly unknown[] = [],
): readonly Outcome[] {
  const own = { family: "inet", table: "t" };
  const nft = JSON.stringify({
    nftables: [
      { table: { family: "inet", name: "t", handle: 1 } },
      ...more,
      { chain: { ...own, name: "c", handle: 1, type: "filter", hook, prio: 0, policy: "accept" } },
      { rule: { ...own, chain: "c", handle: 2, expr: expressions } },
    ],
  });
  const rules = new Netfilter(namespaceWith({ nft }));
  return rules.run(hook === "input" ? "input" : "forward", packet, AROUND);
}

const POD = "10.244.1.2";

Deno.test("nft finds a service in a verdict map, and divides the way among its endpoints", () => {
  const outcomes = run("prerouting", packetOf(POD, "10.96.0.10", 80));
  assert.deepEqual(
    outcomes.map(({ packet, chance }) => [endsOf(packet), chance]),
    ["10.244.2.2", "10.244.2.3"].map((to) => [`10.244.1.2:40000 > ${to}:8080`, 0.5]),
  );
  assert.deepEqual(outcomes.map(({ packet }) => packet.mark), [0, 0]);
  const [first] = outcomes;
  const texts = first?.trace.map(({ chain, text }) => `${chain}: ${text}`) ?? [];
  assert.ok(texts.includes("prerouting: jump services"), texts.join("\n"));
  assert.ok(texts.includes("endpoint-1: meta l4proto tcp dnat to 10.244.2.2:8080"), `${texts}`);
});

Deno.test("nft marks what comes from elsewhere, and masquerades it", () => {
  const [first] = run("prerouting", packetOf("192.0.2.9", "10.96.0.10", 80));
  assert.equal(first?.packet.mark, 0x4000);
  const last = only(run("postrouting", first?.packet ?? assert.fail()));
  assert.equal(endsOf(last.packet), "10.0.1.1:40000 > 10.244.2.2:8080");
  assert.equal(last.packet.mark, 0);
  assert.match(last.assumptions.join(), /the sender's port is another by chance/);
});

Deno.test("nft drops for services without endpoints, and by a set of addresses", () => {
  const none = only(run("forward", packetOf(POD, "10.96.0.1", 443)));
  assert.deepEqual([none.verdict, none.by?.chain, none.by?.number], ["drop", "filter-forward", 1]);
  const lost = only(run("forward", packetOf(POD, "10.96.0.99", 1)));
  assert.deepEqual([lost.verdict, lost.by?.chain], ["drop", "cluster-ips-check"]);
  assert.equal(lost.by?.text, "ip daddr @cluster-ips drop");
});

/** Packets to the node, with what INPUT says. */
const INPUT: readonly (readonly [string, Packet, Outcome["verdict"], string])[] = [
  ["an address in a prefix", packetOf("192.0.2.77", "10.0.0.1", 1), "accept", "@nets"],
  ["an address in a range", packetOf("198.51.100.8", "10.0.0.1", 1), "accept", "@nets"],
  ["an address beyond a range", packetOf("198.51.100.10", "10.0.0.1", 1), "drop", "drop"],
  ["a pair of ranges", packetOf("fd01::5", "fd00::1", 85), "accept", "@pairs"],
  ["a pair of which one is outside", packetOf("fd01::5", "fd00::1", 91), "drop", "drop"],
  ["flags and a range of ports", packetOf("10.9.9.9", "10.0.0.1", 8005), "accept", "tcp flags"],
  ["raw bytes", packetOf("10.9.9.9", "10.0.0.1", 9100, { protocol: 17 }), "accept", "th dport"],
  ["a mark from a map", packetOf("10.0.0.2", "10.0.0.1", 1), "accept", "meta mark"],
  ["a mark that leads back", packetOf("10.0.0.3", "10.0.0.1", 1), "reject", "reject"],
];

for (const [name, packet, verdict, text] of INPUT) {
  Deno.test(`nft knows ${name}`, () => {
    // The set with the packet's family decides; the chain behind it is for those that remain.
    const outcome = only(run("input", packet));
    const said = outcome.by?.text ?? outcome.trace.map((each) => each.text).join();
    assert.equal(outcome.verdict, verdict, said);
    assert.ok(said.includes(text), said);
  });
}

Deno.test("nft shows a rule with its comment, by which people know whose it is", () => {
  const own = { family: "inet", table: "t", chain: "c" };
  const nft = (comment?: string) =>
    JSON.stringify({
      nftables: [
        { table: { family: "inet", name: "t", handle: 1 } },
        { chain: { ...own, name: "c", handle: 1, type: "filter", hook: "input", prio: 0 } },
        { rule: { ...own, handle: 2, comment, expr: [{ drop: null }] } },
      ],
    });
  const text = (comment?: string) =>
    new Netfilter(namespaceWith({ nft: nft(comment) })).run(
      "input",
      packetOf(POD, POD, 80),
      AROUND,
    )[0]?.by?.text;
  assert.equal(text(), "drop");
  assert.equal(text("shop's"), 'drop comment "shop\'s"');
});

Deno.test("nft keeps a change where the rule ends without a verdict", () => {
  const outcome = only(run("forward", packetOf(POD, "10.9.9.9", 1)));
  assert.deepEqual([outcome.verdict, outcome.packet.mark], ["accept", 3]);
  const marked = packetOf(POD, "10.9.9.9", 1, { mark: 2 });
  assert.equal(only(run("forward", marked)).verdict, "drop");
});

Deno.test("nft sets a header's field only in packets that have the header", () => {
  assert.equal(only(run("forward", packetOf("fd00::2", "fd01::3", 1))).verdict, "drop");
  assert.equal(only(run("forward", packetOf(POD, "10.9.9.9", 1))).packet.ttl, 64);
});

Deno.test("nft does not know of which device an old tool's ingress chain is", () => {
  const hit = only(run("ingress", packetOf(POD, "203.0.113.9", 1)));
  assert.equal(hit.verdict, "unknown");
  assert.match(hit.because ?? "", /for which device/);
  assert.equal(only(run("ingress", packetOf(POD, "203.0.113.8", 1))).verdict, "accept");
});

Deno.test("nft asks a bridge's rules for bridged packets only", () => {
  const packet = packetOf("10.0.0.2", "10.0.0.3", 23);
  assert.equal(only(run("forward", packet, {}, "bridge")).verdict, "drop");
  assert.equal(only(run("forward", packet)).verdict, "accept");
  const six = packetOf("fd00::2", "fd00::3", 80);
  assert.equal(only(run("forward", six, {}, "bridge")).by?.text, "ether type ip6 drop");
});

Deno.test("nft keeps a statement that it does not know to its rule", () => {
  const packet = packetOf(POD, "10.9.9.9", 80);
  const tcp = (port: number) => ({
    match: { op: "==", left: { payload: { protocol: "tcp", field: "dport" } }, right: port },
  });
  const unknown = only(alone("forward", [tcp(80), { frobnicate: 1 }, { accept: null }], packet));
  assert.deepEqual([unknown.verdict, unknown.by?.number], ["unknown", 1]);
  assert.match(unknown.because ?? "", /frobnicate/);
  assert.equal(only(alone("forward", [tcp(81), { frobnicate: 1 }], packet)).verdict, "accept");
  const strange = { match: { op: "==", left: { meta: { key: "frob" } }, right: 1 } };
  assert.equal(only(alone("forward", [strange, { drop: null }], packet)).verdict, "unknown");
  assert.equal(only(alone("forward", [strange, { log: null }], packet)).verdict, "accept");
});

Deno.test("nft says unknown for a set that the snapshot lacks", () => {
  const left = { payload: { protocol: "ip", field: "saddr" } };
  const rule = [{ match: { op: "==", left, right: "@lost" } }, { drop: null }];
  const outcome = only(alone("forward", rule, packetOf(POD, "10.9.9.9", 80)));
  assert.deepEqual([outcome.verdict, outcome.because], [
    "unknown",
    'set "lost" is not in the snapshot',
  ]);
});

Deno.test("nft gives a packet to a transparent proxy, and goes on", () => {
  const rule = [{ tproxy: { family: "ip", addr: "127.0.0.1", port: 15_001 } }, { accept: null }];
  const outcome = only(alone("forward", rule, packetOf(POD, "10.9.9.9", 80)));
  assert.equal(outcome.proxy?.port, 15_001);
  assert.match(outcome.assumptions.join(), /transparent socket listens on port 15001/);
  const six = only(alone("forward", rule, packetOf("fd00::2", "fd00::3", 80)));
  assert.equal(six.proxy, undefined);
});

Deno.test("nft leaves out tables that are dormant, or that iptables shows better", () => {
  const packet = packetOf(POD, "10.9.9.9", 80);
  const chain = { family: "ip", table: "filter", name: "FORWARD", handle: 1, type: "filter" };
  const rule = { family: "ip", table: "filter", chain: "FORWARD", handle: 2, expr: [{ xt: null }] };
  const nft = (flags: readonly string[]) =>
    JSON.stringify({
      nftables: [
        { table: { family: "ip", name: "filter", handle: 1, flags } },
        { chain: { ...chain, hook: "forward", prio: 0, policy: "accept" } },
        { rule },
      ],
    });
  const said = (parts: Parameters<typeof namespaceWith>[0]) =>
    only(new Netfilter(namespaceWith(parts)).run("forward", packet, AROUND)).verdict;
  assert.equal(said({ nft: nft([]) }), "unknown");
  assert.equal(said({ nft: nft(["dormant"]) }), "accept");
  const text = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -j DROP\nCOMMIT\n";
  assert.equal(said({ nft: nft([]), iptablesNft: text }), "drop");
  assert.equal(said({ nft: "{" }), "unknown");
});

Deno.test("nft asks younger chains first where priorities are equal", () => {
  const table = (name: string, handle: number, mark: number) => [
    { table: { family: "inet", name, handle } },
    {
      chain: {
        ...{ family: "inet", table: name, name: "c", handle: 1, type: "filter" },
        ...{ hook: "forward", prio: 0, policy: "accept" },
      },
    },
    {
      rule: {
        ...{ family: "inet", table: name, chain: "c", handle: 2 },
        expr: [{ mangle: { key: { meta: { key: "mark" } }, value: mark } }],
      },
    },
  ];
  const nft = JSON.stringify({ nftables: [...table("first", 1, 1), ...table("second", 2, 2)] });
  const rules = new Netfilter(namespaceWith({ nft }));
  const outcome = only(rules.run("forward", packetOf(POD, "10.9.9.9", 80), AROUND));
  assert.equal(outcome.packet.mark, 1);
});

Deno.test("a snapshot without a part of the rules says what was taken for empty", () => {
  const lacking = (part: string, from: string, to: string) => {
    const missing = [{ part, because: "nobody asked" }];
    const rules = new Netfilter(namespaceWith({ missing }));
    return only(rules.run("forward", packetOf(from, to, 80), AROUND)).assumptions.join();
  };
  for (const part of ["iptablesLegacy", "arptablesLegacy"]) {
    const said = `the snapshot lacks ${part}: nobody asked; it is taken for empty`;
    assert.equal(lacking(part, POD, "10.9.9.9"), said);
    assert.equal(lacking(part, "fd00::1", "fd00::2"), "");
  }
});

Deno.test("nft does not know the hardware addresses of a frame at the device that sends it", () => {
  const sent = (field: string, right: string) => {
    const own = { family: "netdev", table: "t" };
    const match = { op: "==", left: { payload: { protocol: "ether", field } }, right };
    const chain = { ...own, name: "c", handle: 1, type: "filter", hook: "egress", dev: "eth1" };
    const nft = JSON.stringify({
      nftables: [
        { table: { family: "netdev", name: "t", handle: 1 } },
        { chain: { ...chain, prio: 0, policy: "accept" } },
        { rule: { ...own, chain: "c", handle: 2, expr: [{ match }, { drop: null }] } },
      ],
    });
    const packet = packetOf(POD, "10.244.2.2", 80, { sourceMac: "02:00:00:00:00:01" });
    const { inDevice: _, ...around } = AROUND;
    return only(new Netfilter(namespaceWith({ nft })).run("egress", packet, around)).verdict;
  };
  assert.equal(sent("saddr", "02:00:00:00:00:01"), "unknown");
  assert.equal(sent("daddr", "02:00:00:00:00:02"), "unknown");
  assert.equal(sent("type", "ip"), "drop");
  assert.equal(sent("type", "ip6"), "accept");
});

Deno.test("nft knows that nothing came by IPsec where there is none", () => {
  const said = (right: boolean, xfrm?: { policies: number; states: number }) => {
    const expr = [{ match: { op: "==", left: { meta: { key: "ipsec" } }, right } }, { drop: null }];
    const chain = { family: "inet", table: "t", name: "c", handle: 1, type: "filter" };
    const nft = JSON.stringify({
      nftables: [
        { table: { family: "inet", name: "t", handle: 1 } },
        { chain: { ...chain, hook: "forward", prio: 0, policy: "accept" } },
        { rule: { family: "inet", table: "t", chain: "c", handle: 2, expr } },
      ],
    });
    const around = { ...AROUND, ...(xfrm === undefined ? {} : { xfrm }) };
    const packet = packetOf(POD, "10.244.2.2", 80);
    return only(new Netfilter(namespaceWith({ nft })).run("forward", packet, around)).verdict;
  };
  const none = { policies: 4, states: 0 };
  assert.deepEqual([said(false, none), said(true, none)], ["drop", "accept"]);
  assert.equal(said(true, { policies: 4, states: 1 }), "unknown");
  assert.equal(said(true), "unknown");
});
