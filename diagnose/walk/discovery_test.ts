import assert from "node:assert/strict";
import { madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { discoveryRefused } from "./discovery.ts";
import { Network, type Place } from "./network.ts";

/** What refuses the question of `a` for the address of `b`, or the answer, with rules of `b`. */
function refused(rule: string): string | undefined {
  const lines = ["*filter", ":INPUT ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", rule, "COMMIT", ""];
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
