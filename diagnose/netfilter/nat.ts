/**
 * Address translation: what rules decide of a connection, and what that does to its packets.
 *
 * @module
 */
import { type Address, sameAddress } from "../packet/address.ts";
import { type Connection, newConnection, openedBy, type Packet } from "../packet/packet.ts";

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

/** What rules see of the packet's connection: what a rule has chosen for conntrack is one, too. */
export function seenOf(packet: Packet, tracked: boolean): Connection | undefined {
  const { template } = packet.connection;
  if (tracked || template === undefined) return trackedOf(packet, tracked);
  const nobody: Address = { family: packet.source.family, bits: 0n };
  const nothing = { source: nobody, destination: nobody, protocol: 0 };
  const tuple = { ...nothing, sourcePort: 0, destinationPort: 0 };
  return { ...newConnection(tuple, template), confirmed: true };
}

/** Whether a rule can still choose what conntrack does with the packet. */
export function choosable({ connection }: Packet, tracked: boolean): boolean {
  return !tracked && connection.template === undefined && connection.state !== "untracked";
}

/** The packet in the zone that rules have chosen: what another zone knows of it does not count. */
export function inZone(packet: Packet): Packet {
  const { template: zone = 0, ...connection } = packet.connection;
  if (connection.state === "untracked" || connection.zone === zone) {
    return { ...packet, connection };
  }
  const known = connection.confirmed === true || connection.direction === "reply";
  return { ...packet, connection: known ? openedBy(packet, zone) : { ...connection, zone } };
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

/** The packet with one end as its connection's NAT has it; IPVS does its end by itself. */
export function translate(packet: Packet, end: NatEnd): Packet {
  const { connection } = packet;
  const own = (connection.direction === "original") === (end === "destination");
  // What is not translated stays, also where a rule has rewritten it.
  if (!translated(connection, own ? "destination" : "source")) return packet;
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

/** Whether NAT translates the connection's end to something else. */
export function translated({ original, reply, scheduled }: Connection, end: NatEnd): boolean {
  if (scheduled && end === "destination") return false;
  return end === "destination"
    ? !sameAddress(original.destination, reply.source) ||
      original.destinationPort !== reply.sourcePort
    : !sameAddress(original.source, reply.destination) ||
      original.sourcePort !== reply.destinationPort;
}
