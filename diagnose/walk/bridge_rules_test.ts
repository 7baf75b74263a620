/** What rules of the family `bridge` do, as the CNI's bridge plugin makes them against spoofing. */
import assert from "node:assert/strict";
import { forwarding, macOf, type MadeNamespace, madeSnapshot } from "../../tests/made_network.ts";
import { ip } from "../../tests/made_rules.ts";
import { findingsOf } from "../report/finding.ts";
import { diagnose } from "./diagnosis.ts";

/** One rule of a chain at a hook of the family `bridge`. */
function bridgeRules(hook: string, ...expr: readonly unknown[]): string {
  const own = { family: "bridge", table: "t" };
  return JSON.stringify({
    nftables: [
      { table: { family: "bridge", name: "t", handle: 1 } },
      {
        chain: { ...own, name: "c", handle: 1, type: "filter", hook, prio: -300, policy: "accept" },
      },
      { rule: { ...own, chain: "c", handle: 2, expr } },
    ],
  });
}

const meta = (key: string, right: string, op = "==") => ({
  match: { op, left: { meta: { key } }, right },
});
const payload = (protocol: string, field: string, right: string, op = "==") => ({
  match: { op, left: { payload: { protocol, field } }, right },
});

/** Without it, the neighbour's answer would be meant, too. */
const FROM_WEB = payload("tcp", "sport", "80");

/** The verdict on a pod that sends to another on its bridge, or to the bridge itself. */
function through(nft: string, to?: string): string {
  const { verdict, first } = sent(nft, to);
  return `${verdict} ${first?.id ?? ""} ${first?.direction ?? ""}`.trim();
}

/** What was found first. */
function because(nft: string): string {
  return sent(nft).first?.message ?? "";
}

function sent(nft: string, to = "10.0.0.3") {
  const pod = (port: string, address: string): MadeNamespace => ({
    devices: { eth0: { kind: "veth", to: ["n", port], addresses: [`${address}/24`] } },
    listeners: ["tcp * 80"],
  });
  const port = (name: string) => ({
    kind: "veth",
    to: [name.slice(1), "eth0"] as const,
    master: "br0",
  });
  const snapshot = madeSnapshot({
    n: {
      devices: {
        br0: { kind: "bridge", addresses: ["10.0.0.1/24"] },
        ...{ va: port("va"), vb: port("vb") },
      },
      ...{ sysctls: forwarding("br0"), listeners: ["tcp * 80"], more: { nft } },
    },
    ...{ a: pod("va", "10.0.0.2"), b: pod("vb", "10.0.0.3") },
  });
  const [source, destination] = [ip("10.0.0.2"), ip(to)];
  const diagnosis = diagnose([snapshot], { source, destination, protocol: "tcp", port: 80 });
  const [first] = findingsOf(diagnosis);
  return { verdict: diagnosis.verdict, first };
}

Deno.test("a bridge asks its own rules, by port and hardware address", () => {
  const from = meta("iifname", "va");
  const spoofed = (mac: string) =>
    bridgeRules("prerouting", from, payload("ether", "saddr", mac, "!="), { drop: null });
  assert.equal(through(spoofed(macOf("a", "eth0"))), "reachable");
  assert.equal(through(spoofed("02:00:00:00:00:09")), "blocked netfilter-drop request");
  const back = bridgeRules("forward", meta("oifname", "va"), FROM_WEB, { drop: null });
  assert.equal(through(back), "blocked netfilter-drop answer");
  // Where a frame leaves, too, it has the addresses that it came with.
  const toWeb = [meta("oifname", "vb"), payload("tcp", "dport", "80")];
  const leaving = (mac: string) =>
    bridgeRules("postrouting", ...toWeb, payload("ether", "saddr", mac), { drop: null });
  assert.equal(through(leaving(macOf("a", "eth0"))), "blocked netfilter-drop request");
  assert.equal(through(leaving(macOf("b", "eth0"))), "reachable");
  const elsewhere = bridgeRules("forward", meta("oifname", "vc"), { drop: null });
  assert.equal(through(elsewhere), "reachable");
});

Deno.test("a bridge asks what comes to itself and leaves itself at other hooks", () => {
  const drop = (hook: string) => bridgeRules(hook, payload("tcp", "dport", "80"), { drop: null });
  const answer = (hook: string) =>
    bridgeRules(hook, meta("oifname", "va"), FROM_WEB, { drop: null });
  assert.equal(through(bridgeRules("input", { drop: null }), "10.0.0.1").split(" ")[0], "blocked");
  assert.equal(through(bridgeRules("input", { drop: null })), "reachable");
  assert.equal(through(answer("output"), "10.0.0.1"), "blocked netfilter-drop answer");
  assert.equal(through(answer("output")), "reachable");
  assert.equal(through(answer("postrouting")), "blocked netfilter-drop answer");
  assert.equal(through(drop("forward"), "10.0.0.1"), "reachable");
});

Deno.test("a bridge asks its rules about ARP, too", () => {
  const arp = (field: string, right: string, op = "==") => payload("arp", field, right, op);
  const drop = { drop: null };
  const on = (hook: string, ...expr: readonly unknown[]) =>
    through(bridgeRules(hook, ...expr, drop)).split(" ").slice(0, 2).join(" ");
  // Where the bridge itself was asked, too, who did not answer is not known to be behind the rule.
  const [nobody, stopped] = ["blocked neighbour-unresolved", "blocked netfilter-drop"];
  assert.equal(on("prerouting", meta("protocol", "arp")), stopped);
  assert.equal(on("forward", payload("ether", "type", "arp")), nobody);
  assert.equal(on("forward", arp("operation", "request")), nobody);
  assert.equal(on("forward", arp("operation", "reply")), stopped);
  assert.equal(
    on("prerouting", meta("iifname", "va"), arp("saddr ip", "10.0.0.2", "!=")),
    "reachable",
  );
  assert.equal(on("prerouting", meta("iifname", "va"), arp("saddr ip", "10.0.0.9", "!=")), stopped);
  assert.equal(on("forward", arp("daddr ip", "10.0.0.3")), nobody);
  const [a, b] = [macOf("a", "eth0"), macOf("b", "eth0")];
  assert.equal(
    on("postrouting", arp("saddr ether", b), arp("daddr ether", a)),
    "blocked netfilter-drop",
  );
  assert.equal(on("postrouting", arp("saddr ether", b), arp("daddr ether", b)), "reachable");
  // What is asked of IP, ARP does not have.
  assert.equal(
    on("forward", payload("ip", "saddr", "10.0.0.2", "!="), meta("oifname", "vb")),
    "reachable",
  );
  assert.equal(on("forward", meta("l4proto", "udp", "!="), arp("htype", "1")), "reachable");
});

Deno.test("what a bridge's rule does with ARP may be unknown, with its text", () => {
  const strange = { match: { op: "==", left: { osf: { key: "name" } }, right: "Linux" } };
  const isArp = payload("ether", "type", "arp");
  const drop = { drop: null };
  const asks = bridgeRules("forward", isArp, payload("arp", "operation", "request"), strange, drop);
  const answers = bridgeRules(
    "forward",
    isArp,
    payload("arp", "operation", "reply"),
    strange,
    drop,
  );
  const dice = bridgeRules("forward", isArp, { limit: { rate: 1, per: "hour" } }, drop);
  for (const rules of [asks, answers, dice]) {
    assert.equal(through(rules), "unknown netfilter-unknown request");
    assert.match(because(rules), /^whether anybody answers for 10\.0\.0\.3 is not known: .*rule 1/);
  }
  assert.equal(through(bridgeRules("forward", isArp, strange, drop), "10.0.0.1"), "reachable");
});

Deno.test("rules at a device see frames that only pass it, to a bridge and from one", () => {
  const at = (hook: string, dev: string, field: string) => {
    const own = { family: "netdev", table: "t" };
    const chain = { ...own, name: "c", handle: 1, type: "filter", hook, dev };
    const expr = [payload("tcp", field, "80"), { drop: null }];
    return through(JSON.stringify({
      nftables: [
        { table: { family: "netdev", name: "t", handle: 1 } },
        { chain: { ...chain, prio: 0, policy: "accept" } },
        { rule: { ...own, chain: "c", handle: 2, expr } },
      ],
    }));
  };
  assert.equal(at("ingress", "va", "dport"), "blocked netfilter-drop request");
  assert.equal(at("egress", "vb", "dport"), "blocked netfilter-drop request");
  assert.equal(at("ingress", "vb", "sport"), "blocked netfilter-drop answer");
  assert.equal(at("egress", "va", "sport"), "blocked netfilter-drop answer");
  for (const [hook, dev] of [["ingress", "vb"], ["egress", "va"], ["ingress", "br0"]] as const) {
    assert.equal(at(hook, dev, "dport"), "reachable", `${hook} ${dev}`);
  }
});
