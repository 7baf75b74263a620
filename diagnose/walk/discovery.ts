/**
 * Neighbour discovery of IPv6 is ICMP, and so passes the rules of netfilter like any packet.
 *
 * Source: RFC 4861 §4.3, §4.4; the kernel's `ndisc_send_ns`, `ndisc_send_na`.
 *
 * @module
 */
import type { Hook } from "../netfilter/netfilter.ts";
import { type Address, formatAddress } from "../packet/address.ts";
import { newConnection, type Packet, PROTOCOLS } from "../packet/packet.ts";
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

/** Why one side's rules stop the question or the answer; undefined if they do not. */
export function discoveryRefused(
  asking: Place,
  answering: Place,
  hop: Address,
  sender: Address,
): Cause | undefined {
  const question = solicitation(sender, hop);
  const answer = advertisement(sender, hop);
  return stopped(asking, ["output", "postrouting"], question, hop) ??
    stopped(answering, ["prerouting", "input"], question, hop) ??
    stopped(answering, ["output", "postrouting"], answer, hop) ??
    stopped(asking, ["prerouting", "input"], answer, hop);
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
  hooks: readonly Hook[],
  packet: Packet,
  hop: Address,
): Cause | undefined {
  let now = packet;
  for (const hook of hooks) {
    // The kernel has set the message's device before it is sent: rules see it as if it came by it.
    const between = {
      ...(hook === "output" ? {} : { in: device.name }),
      ...(hook === "output" || hook === "postrouting" ? { out: device.name } : {}),
    };
    const outcomes = namespace.netfilter.run(hook, now, surroundings(namespace, between));
    // Where it cannot be known, the packet that asks for it will meet the same rules, and say so.
    const sure = outcomes.every(({ verdict }) => verdict === "drop" || verdict === "reject");
    const [first] = outcomes;
    if (first !== undefined && sure) {
      const cause = causeOf(namespace, hook, between, now, first);
      const what = packet.icmp?.type === SOLICITATION ? "asks for" : "answers for";
      return { ...cause, what: `${cause.what}: the ICMPv6 that ${what} ${formatAddress(hop)}` };
    }
    if (first?.verdict === "accept") now = first.packet;
  }
  return undefined;
}
