import assert from "node:assert/strict";
import { ENTRIES_MAX, readFacts } from "./facts.ts";

const HEAD = { format: "podskoop-facts", version: 1 };
const CARD = { name: "eni-1", node: "node1", addresses: ["192.168.0.11"] };

Deno.test("facts need interfaces only, and keep apart what is empty and what is not known", () => {
  const { interfaces: [card], groups, subnets } = readFacts({ ...HEAD, interfaces: [CARD] });
  assert.deepEqual([card?.groups, card?.sourceCheck, groups, subnets], [
    ...[undefined, undefined, [], []],
  ]);
  const read = readFacts({ ...HEAD, interfaces: [], groups: [{ name: "g", egress: [{}] }] });
  const [group] = read.groups;
  assert.deepEqual([group?.ingress, group?.egress], [
    undefined,
    [{ action: "allow", priority: 0, protocol: "any", peers: "any" }],
  ]);
});

Deno.test("facts that make no sense are refused with the place", () => {
  const of = (more: Record<string, unknown>) => () =>
    readFacts({ ...HEAD, interfaces: [CARD], ...more });
  const rule = (given: Record<string, unknown>) =>
    of({ groups: [{ name: "g", ingress: [given] }] });
  for (
    const [read, why] of [
      [of({ version: 2 }), /^Error: Cannot read the facts: at "version": it must be 1$/],
      [of({ format: "other" }), /"format"/],
      [of({ interfaces: 7 }), /"interfaces"/],
      [of({ extra: 1 }), /"extra"/],
      [of({ interfaces: [{ ...CARD, addresses: ["nonsense"] }] }), /"interfaces.0.addresses.0"/],
      [of({ interfaces: [{ ...CARD, subnet: "s" }] }), /the subnet "s", which they lack/],
      [of({ interfaces: [{ ...CARD, groups: ["g"] }] }), /the group "g", which they lack/],
      [of({ interfaces: Array(ENTRIES_MAX + 1).fill(CARD) }), /"interfaces": /],
      [rule({ action: "drop" }), /"groups.0.ingress.0.action"/],
      [rule({ ports: "http" }), /"groups.0.ingress.0.ports"/],
      [rule({ ports: 65_536 }), /"groups.0.ingress.0.ports"/],
      [rule({ peers: "somebody" }), /"groups.0.ingress.0.peers"/],
      [
        () => readFacts("x".repeat(1_009)),
        /Cannot read the facts: at its top: it must be a mapping$/,
      ],
    ] as const
  ) assert.throws(read, why);
});
