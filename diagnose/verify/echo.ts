/**
 * Echo requests and replies (ping), as bytes.
 *
 * Source: RFC 792, RFC 4443 §4.1 and §4.2, RFC 1071.
 *
 * @module
 */
import type { Family } from "../packet/address.ts";

const REQUEST = { 4: 8, 6: 128 } as const;
const REPLY = { 4: 0, 6: 129 } as const;
const PAYLOAD = new TextEncoder().encode("podskoop");

/** An echo request with this identifier; of ICMPv6, the kernel fills in the checksum. */
export function echoRequest(family: Family, id: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8 + PAYLOAD.length);
  bytes.set([REQUEST[family], 0, 0, 0, id >>> 8, id & 0xff, 0, 1]);
  bytes.set(PAYLOAD, 8);
  if (family === 4) {
    const sum = checksum(bytes);
    bytes.set([sum >>> 8, sum & 0xff], 2);
  }
  return bytes;
}

/** Whether what a raw socket received is the reply; over IPv4 it begins with the IP header. */
export function isEchoReply(message: Uint8Array, family: Family, id: number): boolean {
  const at = family === 4 ? ((message[0] ?? 0) & 0xf) * 4 : 0;
  return message.length >= at + 8 && message[at] === REPLY[family] &&
    message[at + 4] === id >>> 8 && message[at + 5] === (id & 0xff);
}

/** The complement of the sum of all 16-bit words, with what is carried added again. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += (bytes[at] ?? 0) << 8 | (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
