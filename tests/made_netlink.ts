/**
 * Netlink messages as the kernel multicasts them, made from attributes.
 *
 * @module
 */
import { addressBytes } from "./made_records.ts";

/** An attribute's value: bytes, or the attributes within it by their type. */
export type Attribute = Uint8Array | readonly (readonly [type: number, value: Attribute])[];

/** One message: its type and flags, a header of `headerBytes` zeros, then the attributes. */
export function netlinkMessage(
  type: number,
  flags: number,
  headerBytes: number,
  attributes: Attribute,
): Uint8Array<ArrayBuffer> {
  const body = bytesOf(attributes);
  const message = new Uint8Array(new ArrayBuffer(16 + headerBytes + body.length));
  const view = new DataView(message.buffer);
  view.setUint32(0, message.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  message.set(body, 16 + headerBytes);
  return message;
}

function bytesOf(value: Attribute): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const parts = value.flatMap(([type, inner]) => {
    const body = bytesOf(inner);
    const bytes = new Uint8Array(4 + body.length + 3 & ~3);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 4 + body.length, true);
    view.setUint16(2, type | (inner instanceof Uint8Array ? 0 : 0x8000), true);
    bytes.set(body, 4);
    return [...bytes];
  });
  return Uint8Array.from(parts);
}

/** A number in network order, of 1, 2, 4 or 8 bytes. */
export function bigEndian(size: number, value: number | bigint): Uint8Array {
  return Uint8Array.from(
    { length: size },
    (_, index) => Number(BigInt(value) >> BigInt(8 * (size - 1 - index)) & 0xffn),
  );
}

/** One side's tuple of a tracked connection. */
export interface Tuple {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** `CTA_TUPLE_ORIG` or `CTA_TUPLE_REPLY`, for a protocol by its number. */
export function tuple(protocol: number, ends: Tuple): Attribute {
  const isIpv6 = ends.source.includes(":");
  const address = (text: string) => isIpv6 ? addressBytes(text) : addressBytes(text).subarray(12);
  return [
    [1, [[isIpv6 ? 3 : 1, address(ends.source)], [isIpv6 ? 4 : 2, address(ends.destination)]]],
    [2, [
      [1, bigEndian(1, protocol)],
      [2, bigEndian(2, ends.sourcePort)],
      [3, bigEndian(2, ends.destinationPort)],
    ]],
  ];
}

/** `IPCTNL_MSG_CT_NEW`, with the flags of a connection that begins; and `IPCTNL_MSG_CT_DELETE`. */
export const CT_NEW = [0x100, 0x600] as const;
export const CT_UPDATE = [0x100, 0] as const;
export const CT_DESTROY = [0x102, 0] as const;

/** A message about a tracked connection; `more` are further attributes. */
export function conntrackMessage(
  [type, flags]: readonly [number, number],
  protocol: number,
  there: Tuple,
  back: Tuple,
  more: readonly (readonly [number, Attribute])[] = [],
): Uint8Array<ArrayBuffer> {
  return netlinkMessage(type, flags, 4, [
    [1, tuple(protocol, there)],
    [2, tuple(protocol, back)],
    ...more,
  ]);
}
