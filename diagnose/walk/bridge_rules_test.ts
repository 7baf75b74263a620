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

/** A pod that sends to another on its bridge, or to the bridge itself. */
function through(nft: string, to = "10.0.0.3"): string {
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
  return `${diagnosis.verdict} ${first?.id ?? ""} ${first?.direction ?? ""}`.trim();
}

Deno.test("a bridge asks its own rules, by port and hardware address", () => {
  const from = meta("iifname", "va");
  const spoofed = (mac: string) =>
    bridgeRules("prerouting", from, payload("ether", "saddr", mac, "!="), { drop: null });
  assert.equal(through(spoofed(macOf("a", "eth0"))), "reachable");
  assert.equal(through(spoofed("02:00:00:00:00:09")), "blocked netfilter-drop request");
  const back = bridgeRules("forward", meta("oifname", "va"), { drop: null });
  assert.equal(through(back), "blocked netfilter-drop answer");
  // Where a frame leaves, too, it has the addresses that it came with.
  const leaving = (mac: string) =>
    bridgeRules("postrouting", meta("oifname", "vb"), payload("ether", "saddr", mac), {
      drop: null,
    });
  assert.equal(through(leaving(macOf("a", "eth0"))), "blocked netfilter-drop request");
  assert.equal(through(leaving(macOf("b", "eth0"))), "reachable");
  const elsewhere = bridgeRules("forward", meta("oifname", "vc"), { drop: null });
  assert.equal(through(elsewhere), "reachable");
});

Deno.test("a bridge asks what comes to itself and leaves itself at other hooks", () => {
  const drop = (hook: string) => bridgeRules(hook, payload("tcp", "dport", "80"), { drop: null });
  const answer = (hook: string) => bridgeRules(hook, meta("oifname", "va"), { drop: null });
  assert.equal(through(bridgeRules("input", { drop: null }), "10.0.0.1").split(" ")[0], "blocked");
  assert.equal(through(bridgeRules("input", { drop: null })), "reachable");
  assert.equal(through(answer("output"), "10.0.0.1"), "blocked netfilter-drop answer");
  assert.equal(through(answer("output")), "reachable");
  assert.equal(through(answer("postrouting")), "blocked netfilter-drop answer");
  assert.equal(through(drop("forward"), "10.0.0.1"), "reachable");
});
