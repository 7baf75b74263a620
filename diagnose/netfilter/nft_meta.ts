/**
 * nftables' `meta`: what rules ask of a packet beside its headers.
 *
 * @module
 */
import { PROTOCOLS } from "../packet/packet.ts";
import { etherTypeOf } from "./nft_payload.ts";
import { symbolOf, type ValueType } from "./nft_symbols.ts";
import { BREAK, one, type Seen, unsure } from "./nft_value.ts";
import type { DeviceFacts } from "./outcome.ts";
import { packetType } from "./packet_type.ts";
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

/** `ARPHRD_ETHER`, and the bytes of its header. */
const ETHERNET = 1;
const FRAME_BYTES = 14;

/**
 * The type of the device that it came by; newer kernels ask the one that the packet has, which
 * behind routing is the one that it leaves by.
 */
function inType(moment: Moment): Seen {
  const { hook, around, packet } = moment;
  const type = (name: string | undefined) =>
    name === undefined ? undefined : around.device(name)?.type;
  const own = around.inDevice;
  const unknown = unsure("which device's type is asked for depends on the kernel");
  if (hook === "postrouting") {
    return own !== undefined && type(own) === type(around.outDevice) ? one(type(own)) : unknown;
  }
  if (hook === "egress") return unknown;
  if (own !== undefined) {
    const found = type(own);
    return found === undefined ? unsure(`device "${own}" is not known`) : one(found);
  }
  // What ARP, discovery and bridges send has a device already.
  const plain = around.ofFrame === undefined && packet.arp === undefined &&
    packet.protocol !== PROTOCOLS.icmpv6;
  return plain ? BREAK : unknown;
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
    ({ packet, hook, around }) => {
      // With its frame where it is sent, and filled up by some devices.
      if (packet.arp !== undefined) return unsure("the length of ARP is not known");
      if (hook !== "egress") return one(packet.length);
      const type = around.device(around.outDevice ?? "")?.type;
      return type === ETHERNET
        ? one(packet.length + FRAME_BYTES)
        : unsure("the length of the frame is not known");
    },
  ),
  protocol: key("etherType", ({ packet }) => one(etherTypeOf(packet))),
  nfproto: key("family", ({ packet }) => one(packet.source.family === 4 ? 2 : 10)),
  l4proto: key("protocol", ({ packet }) => packet.arp === undefined ? one(packet.protocol) : BREAK),
  mark: key("number", ({ packet }) => one(packet.mark)),
  iif: key("text", ({ around }) => one(around.inDevice ?? "")),
  oif: key("text", ({ around }) => one(around.outDevice ?? "")),
  iifname: key("text", ({ around }) => one(around.inDevice ?? "")),
  oifname: key("text", ({ around }) => one(around.outDevice ?? "")),
  iiftype: key("deviceType", inType),
  oiftype: device("outDevice", "deviceType", ({ type }) => type),
  iifgroup: device("inDevice", "group", ({ group }) => group),
  oifgroup: device("outDevice", "group", ({ group }) => group),
  iifkind: device("inDevice", "text", ({ kind }) => kind),
  oifkind: device("outDevice", "text", ({ kind }) => kind),
  skuid: owner("uid"),
  skgid: owner("gid"),
  pkttype: key("packetType", (moment) => {
    const { packet, around, hook } = moment;
    if (around.ofFrame || hook === "ingress" || hook === "egress") {
      // What is for another port of a bridge is `other` there.
      return unsure("whose the frame is, is not known to the rules");
    }
    if (packet.arp !== undefined) {
      return one(packet.arp === "request" && around.inDevice !== undefined ? 1 : 0);
    }
    return one(symbolOf("packetType", packetType(moment)));
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
