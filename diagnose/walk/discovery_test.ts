import assert from "node:assert/strict";
import { madeSnapshot } from "../../tests/made_network.ts";
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
  const end = (other: string, address: string) => ({
    devices: { eth0: { kind: "veth", to: [other, "eth0"] as const, addresses: [address] } },
  });
  const network = new Network([madeSnapshot({
    a: end("b", "fd00::1/64"),
    b: { ...end("a", "fd00::2/64"), more: { ip6tablesLegacy: lines.join("\n") } },
  })]);
  const [a, b] = network.namespaces.map((namespace): Place => {
    const device = namespace.device("eth0");
    assert.ok(device !== undefined);
    return { namespace, device };
  });
  const [sender, hop] = ["fd00::1", "fd00::2"].map(parseAddress);
  assert.ok(a !== undefined && b !== undefined && sender !== undefined && hop !== undefined);
  return discoveryRefused(a, b, hop, sender)?.what;
}

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
