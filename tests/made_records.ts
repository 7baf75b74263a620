/**
 * Records as a probe's kernel side would write them, made from the layout that its object has.
 *
 * @module
 */
import { type Layout, layoutOf } from "@bpf/btf.ts";
import { readObject } from "@agent/discover.ts";
import { decoder, type EventOf, type Fields, type Schema } from "@agent/schema.ts";

const LITTLE_ENDIAN = true;

/** A field's value: a number, bytes (an address, a name's), or frames. */
export type Made = number | bigint | string | Uint8Array | readonly bigint[];

/** A kernel's enum, for codecs that name numbers by it. */
export type Enums = Readonly<Record<string, Readonly<Record<number, string>>>>;

/** Decodes a struct that is all zeros but for `values`; `netns` is given by `cookie` and `inum`. */
export async function decodeMade<F extends Fields>(
  probe: string,
  schema: Schema<F>,
  values: Readonly<Record<string, Made>>,
  enums: Enums = {},
): Promise<EventOf<F>> {
  const layout = layoutOf(await readObject(probe, probe), schema.struct);
  const bytes = make(layout, values);
  const view = new DataView(bytes.buffer);
  return decoder(schema, layout, (name) => wordsOf(enums[name] ?? {}))(view, 0, bytes.length);
}

/** An IPv4 or IPv6 address as the kernel side writes it; IPv6 with all its groups, no `::`. */
export function addressBytes(text: string): Uint8Array {
  if (text.includes(".")) {
    return Uint8Array.of(...Array(10).fill(0), 255, 255, ...text.split(".").map(Number));
  }
  const groups = text.split(":").map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

function wordsOf(words: Readonly<Record<number, string>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(words).map(([number, word]) => [Number(number), word]));
}

function make(layout: Layout, values: Readonly<Record<string, Made>>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(layout.size));
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(values)) {
    const member = layout.members.get(name);
    if (member === undefined) throw new TypeError(`Cannot make ${layout.name}.${name}: no field`);
    const { ctype, offset, size } = member;
    if (typeof value === "string") bytes.set(new TextEncoder().encode(value), offset);
    else if (value instanceof Uint8Array) bytes.set(value, offset);
    else if (typeof value === "object") {
      value.forEach((frame, index) => view.setBigUint64(offset + index * 8, frame, LITTLE_ENDIAN));
    } else {
      for (let index = 0; index < size; index++) {
        const shift = 8n * BigInt(ctype.startsWith("__be") ? size - 1 - index : index);
        bytes[offset + index] = Number(BigInt(value) >> shift & 0xffn);
      }
    }
  }
  return bytes;
}
