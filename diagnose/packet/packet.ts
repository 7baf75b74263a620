/**
 * A packet on its way, and the connection that conntrack has it in.
 *
 * Both are values: what changes a packet makes another one of it.
 *
 * @module
 */
import { type Address, sameAddress } from "./address.ts";

/** Protocol numbers (IANA) by the names that tools print. */
export const PROTOCOLS = {
  ip: 0,
  icmp: 1,
  igmp: 2,
  ipip: 4,
  tcp: 6,
  udp: 17,
  dccp: 33,
  ipv6: 41,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
} as const;

/** TCP flags, as bits of the header. */
export const TCP_FLAGS = {
  fin: 1,
  syn: 2,
  rst: 4,
  psh: 8,
  ack: 16,
  urg: 32,
  ecn: 64,
  cwr: 128,
} as const;

/** One direction of a connection: who sends to whom. */
export interface Tuple {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

/** What conntrack knows of the packet's connection, in the namespace where the packet is. */
export interface Connection {
  readonly state: "new" | "established" | "related" | "invalid" | "untracked";
  /** Of this packet. */
  readonly direction: "original" | "reply";
  readonly mark: number;
  readonly zone: number;
  readonly original: Tuple;
  /** Carries the NAT: what answers look like when they come. */
  readonly reply: Tuple;
  /** Whether source NAT has been decided, also if it was decided that there is none. */
  readonly sourceDecided?: boolean;
  /** Whether destination NAT has been decided. */
  readonly destinationDecided?: boolean;
  /** The device whose address MASQUERADE has given it. */
  readonly masqueradeDevice?: string;
  /** Whether its first packet has left the namespace's rules, or reached its socket. */
  readonly confirmed?: boolean;
  /**
   * The zone that a rule has chosen for the packet before conntrack looks: from then on no rule
   * chooses again.
   */
  readonly template?: number;
  /** It is IPVS that changes the destination, and the answers' source: rules of NAT do not. */
  readonly scheduled?: true;
}

/** A packet. */
export interface Packet extends Tuple {
  readonly tcpFlags?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
  /** In bytes, from the IP header on. */
  readonly length: number;
  readonly ttl: number;
  /** The whole byte: DSCP and ECN; traffic class in IPv6. */
  readonly tos: number;
  readonly mark: number;
  readonly connection: Connection;
  /** Where it is none of IP, but asks for the address that it is for, or answers who did. */
  readonly arp?: "request" | "reply";
  /** Of the sending socket, when known. */
  readonly uid?: number;
  readonly gid?: number;
  /** Hardware addresses of the frame that it came in, when known: six numbers in hexadecimal. */
  readonly sourceMac?: string;
  readonly destinationMac?: string;
  /** What a tunnel carries. */
  readonly inner?: Packet;
  /** IPVS of the namespace has dealt with it, and does not again. */
  readonly scheduled?: true;
}

/** The direction that answers it. */
export function inverse(tuple: Tuple): Tuple {
  return {
    source: tuple.destination,
    destination: tuple.source,
    protocol: tuple.protocol,
    ...(tuple.destinationPort === undefined ? {} : { sourcePort: tuple.destinationPort }),
    ...(tuple.sourcePort === undefined ? {} : { destinationPort: tuple.sourcePort }),
  };
}

/** Only what makes the tuple of a packet. */
export function tupleOf(packet: Tuple): Tuple {
  return inverse(inverse(packet));
}

/** Whether both are the same direction of the same connection. */
export function sameTuple(one: Tuple, other: Tuple): boolean {
  return sameAddress(one.source, other.source) && sameAddress(one.destination, other.destination) &&
    one.protocol === other.protocol && one.sourcePort === other.sourcePort &&
    one.destinationPort === other.destinationPort;
}

/** The connection that a packet opens which nobody knows yet. */
export function newConnection(tuple: Tuple, zone = 0): Connection {
  return {
    state: "new",
    direction: "original",
    mark: 0,
    zone,
    original: tupleOf(tuple),
    reply: inverse(tuple),
  };
}

/** Only what can open a connection makes one: an answer to nothing is invalid. */
export function openedBy(packet: Packet, zone = 0): Connection {
  const connection = newConnection(packet, zone);
  const flags = packet.tcpFlags ?? 0;
  const answer = packet.protocol === PROTOCOLS.tcp &&
    (flags & TCP_FLAGS.syn) !== 0 && (flags & TCP_FLAGS.ack) !== 0;
  const echoed = packet.icmp !== undefined && [0, 129].includes(packet.icmp.type);
  return answer || echoed ? { ...connection, state: "invalid" } : connection;
}

/** What a sender sets, and what is left to the usual. */
export type Sent =
  & Tuple
  & Partial<Omit<Packet, keyof Tuple | "connection">>;

/**
 * The first packet of a connection: a TCP SYN with the usual options, or a datagram without
 * payload.
 */
export function firstPacket(sent: Sent): Packet {
  const header = sent.source.family === 4 ? 20 : 40;
  const payload: Readonly<Record<number, number>> = { 1: 8, 6: 40, 17: 8, 58: 8 };
  return {
    ...(sent.protocol === PROTOCOLS.tcp ? { tcpFlags: TCP_FLAGS.syn } : {}),
    length: header + (payload[sent.protocol] ?? 0),
    ttl: 64,
    tos: 0,
    mark: 0,
    ...sent,
    connection: newConnection(sent),
  };
}

/** What ARP carries; conntrack knows nothing of it. */
export function arpPacket(arp: "request" | "reply", source: Address, destination: Address): Packet {
  const tuple = { source, destination, protocol: 0 };
  const connection = { ...newConnection(tuple), state: "invalid" } as const;
  return { ...tuple, ...{ arp, length: ARP_BYTES, ttl: 0, tos: 0, mark: 0 }, connection };
}

/** Of Ethernet and IPv4 (RFC 826). */
const ARP_BYTES = 28;

/** Whether nothing that rules or routes can tell apart differs between two packets. */
export function samePacket(one: Packet, other: Packet): boolean {
  return one === other || signature(one) === signature(other);
}

function signature(packet: Packet): string {
  const sorted = Object.entries(packet).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify(sorted, (_, value) => typeof value === "bigint" ? `${value}` : value);
}
