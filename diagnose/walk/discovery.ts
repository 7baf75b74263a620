/**
 * Who asks for a neighbour, and who answers, meets rules of netfilter: discovery of IPv6 is ICMP,
 * and passes them like any packet; ARP has hooks of its own.
 *
 * Sources: RFC 4861 §4.3, §4.4; the kernel's `ndisc_send_ns`, `ndisc_send_na`, `arp_xmit` and
 * `arp_rcv`.
 *
 * @module
 */
import type { Hook, Layer, Outcome } from "../netfilter/netfilter.ts";
import { type Address, formatAddress } from "../packet/address.ts";
import { arpPacket, newConnection, type Packet, PROTOCOLS } from "../packet/packet.ts";
import { BROADCAST } from "./frames.ts";
import type { Place } from "./network.ts";
import { causeOf } from "./netfilter_cause.ts";
import { surroundings } from "./surroundings.ts";
import type { Cause } from "./trail.ts";

const SOLICITATION = 135;
const ADVERTISEMENT = 136;
/** Anything less is refused, so that none comes from beyond the link. */
const HOP_LIMIT = 255;
/** IPv6's header, the message, and the option with the hardware address. */
const BYTES = 40 + 24 + 8;

/** What asks for an address's hardware address. */
export function solicitation(sender: Address, hop: Address): Packet {
  return message(sender, solicited(hop), SOLICITATION);
}

/** What answers that. */
export function advertisement(sender: Address, hop: Address): Packet {
  return message(hop, sender, ADVERTISEMENT);
}

/** Of a rule of which it is not known what it does. */
export const UNSURE = "netfilter-unknown";

/**
 * Why one side's rules stop the question or the answer; undefined if they do not. Its `id` is
 * `UNSURE` where that is not known.
 */
export function discoveryRefused(
  asking: Place,
  answering: Place,
  hop: Address,
  sender: Address,
): Cause | undefined {
  const arp = hop.family === 4;
  const asks: Message = {
    ...{ from: asking.device.mac, to: arp ? BROADCAST : multicastMac(hop) },
    packet: arp ? arpPacket("request", sender, hop) : solicitation(sender, hop),
    what: `the ${arp ? "ARP" : "ICMPv6"} that asks for ${formatAddress(hop)}`,
  };
  const answers: Message = {
    ...{ from: answering.device.mac, to: asking.device.mac },
    packet: arp ? arpPacket("reply", hop, sender) : advertisement(sender, hop),
    what: `the ${arp ? "ARP" : "ICMPv6"} that answers for ${formatAddress(hop)}`,
  };
  return stopped(asking, "sent", asks) ?? stopped(answering, "received", asks) ??
    stopped(answering, "sent", answers) ?? stopped(asking, "received", answers);
}

/** One of both, and whose frame it is in. */
interface Message {
  readonly from: string;
  readonly to: string;
  readonly packet: Packet;
  readonly what: string;
}

const HOOKS = {
  ip: {
    sent: ["output", "postrouting", "egress"],
    received: ["ingress", "prerouting", "input"],
  },
  arp: { sent: ["output", "egress"], received: ["ingress", "input"] },
} as const satisfies Partial<Record<Layer, Record<"sent" | "received", readonly Hook[]>>>;

/** 33:33 and the last four bytes of the group. */
function multicastMac(hop: Address): string {
  const last = (0xff00_0000n | hop.bits & 0xff_ffffn).toString(16);
  return `33:33:${last.match(/../g)?.join(":")}`;
}

/** ff02::1:ff00:0/104 with the last three bytes of the address. */
function solicited({ bits }: Address): Address {
  return { family: 6, bits: 0xff02n << 112n | 0x1_ff00_0000n | bits & 0xff_ffffn };
}

function message(source: Address, destination: Address, type: number): Packet {
  const tuple = { source, destination, protocol: PROTOCOLS.icmpv6 };
  return {
    ...tuple,
    ...{ icmp: { type, code: 0 }, length: BYTES, ttl: HOP_LIMIT, tos: 0, mark: 0 },
    connection: newConnection(tuple),
  };
}

function stopped(
  { namespace, device }: Place,
  way: "sent" | "received",
  { from, to, packet, what }: Message,
): Cause | undefined {
  const layer = packet.arp === undefined ? "ip" : "arp";
  const { netfilter } = namespace;
  if (layer === "arp" && !netfilter.arps && !netfilter.atDevices) return undefined;
  // ARP's own header has the sender's address, too, before there is a frame.
  let now: Packet = way === "received"
    ? { ...packet, sourceMac: from, destinationMac: to }
    : layer === "arp"
    ? { ...packet, sourceMac: from }
    : packet;
  for (const hook of HOOKS[layer][way]) {
    // The kernel has set the device of what it sends for IPv6 before: as if it came by it.
    const both = hook === "postrouting";
    const between = {
      ...(way === "received" || both ? { in: device.name } : {}),
      ...(way === "sent" ? { out: device.name } : {}),
    };
    const outcomes = netfilter.run(hook, now, surroundings(namespace, between), layer);
    const stop = refusal(outcomes, layer);
    if (stop !== undefined) {
      const cause = causeOf(namespace, hook, between, now, stop);
      const sure = outcomes.every(stops);
      return { ...cause, ...(sure ? {} : { id: UNSURE }), what: `${cause.what}: ${what}` };
    }
    const passes = outcomes.find(({ verdict }) => verdict === "accept");
    if (passes !== undefined) now = passes.packet;
  }
  return undefined;
}

function stops({ verdict }: Outcome): boolean {
  return verdict === "drop" || verdict === "reject";
}

/**
 * The outcome that ends it, or may. Who asks for a neighbour does so more than once, so that of
 * ICMPv6 chance lets one pass.
 */
function refusal(outcomes: readonly Outcome[], layer: "ip" | "arp"): Outcome | undefined {
  if (layer === "arp") return outcomes.find(({ verdict }) => verdict !== "accept");
  if (outcomes.every(stops)) return outcomes[0];
  return outcomes.find(({ verdict }) => verdict === "unknown");
}
