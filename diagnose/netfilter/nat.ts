/**
 * Address translation: what rules decide of a connection, and what that does to its packets.
 *
 * @module
 */
import { type Address, sameAddress } from "../packet/address.ts";
import type { Connection, Packet } from "../packet/packet.ts";

/** Which end of a packet is translated: the destination before routing, the source after it. */
export type NatEnd = "source" | "destination";

/** The connection, where conntrack has one for the packet. */
export function trackedOf(packet: Packet, tracked: boolean): Connection | undefined {
  const { connection } = packet;
  if (!tracked || connection.state === "untracked" || connection.state === "invalid") {
    return undefined;
  }
  return connection;
}

/** Whether NAT rules are still asked about this end. */
export function undecided({ state, ...connection }: Connection, end: NatEnd): boolean {
  if (state !== "new" && state !== "related") return false;
  return !(end === "source" ? connection.sourceDecided : connection.destinationDecided);
}

/** The packet of a connection whose end a rule translates; without an address, to itself. */
export function decide(packet: Packet, end: NatEnd, address?: Address, port?: number): Packet {
  const { connection } = packet;
  const { reply } = connection;
  if (end === "destination") {
    const changed = {
      ...reply,
      ...(address === undefined ? {} : { source: address }),
      ...(port === undefined ? {} : { sourcePort: port }),
    };
    return {
      ...packet,
      connection: { ...connection, reply: changed, destinationDecided: true },
    };
  }
  const changed = {
    ...reply,
    ...(address === undefined ? {} : { destination: address }),
    ...(port === undefined ? {} : { destinationPort: port }),
  };
  return { ...packet, connection: { ...connection, reply: changed, sourceDecided: true } };
}

/** The packet with one end as its connection's NAT has it. */
export function translate(packet: Packet, end: NatEnd): Packet {
  const { connection } = packet;
  const answer = connection.direction === "original" ? connection.reply : connection.original;
  // A related ICMP error has its own ports, if any.
  const ported = packet.sourcePort !== undefined || packet.destinationPort !== undefined;
  if (end === "destination") {
    return {
      ...packet,
      destination: answer.source,
      ...(answer.sourcePort === undefined || !ported ? {} : { destinationPort: answer.sourcePort }),
    };
  }
  return {
    ...packet,
    source: answer.destination,
    ...(answer.destinationPort === undefined || !ported
      ? {}
      : { sourcePort: answer.destinationPort }),
  };
}

/** Whether the connection's end is translated to something else. */
export function translated({ original, reply }: Connection, end: NatEnd): boolean {
  return end === "destination"
    ? !sameAddress(original.destination, reply.source) ||
      original.destinationPort !== reply.sourcePort
    : !sameAddress(original.source, reply.destination) ||
      original.sourcePort !== reply.destinationPort;
}
