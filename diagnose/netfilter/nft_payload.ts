/**
 * Headers of a packet as bits: what nftables' payload expressions read, by name or by offset.
 *
 * @module
 */
import { type Packet, PROTOCOLS } from "../packet/packet.ts";
import type { Moment } from "./rules.ts";
import { BREAK, macOf, one, type Seen, unsure } from "./nft_value.ts";
import { hasPorts } from "./ports.ts";
import type { ValueType } from "./nft_symbols.ts";

/** Bits from an offset on, in the header. */
interface Field {
  readonly offset: number;
  readonly length: number;
  readonly type?: ValueType;
}

/** A header as far as it is known. */
interface Known extends Field {
  readonly value: bigint;
}

/** The link's, the network's or the transport's header. */
export type Layer = "ll" | "nh" | "th";

function field(offset: number, length: number, type: ValueType = "number"): Field {
  return { offset, length, type };
}

const PORTS = { sport: field(0, 16), dport: field(16, 16) };

const HEADERS: Readonly<Record<string, { layer: Layer; fields: Readonly<Record<string, Field>> }>> =
  {
    ether: {
      layer: "ll",
      fields: { daddr: field(0, 48), saddr: field(48, 48), type: field(96, 16, "etherType") },
    },
    arp: {
      layer: "nh",
      fields: {
        ...{ htype: field(0, 16), ptype: field(16, 16, "etherType"), hlen: field(32, 8) },
        ...{ plen: field(40, 8), operation: field(48, 16, "arpOperation") },
        ...{ "saddr ether": field(64, 48), "saddr ip": field(112, 32) },
        ...{ "daddr ether": field(144, 48), "daddr ip": field(192, 32) },
      },
    },
    ip: {
      layer: "nh",
      fields: {
        ...{ version: field(0, 4), hdrlength: field(4, 4), dscp: field(8, 6, "dscp") },
        ...{ ecn: field(14, 2, "ecn"), length: field(16, 16), id: field(32, 16) },
        ...{ "frag-off": field(48, 16), ttl: field(64, 8), protocol: field(72, 8, "protocol") },
        ...{ checksum: field(80, 16), saddr: field(96, 32), daddr: field(128, 32) },
      },
    },
    ip6: {
      layer: "nh",
      fields: {
        ...{ version: field(0, 4), dscp: field(4, 6, "dscp"), ecn: field(10, 2, "ecn") },
        ...{ flowlabel: field(12, 20), length: field(32, 16), nexthdr: field(48, 8, "protocol") },
        ...{ hoplimit: field(56, 8), saddr: field(64, 128), daddr: field(192, 128) },
      },
    },
    tcp: {
      layer: "th",
      fields: {
        ...{ ...PORTS, sequence: field(32, 32), ackseq: field(64, 32), doff: field(96, 4) },
        ...{ reserved: field(100, 4), flags: field(104, 8, "flags"), window: field(112, 16) },
        ...{ checksum: field(128, 16), urgptr: field(144, 16) },
      },
    },
    udp: { layer: "th", fields: { ...PORTS, length: field(32, 16), checksum: field(48, 16) } },
    udplite: { layer: "th", fields: PORTS },
    sctp: { layer: "th", fields: PORTS },
    dccp: { layer: "th", fields: PORTS },
    th: { layer: "th", fields: PORTS },
    icmp: {
      layer: "th",
      fields: { type: field(0, 8, "icmpType"), code: field(8, 8, "icmpCode") },
    },
    icmpv6: {
      layer: "th",
      fields: { type: field(0, 8, "icmpv6Type"), code: field(8, 8, "icmpv6Code") },
    },
  };

/** What a field is, and how to read it. */
export function namedField(
  protocol: string,
  name: string,
): { readonly type: ValueType; read(moment: Moment): Seen } | undefined {
  const header = HEADERS[protocol];
  const found = header?.fields[name];
  if (header === undefined || found === undefined) return undefined;
  return {
    type: found.type ?? "number",
    read: (moment) =>
      hasHeader(moment.packet, protocol) && !(protocol === "ether" && foreign(moment))
        ? readBits(moment, header.layer, found)
        : BREAK,
  };
}

/** nft hides that a rule of IP about Ethernet's header asks first for a device that has one. */
function foreign({ hook, around }: Moment): boolean {
  if (hook === "ingress" || hook === "egress" || around.inDevice === undefined) return false;
  const type = around.device(around.inDevice)?.type;
  return type !== undefined && type !== ETHERNET;
}

/** `ARPHRD_ETHER`. */
const ETHERNET = 1;

/** Whether the packet has a header of the protocol. */
export function hasHeader(packet: Packet, protocol: string): boolean {
  if (protocol === "ether") return true;
  if (packet.arp !== undefined) return protocol === "arp";
  if (protocol === "th") return true;
  if (protocol === "ip" || protocol === "ip6") {
    return packet.source.family === (protocol === "ip" ? 4 : 6);
  }
  return packet.protocol === Object.entries(PROTOCOLS).find(([name]) => name === protocol)?.[1];
}

/** Any bits of a header. */
export function readBits(moment: Moment, layer: Layer, { offset, length }: Field): Seen {
  if (layer === "ll" && !framed(moment)) return BREAK;
  if (layer === "th" && moment.packet.arp !== undefined) return BREAK;
  let value = 0n;
  let covered = 0;
  for (const known of header(moment, layer)) {
    const from = Math.max(offset, known.offset);
    const to = Math.min(offset + length, known.offset + known.length);
    if (from >= to) continue;
    const part = known.value >> BigInt(known.offset + known.length - to) &
      (1n << BigInt(to - from)) - 1n;
    value |= part << BigInt(offset + length - to);
    covered += to - from;
  }
  if (covered === length) return one(value);
  return unsure("what a header of the packet has there is not known");
}

/** What IP or ARP sends has no frame yet; what a bridge sends has, and what a device does. */
function framed({ hook, around, packet }: Moment): boolean {
  return around.inDevice !== undefined || packet.destinationMac !== undefined || hook === "egress";
}

function header({ packet, hook }: Moment, layer: Layer): readonly Known[] {
  // At a device the frame is the next hop's, who is looked for later.
  if (layer === "ll" && hook === "egress") return [etherType(packet)];
  if (layer === "ll") return linkHeader(packet);
  return layer === "nh" ? networkHeader(packet) : transportHeader(packet);
}

function known(offset: number, length: number, value: bigint | number): Known {
  return { offset, length, value: BigInt(value) };
}

function linkHeader(packet: Packet): readonly Known[] {
  const [source, destination] = [packet.sourceMac, packet.destinationMac].map((text) =>
    text === undefined ? undefined : macOf(text)
  );
  return [
    ...destination === undefined ? [] : [known(0, 48, destination)],
    ...source === undefined ? [] : [known(48, 48, source)],
    etherType(packet),
  ];
}

function etherType(packet: Packet): Known {
  return known(96, 16, etherTypeOf(packet));
}

/** `ETH_P_…` */
export function etherTypeOf({ arp, source }: Packet): number {
  if (arp !== undefined) return 0x806;
  return source.family === 4 ? 0x800 : 0x86dd;
}

/** RFC 826: the question does not know the hardware address that it is for. */
function arpHeader(packet: Packet): readonly Known[] {
  const { arp, sourceMac, destinationMac, source, destination } = packet;
  const [sender, target] = [sourceMac, arp === "request" ? "00:00:00:00:00:00" : destinationMac]
    .map((text) => text === undefined ? undefined : macOf(text));
  return [
    ...[known(0, 16, 1), known(16, 16, 0x800), known(32, 8, 6), known(40, 8, 4)],
    known(48, 16, arp === "request" ? 1 : 2),
    ...sender === undefined ? [] : [known(64, 48, sender)],
    ...[known(112, 32, source.bits), known(192, 32, destination.bits)],
    ...target === undefined ? [] : [known(144, 48, target)],
  ];
}

function networkHeader(packet: Packet): readonly Known[] {
  if (packet.arp !== undefined) return arpHeader(packet);
  const { tos, length, ttl, protocol } = packet;
  const [source, destination] = [packet.source.bits, packet.destination.bits];
  if (packet.source.family === 6) {
    return [
      ...[known(0, 4, 6), known(4, 8, tos), known(32, 16, length - 40), known(48, 8, protocol)],
      ...[known(56, 8, ttl), known(64, 128, source), known(192, 128, destination)],
    ];
  }
  // Whole, with the flag that forbids to divide it.
  return [
    ...[known(0, 8, 0x45), known(8, 8, tos), known(16, 16, length), known(48, 16, 0x4000)],
    ...[known(64, 8, ttl), known(72, 8, protocol), known(96, 32, source)],
    known(128, 32, destination),
  ];
}

function transportHeader(packet: Packet): readonly Known[] {
  const { sourcePort, destinationPort, tcpFlags, icmp, protocol } = packet;
  if (icmp !== undefined) return [known(0, 8, icmp.type), known(8, 8, icmp.code)];
  if (!hasPorts(packet)) return [];
  return [
    ...sourcePort === undefined ? [] : [known(0, 16, sourcePort)],
    ...destinationPort === undefined ? [] : [known(16, 16, destinationPort)],
    ...tcpFlags === undefined || protocol !== PROTOCOLS.tcp ? [] : [known(104, 8, tcpFlags)],
    ...protocol === PROTOCOLS.udp
      ? [known(32, 16, packet.length - (packet.source.family === 4 ? 20 : 40))]
      : [],
  ];
}

/** Fields that no rule and no route asks for. */
const UNASKED: readonly string[] = ["ip id", "ip6 flowlabel"];
/** What of a packet changes with a field. */
const CHANGES: Readonly<Record<string, (packet: Packet, value: bigint) => Packet>> = {
  saddr: (packet, bits) => ({ ...packet, source: { ...packet.source, bits } }),
  daddr: (packet, bits) => ({ ...packet, destination: { ...packet.destination, bits } }),
  ttl: (packet, value) => ({ ...packet, ttl: Number(value) }),
  hoplimit: (packet, value) => ({ ...packet, ttl: Number(value) }),
  dscp: (packet, value) => ({ ...packet, tos: packet.tos & 3 | Number(value) << 2 }),
  ecn: (packet, value) => ({ ...packet, tos: packet.tos & 0xfc | Number(value) }),
  sport: (packet, value) => ({ ...packet, sourcePort: Number(value) }),
  dport: (packet, value) => ({ ...packet, destinationPort: Number(value) }),
};
/** Protocols of which that is so. */
const CHANGED: readonly string[] = ["ip", "ip6", "tcp", "udp", "sctp", "dccp", "udplite", "th"];

/** What setting a field does to packets that have it; undefined where that is not known. */
export function settingOf(
  protocol: string,
  name: string,
): ((packet: Packet, value: bigint) => Packet) | undefined {
  if (UNASKED.includes(`${protocol} ${name}`)) return (packet) => packet;
  return CHANGED.includes(protocol) ? CHANGES[name] : undefined;
}
