/**
 * Which namespace a number in `link_netnsid` stands for.
 *
 * Source: `RTM_GETNSID` of rtnetlink(7), `include/uapi/linux/net_namespace.h`.
 *
 * @module
 */
import { close, openRouteSocket, receive, send, u16, u32 } from "../../agent/namespaces/libc.ts";

const RTM_NEWNSID = 88;
const RTM_GETNSID = 90;
const NLM_F_REQUEST = 1;
const NETNSA_NSID = 1;
const NETNSA_FD = 3;
/** `struct nlmsghdr`, `struct rtgenmsg` with its padding. */
const HEAD_BYTES = 16 + 4;

/** The request: who is the namespace that is open as `descriptor`? */
function request(descriptor: number): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(new ArrayBuffer(HEAD_BYTES + 8));
  const put = (at: number, value: number, bytes: number) => {
    for (let byte = 0; byte < bytes; byte++) message[at + byte] = value >>> byte * 8 & 0xff;
  };
  put(0, message.length, 4);
  put(4, RTM_GETNSID, 2);
  put(6, NLM_F_REQUEST, 2);
  put(HEAD_BYTES, 8, 2);
  put(HEAD_BYTES + 2, NETNSA_FD, 2);
  put(HEAD_BYTES + 4, descriptor, 4);
  return message;
}

/** The number in an answer; undefined if the namespace has none, or the answer is an error. */
export function idOf(answer: Uint8Array): number | undefined {
  if (answer.length < HEAD_BYTES || u16(answer, 4) !== RTM_NEWNSID) return undefined;
  const end = Math.min(answer.length, u32(answer, 0));
  for (let at = HEAD_BYTES; at + 8 <= end;) {
    const length = u16(answer, at);
    if (u16(answer, at + 2) === NETNSA_NSID) {
      const id = u32(answer, at + 4) | 0;
      return id < 0 ? undefined : id;
    }
    if (length < 4) return undefined;
    at += (length + 3) & ~3;
  }
  return undefined;
}

/** The calling thread's namespace's numbers of others, by their inode numbers. */
export function namespaceIds(
  others: readonly (readonly [inum: number, descriptor: number])[],
): ReadonlyMap<number, number> {
  const ids = new Map<number, number>();
  const socket = openRouteSocket();
  if (socket < 0) return ids;
  const answer = new Uint8Array(new ArrayBuffer(4_096));
  try {
    for (const [inum, descriptor] of others) {
      if (send(socket, request(descriptor)) < 0) continue;
      const length = receive(socket, answer);
      const id = length < 0 ? undefined : idOf(answer.subarray(0, length));
      if (id !== undefined) ids.set(inum, id);
    }
  } finally {
    close(socket);
  }
  return ids;
}
