/**
 * Messages of netlink(7): one question, its answers, and the attributes in them. Strictly
 * synchronous.
 *
 * @module
 */
import { errorName, receive, send, u16, u32 } from "./libc.ts";

/** `struct nlmsghdr`: u32 length, u16 type, u16 flags, u32 sequence, u32 port. */
export const HEADER_BYTES = 16;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP = 0x300;
const NESTED_BITS = 0xc000;

/** Where each answer is read into. The kernel fills at most 32 KiB of a dump at a time. */
export const answer = new Uint8Array(new ArrayBuffer(64 * 1024));
const decoder = new TextDecoder();

/** Netlink answered a question with an error. */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";

  /** `failure` is the errno, turned around. */
  constructor(doing: string, readonly failure: number) {
    super(`${doing}: ${errorName(failure)}`);
  }
}

/**
 * Asks for all there is of a type, and calls `each` with the span of every answer's payload, which
 * lies in `answer`. A dump that its end is missing of throws when the socket's time is up.
 */
export function dump(
  descriptor: number,
  type: number,
  body: readonly number[],
  each: (from: number, to: number) => void,
): void {
  ask(descriptor, type, NLM_F_REQUEST | NLM_F_DUMP, body);
  while (!readAnswers(descriptor, type, each));
}

/**
 * Asks a question that has one answer. It may be marked as one of many (NLM_F_MULTI) with no end to
 * follow, as that of IPCTNL_MSG_CT_GET_STATS is, so nothing is waited for after it.
 */
export function askOnce(
  descriptor: number,
  type: number,
  body: readonly number[],
  each: (from: number, to: number) => void,
): void {
  ask(descriptor, type, NLM_F_REQUEST, body);
  readAnswers(descriptor, type, each);
}

function ask(descriptor: number, type: number, flags: number, body: readonly number[]): void {
  const length = HEADER_BYTES + body.length;
  const request = new Uint8Array(new ArrayBuffer(length));
  request.set([length, 0, 0, 0, type & 0xff, type >> 8, flags & 0xff, flags >> 8]);
  request.set(body, HEADER_BYTES);
  const sent = send(descriptor, request);
  if (sent < 0) throw new NetlinkError(`Cannot ask netlink for type ${type}`, sent);
}

/** Reads one datagram of answers; true when it has the end of the dump. */
function readAnswers(
  descriptor: number,
  type: number,
  each: (from: number, to: number) => void,
): boolean {
  const received = receive(descriptor, answer);
  if (received < 0) throw new NetlinkError("Cannot read netlink's answer", received);
  if (received < HEADER_BYTES) {
    throw new Error(`Cannot read netlink's answer: current size is ${received}`);
  }
  for (let at = 0; at + HEADER_BYTES <= received;) {
    const size = u32(answer, at);
    if (size < HEADER_BYTES || at + size > received) {
      throw new Error(`Cannot read netlink's answer: current message size is ${size}`);
    }
    const kind = u16(answer, at + 4);
    if (kind === NLMSG_DONE) return true;
    if (kind === NLMSG_ERROR) {
      const failure = u32(answer, at + HEADER_BYTES) | 0;
      throw new NetlinkError(`Cannot ask netlink for type ${type}`, failure);
    }
    each(at + HEADER_BYTES, at + size);
    at += size + 3 & ~3;
  }
  return false;
}

/** Calls `each` with the type and the span of every attribute in a span of `answer`. */
export function attributes(
  from: number,
  to: number,
  each: (type: number, start: number, end: number) => void,
): void {
  for (let at = from; at + 4 <= to;) {
    const size = u16(answer, at);
    if (size < 4 || at + size > to) return;
    each(u16(answer, at + 2) & ~NESTED_BITS, at + 4, at + size);
    at += size + 3 & ~3;
  }
}

/** The text in a span of `answer`, up to its zero. */
export function cString(start: number, end: number): string {
  const zero = answer.indexOf(0, start);
  return decoder.decode(answer.subarray(start, zero < 0 || zero > end ? end : zero));
}
