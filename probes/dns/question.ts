/**
 * What a query asks for: the first bytes of its question, as RFC 1035 §4.1.2 puts them on the wire.
 *
 * @module
 */
import type { Codec } from "@agent/schema.ts";
import { TYPES } from "./words.ts";

/** As in `dns.h`. */
const QUESTION_MAX = 128;
/** The two upper bits say that no label begins here. */
const LABEL_MAX = 63;

/** The bytes that `struct dns_question` has room for. */
export const question: Codec<Uint8Array> = {
  ctypes: ["struct dns_question"],
  read: (view, offset) => {
    const bytes = new Uint8Array(QUESTION_MAX);
    bytes.set(new Uint8Array(view.buffer, view.byteOffset + offset, QUESTION_MAX));
    return bytes;
  },
};

/** A question, as far as it could be read. */
export interface Question {
  /** Without the last dot; `.` is the root. Ends in `…` if there was more. */
  readonly name?: string;
  readonly type?: string;
}

/** Reads the first `length` bytes of a question; nothing from what makes no sense. */
export function questionOf(bytes: Uint8Array, length: number): Question {
  const labels: string[] = [];
  let at = 0;
  for (;;) {
    const size = at < length ? bytes[at] : undefined;
    if (size === undefined) return labels.length === 0 ? {} : { name: `${labels.join(".")}.…` };
    if (size > LABEL_MAX) return {};
    if (size === 0) break;
    const end = Math.min(at + 1 + size, length);
    labels.push(textOf(bytes.subarray(at + 1, end)));
    at += 1 + size;
    if (at > length) return { name: `${labels.join(".")}…` };
  }
  const name = labels.length === 0 ? "." : labels.join(".");
  const [upper, lower] = [bytes[at + 1], bytes[at + 2]];
  if (at + 3 > length || upper === undefined || lower === undefined) return { name };
  const type = upper * 256 + lower;
  return { name, type: TYPES.get(type) ?? `TYPE${type}` };
}

/** Names come from whoever asks: what is not printable, or not part of a label's text, is `?`. */
function textOf(label: Uint8Array): string {
  return [...label].map((byte) =>
    byte > 0x20 && byte < 0x7f && byte !== 0x2e ? String.fromCharCode(byte) : "?"
  ).join("");
}
