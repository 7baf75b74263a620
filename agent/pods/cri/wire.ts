/**
 * Protocol Buffers' wire format, as much of it as a container runtime's messages take: varints,
 * strings and messages (protobuf.dev/programming-guides/encoding). Fields that nobody asks for are
 * stepped over, so messages may grow.
 *
 * @module
 */

/** Wire types: how long a field's value is. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A varint has at most this many bytes, enough for 64 bits. */
const VARINT_BYTES_MAX = 10;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** One field: a whole number, or bytes that are a string or a message. */
export interface Field {
  readonly number: number;
  /** Exact to 2^53; 0 for bytes. */
  readonly value: number;
  /** A view into the message; empty for a number. */
  readonly bytes: Uint8Array;
}

const NONE = new Uint8Array();

/** The fields of a message, in its order. Throws on bytes that are no message. */
export function* fields(message: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      const byte = message[at++];
      if (byte === undefined) throw damaged("ends within a number", message);
      value += (byte & 0x7f) * 2 ** (7 * count);
      if (byte < 0x80) return value;
    }
    throw damaged(`has a number of more than ${VARINT_BYTES_MAX} bytes`, message);
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (type === VARINT) {
      yield { number, value: varint(), bytes: NONE };
      continue;
    }
    const length = type === BYTES
      ? varint()
      : type === FIXED64
      ? 8
      : type === FIXED32
      ? 4
      : undefined;
    if (length === undefined) throw damaged(`has a field of the unknown type ${type}`, message);
    if (length > message.length - at) throw damaged(`ends within field ${number}`, message);
    const bytes = message.subarray(at, at + length);
    at += length;
    if (type === BYTES) yield { number, value: 0, bytes };
  }
}

function damaged(how: string, message: Uint8Array): Error {
  return new Error(`Cannot read a message of ${message.length} bytes: it ${how}`);
}

/** The text of a field; what is no UTF-8 becomes U+FFFD. */
export function text({ bytes }: Field): string {
  return decoder.decode(bytes);
}

/** A `map<string, string>` entry: key in field 1, value in field 2. */
export function entry({ bytes }: Field): readonly [key: string, value: string] {
  let key = "";
  let value = "";
  for (const field of fields(bytes)) {
    if (field.number === 1) key = text(field);
    else if (field.number === 2) value = text(field);
  }
  return [key, value];
}

/** A field with a string. */
export function stringField(number: number, value: string): Uint8Array {
  return bytesField(number, encoder.encode(value));
}

/** A field with a message, or any bytes. */
export function bytesField(number: number, bytes: Uint8Array): Uint8Array {
  return concat(varintBytes(number * 8 + BYTES), varintBytes(bytes.length), bytes);
}

/** A field with a whole number from 0 to 2^53, or `true` as 1. */
export function numberField(number: number, value: number): Uint8Array {
  return concat(varintBytes(number * 8 + VARINT), varintBytes(value));
}

/** Fields one after the other: a message. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function varintBytes(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push(value % 0x80 + 0x80);
  bytes.push(value);
  return Uint8Array.from(bytes);
}
