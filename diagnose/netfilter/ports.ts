/**
 * Ports of a packet, of which the sender's may not be known.
 *
 * @module
 */
import { type Packet, PROTOCOLS } from "../packet/packet.ts";
import { type Truth, unknown } from "./truth.ts";

/** A range of ports, both ends included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Ports that the kernel gives to senders that ask for none (`ip_local_port_range`). */
const EPHEMERAL: PortRange = { from: 32_768, to: 60_999 };

const PORTED: readonly number[] = [
  ...[PROTOCOLS.tcp, PROTOCOLS.udp, PROTOCOLS.sctp, PROTOCOLS.dccp, PROTOCOLS.udplite],
];

/** Whether the packet's protocol has ports. */
export function hasPorts({ protocol }: Packet): boolean {
  return PORTED.includes(protocol);
}

/** Whether a port that may not be known is in one of the ranges. */
export function portIn(port: number | undefined, ranges: readonly PortRange[]): Truth {
  if (port !== undefined) return ranges.some(({ from, to }) => from <= port && port <= to);
  if (ranges.some(({ from, to }) => from <= EPHEMERAL.from && EPHEMERAL.to <= to)) return true;
  const touched = ranges.some(({ from, to }) => from <= EPHEMERAL.to && EPHEMERAL.from <= to);
  return touched ? unknown("the sender's port is not known") : false;
}

/** `80` or `1024:65535`. */
export function parsePorts(text: string, separator = ":"): PortRange | undefined {
  const [from, to = from, ...more] = text.split(separator).map((each) =>
    /^\d{1,5}$/.test(each) && Number(each) <= 65_535 ? Number(each) : undefined
  );
  if (from === undefined || to === undefined || more.length > 0) return undefined;
  return { from, to };
}
