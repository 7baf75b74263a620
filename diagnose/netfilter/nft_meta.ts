/**
 * nftables' `meta`: what rules ask of a packet beside its headers.
 *
 * @module
 */
import { etherTypeOf } from "./nft_payload.ts";
import type { ValueType } from "./nft_symbols.ts";
import { BREAK, one, type Seen, unsure } from "./nft_value.ts";
import type { DeviceFacts } from "./outcome.ts";
import type { Moment } from "./rules.ts";
import { EITHER } from "./truth.ts";

/** A key's type, and its value for a packet. */
export interface Key {
  readonly type: ValueType;
  see(moment: Moment): Seen;
}

/** What a key of `meta` is; undefined if it is none. */
export function metaKey(name: string): Key | undefined {
  return KEYS[name];
}

function key(type: ValueType, see: (moment: Moment) => Seen): Key {
  return { type, see };
}

function device(
  part: "inDevice" | "outDevice",
  type: ValueType,
  of: (facts: DeviceFacts) => number | string | undefined,
): Key {
  return key(type, ({ around }) => {
    const name = around[part];
    if (name === undefined) return BREAK;
    const facts = around.device(name);
    return facts === undefined ? unsure(`device "${name}" is not known`) : one(of(facts));
  });
}

/** Whose the sending socket is; a packet that came in has none. */
function owner(part: "uid" | "gid"): Key {
  return key("user", ({ packet, around }) => {
    if (around.inDevice !== undefined) return BREAK;
    return packet[part] === undefined
      ? unsure("the sender's user is not known")
      : one(packet[part]);
  });
}

const bridgeName = key("text", () => unsure("the bridge is not known"));

function unseen(because: string): Key {
  return key("number", () => unsure(because));
}

/** Whether the packet came by a state of IPsec. */
const SECURED = key("number", ({ around: { xfrm } }) => {
  if (xfrm?.states === 0) return one(false);
  return unsure(
    xfrm === undefined
      ? "IPsec is not in the snapshot"
      : "whether IPsec takes the packet is not known",
  );
});

const CLOCK = unseen("the time at which the packet comes is not known");

const KEYS: Readonly<Record<string, Key>> = {
  length: key(
    "number",
    ({ packet }) =>
      // With its frame where it is sent, and filled up by some devices.
      packet.arp === undefined ? one(packet.length) : unsure("the length of ARP is not known"),
  ),
  protocol: key("etherType", ({ packet }) => one(etherTypeOf(packet))),
  nfproto: key("family", ({ packet }) => one(packet.source.family === 4 ? 2 : 10)),
  l4proto: key("protocol", ({ packet }) => packet.arp === undefined ? one(packet.protocol) : BREAK),
  mark: key("number", ({ packet }) => one(packet.mark)),
  iif: key("text", ({ around }) => one(around.inDevice ?? "")),
  oif: key("text", ({ around }) => one(around.outDevice ?? "")),
  iifname: key("text", ({ around }) => one(around.inDevice ?? "")),
  oifname: key("text", ({ around }) => one(around.outDevice ?? "")),
  iiftype: device("inDevice", "deviceType", ({ type }) => type),
  oiftype: device("outDevice", "deviceType", ({ type }) => type),
  iifgroup: device("inDevice", "group", ({ group }) => group),
  oifgroup: device("outDevice", "group", ({ group }) => group),
  iifkind: device("inDevice", "text", ({ kind }) => kind),
  oifkind: device("outDevice", "text", ({ kind }) => kind),
  skuid: owner("uid"),
  skgid: owner("gid"),
  pkttype: key("packetType", ({ packet, around }) => {
    const { family, bits } = packet.destination;
    if (packet.arp !== undefined) {
      return one(packet.arp === "request" && around.inDevice !== undefined ? 1 : 0);
    }
    if (family === 6 ? bits >> 120n === 0xffn : bits >> 28n === 0xen) return one(2);
    return one(around.addressType(packet.destination) === "broadcast" ? 1 : 0);
  }),
  random: key("number", () => ({ kind: "doubt", doubt: EITHER })),
  ibrname: bridgeName,
  obrname: bridgeName,
  ibridgename: bridgeName,
  obridgename: bridgeName,
  time: CLOCK,
  day: CLOCK,
  hour: CLOCK,
  cpu: unseen("the processor that takes the packet is not known"),
  cgroup: unseen("the sender's control group is not known"),
  ipsec: SECURED,
  secpath: SECURED,
  priority: unseen("the packet's priority is not known"),
  rtclassid: unseen("the realm of the packet's route is not known"),
};
