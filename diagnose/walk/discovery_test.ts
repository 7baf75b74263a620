import assert from "node:assert/strict";
import { macOf, type MadeNamespace, madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { discoveryRefused } from "./discovery.ts";
import { Network, type Place } from "./network.ts";

/** What refuses the question of `a` for the address of `b`, or the answer, with rules of `b`. */
function refused(rule: string, table = "filter"): string | undefined {
  const chains = ["PREROUTING", "INPUT", "OUTPUT"].slice(table === "filter" ? 1 : 0)
    .filter((chain) => table !== "raw" || chain !== "INPUT").map((chain) =>
      `:${chain} ACCEPT [0:0]`
    );
  const lines = [`*${table}`, ...chains, rule, "COMMIT", ""];
  return cause({ ip6tablesLegacy: lines.join("\n") }, "fd00::1", "fd00::2")?.what;
}

/** The same with any rules, which only one end has. */
function cause(rules: MadeNamespace["more"], from: string, to: string, at: "a" | "b" = "b") {
  const end = (own: "a" | "b", other: string, address: string): MadeNamespace => ({
    devices: { eth0: { kind: "veth", to: [other, "eth0"], addresses: [address] } },
    ...(own === at && rules !== undefined ? { more: rules } : {}),
  });
  const length = from.includes(":") ? 64 : 24;
  const network = new Network([
    madeSnapshot({ a: end("a", "b", `${from}/${length}`), b: end("b", "a", `${to}/${length}`) }),
  ]);
  const [a, b] = network.namespaces.map((namespace): Place => {
    const device = namespace.device("eth0");
    assert.ok(device !== undefined);
    return { namespace, device };
  });
  const [sender, hop] = [from, to].map(parseAddress);
  assert.ok(a !== undefined && b !== undefined && sender !== undefined && hop !== undefined);
  return discoveryRefused(a, b, hop, sender);
}

/** One rule of nftables at a hook. */
function nft(family: string, hook: string, ...expr: readonly unknown[]) {
  const own = { family, table: "t" };
  const device = family === "netdev" ? { dev: "eth0" } : {};
  const chain = { ...own, name: "c", handle: 1, type: "filter", hook, prio: 0, ...device };
  return {
    nft: JSON.stringify({
      nftables: [
        { table: { family, name: "t", handle: 1 } },
        { chain: { ...chain, policy: "accept" } },
        { rule: { ...own, chain: "c", handle: 2, expr } },
      ],
    }),
  };
}

const DROP = { drop: null };
const arp = (field: string, right: string) => ({
  match: { op: "==", left: { payload: { protocol: "arp", field } }, right },
});
const meta = (key: string, right: string) => ({
  match: { op: "==", left: { meta: { key } }, right },
});

Deno.test("neighbour discovery passes the rules of both ends, question and answer", () => {
  const asks = /^rule 1 of filter INPUT drops it: the ICMPv6 that asks for fd00::2$/;
  assert.match(refused("-A INPUT -p ipv6-icmp -j DROP") ?? "", asks);
  const type = "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -j DROP";
  assert.match(refused(`-A INPUT ${type}`) ?? "", asks);
  const answers = /^rule 1 of filter OUTPUT drops it: the ICMPv6 that answers for fd00::2$/;
  assert.match(refused("-A OUTPUT -d fd00::1/128 -j DROP") ?? "", answers);
  assert.equal(refused("-A INPUT -p tcp -j DROP"), undefined);
  assert.equal(refused("-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j DROP"), undefined);
});

Deno.test("neighbour discovery has no connection, and before conntrack that is invalid", () => {
  const state = (name: string) => `-A PREROUTING -m conntrack --ctstate ${name} -j DROP`;
  assert.equal(refused(state("UNTRACKED"), "raw"), undefined);
  assert.match(refused(state("INVALID"), "raw") ?? "", /^rule 1 of raw PREROUTING/);
  assert.equal(refused(state("INVALID"), "mangle"), undefined);
  assert.match(refused(state("UNTRACKED"), "mangle") ?? "", /^rule 1 of mangle PREROUTING/);
});

Deno.test("neighbour discovery keeps a mark from one hook to the next", () => {
  const drop = "-A INPUT -m mark --mark 0x7 -j DROP";
  assert.equal(refused(drop, "mangle"), undefined);
  const marked = `-A PREROUTING -p ipv6-icmp -j MARK --set-xmark 0x7/0xffffffff\n${drop}`;
  assert.match(refused(marked, "mangle") ?? "", /^rule 1 of mangle INPUT/);
});

/** What refuses ARP, with one rule of `b` or of `a`. */
function unanswered(hook: string, expr: readonly unknown[], at?: "a" | "b", family = "arp") {
  const found = cause(nft(family, hook, ...expr), "10.0.0.1", "10.0.0.2", at);
  return found === undefined ? "" : `${found.id} ${found.namespace.label}: ${found.what}`;
}

Deno.test("ARP passes the rules of its family at both ends, question and answer", () => {
  const by = (end: string, what: string) =>
    `netfilter-drop netns ${end}: rule 1 of t c drops it: the ARP that ${what} 10.0.0.2`;
  const asks = [arp("operation", "request"), DROP];
  const answers = [arp("operation", "reply"), DROP];
  assert.equal(unanswered("input", asks), by("b", "asks for"));
  assert.equal(unanswered("output", asks), "");
  assert.equal(unanswered("output", asks, "a"), by("a", "asks for"));
  assert.equal(unanswered("output", answers), by("b", "answers for"));
  assert.equal(unanswered("input", answers), "");
  assert.equal(unanswered("input", answers, "a"), by("a", "answers for"));
  // Neither bridges' rules nor IP's are asked.
  for (const family of ["bridge", "ip", "inet"]) {
    assert.equal(unanswered("input", [DROP], "b", family), "", family);
  }
});

Deno.test("ARP's rules see addresses and devices, and no frame before it is sent", () => {
  const drops = (hook: string, ...expr: readonly unknown[]) =>
    unanswered(hook, [...expr, DROP]) !== "";
  assert.ok(drops("input", arp("saddr ip", "10.0.0.1")));
  assert.ok(!drops("input", arp("saddr ip", "10.0.0.2")));
  assert.ok(drops("output", arp("saddr ether", macOf("b", "eth0"))));
  assert.ok(!drops("output", arp("saddr ether", macOf("a", "eth0"))));
  assert.ok(drops("input", meta("iifname", "eth0")));
  assert.ok(!drops("input", meta("iifname", "eth1")));
  assert.ok(drops("input", meta("pkttype", "broadcast")));
  assert.ok(!drops("input", meta("pkttype", "host")));
  assert.ok(drops("output", meta("pkttype", "host")));
  const ether = (field: string, right: string) => ({
    match: { op: "==", left: { payload: { protocol: "ether", field } }, right },
  });
  assert.ok(drops("input", ether("saddr", macOf("a", "eth0"))));
  assert.ok(drops("input", ether("daddr", "ff:ff:ff:ff:ff:ff")));
  assert.ok(!drops("output", ether("saddr", macOf("b", "eth0"))));
});

Deno.test("ARP meets the rules at a device, of which inet's see only IP", () => {
  for (const hook of ["ingress", "egress"]) {
    assert.match(unanswered(hook, [DROP], "b", "netdev"), /^netfilter-drop netns b: rule 1 of t c/);
    assert.match(unanswered(hook, [DROP], "a", "netdev"), /^netfilter-drop netns a: rule 1 of t c/);
    const ip = [meta("protocol", "ip"), DROP];
    assert.equal(unanswered(hook, ip, "b", "netdev"), "");
    assert.equal(unanswered(hook, [DROP], "b", "inet"), "");
  }
});

Deno.test("what a rule does with ARP may be unknown, with its text", () => {
  const strange = { xt: { type: "target", name: "mangle" } };
  const text = /^netfilter-unknown netns b: rule 1 of t c may stop it: .*"mangle".* asks for 10/;
  assert.match(unanswered("input", [strange]), text);
  const changed = {
    mangle: { key: { payload: { protocol: "arp", field: "saddr ip" } }, value: "10.0.0.9" },
  };
  assert.match(unanswered("input", [changed]), /^netfilter-unknown netns b: rule 1 .*saddr ip/);
  // Who asks does so more than once.
  const rate = { limit: { rate: 1, per: "hour" } };
  assert.match(unanswered("input", [rate, DROP]), /^netfilter-unknown netns b: rule 1/);
  assert.equal(unanswered("input", [arp("operation", "reply"), strange]), "");
});

Deno.test("neighbour discovery of IPv6 meets rules at devices, by its hardware addresses", () => {
  const drop = (hook: string, field: string, right: string) =>
    cause(
      nft("netdev", hook, {
        match: { op: "==", left: { payload: { protocol: "ether", field } }, right },
      }, DROP),
      "fd00::1",
      "fd00::2",
    )?.what;
  const asks = "rule 1 of t c drops it: the ICMPv6 that asks for fd00::2";
  assert.equal(drop("ingress", "daddr", "33:33:ff:00:00:02"), asks);
  assert.equal(drop("ingress", "saddr", macOf("a", "eth0")), asks);
  assert.equal(drop("ingress", "saddr", macOf("b", "eth0")), undefined);
  const answers = "rule 1 of t c drops it: the ICMPv6 that answers for fd00::2";
  const all = nft("netdev", "egress", DROP);
  assert.equal(cause(all, "fd00::1", "fd00::2")?.what, answers);
});

Deno.test("what a rule does with discovery may be unknown, and chance lets one pass", () => {
  const found = (...expr: readonly unknown[]) =>
    cause(nft("ip6", "input", ...expr), "fd00::1", "fd00::2");
  const left = { payload: { protocol: "ip6", field: "daddr" } };
  const multicast = { match: { op: "==", left, right: { prefix: { addr: "ff02::", len: 16 } } } };
  const strange = { xt: { type: "target", name: "mangle" } };
  assert.equal(found(multicast, strange)?.id, "netfilter-unknown");
  assert.equal(found(multicast, DROP)?.id, "netfilter-drop");
  assert.equal(found({ limit: { rate: 1, per: "hour" } }, DROP), undefined);
});
