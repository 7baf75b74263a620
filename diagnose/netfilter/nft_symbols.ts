/**
 * The names that `nft -j` writes instead of numbers, by the type of what they stand for.
 *
 * @module
 */
import { TCP_FLAGS } from "../packet/packet.ts";
import { protocolOf } from "./protocols.ts";

/** What an expression's value means, where that decides how constants are read. */
export type ValueType = keyof typeof SYMBOLS | "number" | "text" | "protocol";

function numbered(names: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(names.map((name, at) => [name, at]));
}

const SYMBOLS = {
  state: { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 },
  status: {
    ...{ expected: 1, "seen-reply": 2, assured: 4, confirmed: 8, snat: 16, dnat: 32 },
    ...{ dying: 512 },
  },
  direction: { original: 0, reply: 1 },
  packetType: { host: 0, unicast: 0, broadcast: 1, multicast: 2, other: 3 },
  family: { ipv4: 2, ipv6: 10 },
  arpOperation: { request: 1, reply: 2 },
  etherType: { ip: 0x800, arp: 0x806, ip6: 0x86dd, vlan: 0x8100, "8021q": 0x8100 },
  flags: TCP_FLAGS,
  addressType: numbered([
    ...["unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole"],
    ...["unreachable", "prohibit", "throw", "nat", "xresolve"],
  ]),
  deviceType: {
    ...{ ether: 1, ppp: 512, ipip: 768, tunnel: 768, ipip6: 769, tunnel6: 769, loopback: 772 },
    ...{ sit: 776, ipgre: 778, gre: 778, ip6gre: 823, none: 65534 },
  },
  group: { default: 0 },
  user: { root: 0 },
  dscp: {
    ...{ cs0: 0, cs1: 8, cs2: 16, cs3: 24, cs4: 32, cs5: 40, cs6: 48, cs7: 56, df: 0, be: 0 },
    ...{ af11: 10, af12: 12, af13: 14, af21: 18, af22: 20, af23: 22, af31: 26, af32: 28 },
    ...{ af33: 30, af41: 34, af42: 36, af43: 38, ef: 46, va: 44, lephb: 1, le: 1 },
  },
  ecn: { "not-ect": 0, ect1: 1, ect0: 2, ce: 3 },
  icmpType: {
    ...{ "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, redirect: 5 },
    ...{ "echo-request": 8, "router-advertisement": 9, "router-solicitation": 10 },
    ...{ "time-exceeded": 11, "parameter-problem": 12, "timestamp-request": 13 },
    ...{ "timestamp-reply": 14, "info-request": 15, "info-reply": 16 },
    ...{ "address-mask-request": 17, "address-mask-reply": 18 },
  },
  icmpCode: {
    ...{ "net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2 },
    ...{ "port-unreachable": 3, "frag-needed": 4, "net-prohibited": 9, "host-prohibited": 10 },
    ...{ "admin-prohibited": 13 },
  },
  icmpv6Type: {
    ...{ "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3 },
    ...{ "parameter-problem": 4, "echo-request": 128, "echo-reply": 129 },
    ...{ "mld-listener-query": 130, "mld-listener-report": 131, "mld-listener-done": 132 },
    ...{ "mld-listener-reduction": 132, "nd-router-solicit": 133, "nd-router-advert": 134 },
    ...{ "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137 },
    ...{ "router-renumbering": 138, "ind-neighbor-solicit": 141, "ind-neighbor-advert": 142 },
    ...{ "mld2-listener-report": 143 },
  },
  icmpv6Code: {
    ...{ "no-route": 0, "admin-prohibited": 1, "addr-unreachable": 3, "port-unreachable": 4 },
    ...{ "policy-fail": 5, "reject-route": 6 },
  },
  boolean: { missing: 0, exists: 1 },
} as const;

const LOOKUP: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map(
  Object.entries(SYMBOLS).map(([type, names]) => [type, new Map(Object.entries(names))]),
);

/** The number that a name stands for in a type; undefined if it does not name one. */
export function symbolOf(type: ValueType, name: string): number | undefined {
  return type === "protocol" ? protocolOf(name) : LOOKUP.get(type)?.get(name);
}

/** The number of an address type's name. */
export function addressTypeOf(name: string): number | undefined {
  return LOOKUP.get("addressType")?.get(name);
}
