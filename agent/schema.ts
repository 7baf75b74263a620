/**
 * Schemas: which C struct a probe shares with the agent, and what each field means.
 *
 * Offsets come from the object's BTF; meaning, and the TypeScript type, come from here. A codec
 * says which C types it can read, so a number in network order read as one in host order is an
 * error with both names in it.
 *
 * @module
 */
import type { Layout } from "../bpf/btf.ts";
import type { NetnsKey } from "./events/event.ts";
import type { Histogram } from "./metric.ts";

/**
 * Names a kernel enum's values, as the running kernel's BTF has them: numbers move between
 * versions.
 */
export type EnumWords = (name: string) => ReadonlyMap<number, string>;

/** Reads one field. `ctypes` are the C types it understands; any other is a mistake. */
export interface Codec<T> {
  readonly ctypes: readonly string[];
  read(view: DataView, offset: number): T;
  /** For a codec whose words depend on the running kernel: the codec to use there. */
  readonly bind?: (words: EnumWords) => Codec<T>;
}

/** The fields of a schema, by the name they have in C. */
// deno-lint-ignore no-explicit-any -- a codec is invariant in nothing we use
export type Fields = Readonly<Record<string, Codec<any>>>;

/** A named C struct and the codecs of its fields. */
export interface Schema<F extends Fields> {
  readonly struct: string;
  readonly fields: F;
}

/** The value a schema decodes to. */
export type EventOf<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Codec<infer T> ? T : never;
};

/** Declares a struct that crosses. */
export function struct<const F extends Fields>(name: string, fields: F): Schema<F> {
  return { struct: name, fields };
}

/**
 * Reads one record at `offset` of `view`; the caller has seen to it that `length` bytes are there.
 */
export type Decoder<F extends Fields> = (
  view: DataView,
  offset: number,
  length: number,
) => EventOf<F>;

/**
 * Binds a schema to a compiled layout and to the running kernel's enums.
 *
 * @throws {TypeError} on any disagreement between the two: a field that one has and the other
 *   lacks, a wrong C type.
 */
export function decoder<F extends Fields>(
  schema: Schema<F>,
  layout: Layout,
  words: EnumWords,
): Decoder<F> {
  const plan = planOf(schema, layout, words);
  return (view, offset, length) => {
    if (length < layout.size) {
      throw new RangeError(
        `Cannot decode ${layout.name} as it must have ${layout.size} bytes: ` +
          `current length is ${length}`,
      );
    }
    const value: Record<string, unknown> = {};
    for (let index = 0; index < plan.length; index++) {
      const step = plan[index];
      if (step !== undefined) value[step.name] = step.codec.read(view, offset + step.offset);
    }
    return value as EventOf<F>; // the plan has one step for each field of F
  };
}

interface Step {
  readonly name: string;
  readonly offset: number;
  readonly codec: Codec<unknown>;
}

function planOf(schema: Schema<Fields>, layout: Layout, words: EnumWords): readonly Step[] {
  const plan: Step[] = [];
  for (const [name, codec] of Object.entries(schema.fields)) {
    const member = layout.members.get(name);
    if (member === undefined) {
      throw new TypeError(`Cannot decode ${layout.name}.${name}: the struct has no such field`);
    }
    if (!codec.ctypes.includes(member.ctype)) {
      throw new TypeError(
        `Cannot decode ${layout.name}.${name}: it is ${member.ctype} in C, ` +
          `the schema reads ${codec.ctypes.join(" or ")}`,
      );
    }
    plan.push({ name, offset: member.offset, codec: codec.bind?.(words) ?? codec });
  }
  for (const name of layout.members.keys()) {
    if (name in schema.fields || name.startsWith("pad")) continue;
    throw new TypeError(`Cannot decode ${layout.name}: the schema leaves out "${name}"`);
  }
  return plan;
}

const LITTLE_ENDIAN = true;

/** A host-order 8-bit number. */
export const u8: Codec<number> = {
  ctypes: ["__u8"],
  read: (view, offset) => view.getUint8(offset),
};

/** A host-order 16-bit number. */
export const u16: Codec<number> = {
  ctypes: ["__u16"],
  read: (view, offset) => view.getUint16(offset, LITTLE_ENDIAN),
};

/** A host-order 32-bit number. */
export const u32: Codec<number> = {
  ctypes: ["__u32"],
  read: (view, offset) => view.getUint32(offset, LITTLE_ENDIAN),
};

/** A network-order 16-bit number, as ports are on the wire. */
export const be16: Codec<number> = {
  ctypes: ["__be16"],
  read: (view, offset) => view.getUint16(offset),
};

/** A network-order 32-bit number. */
export const be32: Codec<number> = {
  ctypes: ["__be32"],
  read: (view, offset) => view.getUint32(offset),
};

/** A network-order 64-bit amount, exact below 2^53. */
export const be64: Codec<number> = {
  ctypes: ["__be64"],
  read: (view, offset) => view.getUint32(offset) * 4294967296 + view.getUint32(offset + 4),
};

/**
 * A 64-bit total or amount. Exact below 2^53, which a counter of nanoseconds passes after 104 days
 * of them.
 */
export const total: Codec<number> = {
  ctypes: ["__u64"],
  read: (view, offset) =>
    view.getUint32(offset + 4, LITTLE_ENDIAN) * 4294967296 + view.getUint32(offset, LITTLE_ENDIAN),
};

/** Nanoseconds since boot, from `bpf_ktime_get_boot_ns()`. */
export const bootTime: Codec<bigint> = {
  ctypes: ["boot_ns"],
  read: (view, offset) => view.getBigUint64(offset, LITTLE_ENDIAN),
};

/** A network namespace; the agent adds the pod's labels from it. */
export const netns: Codec<NetnsKey> = {
  ctypes: ["struct netns_ref"],
  read: (view, offset) => ({
    cookie: view.getBigUint64(offset, LITTLE_ENDIAN),
    inum: view.getUint32(offset + 8, LITTLE_ENDIAN),
  }),
};

/**
 * Upper bounds of the buckets of `struct latency_histogram`, in seconds; the last bucket has none.
 * As in `bpf/include/histogram.h`, which a test compares. 1 ms, 10 ms and 100 ms are among them, as
 * in the seeds.
 */
export const LATENCY_BUCKETS: readonly number[] = [
  ...[0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005],
  ...[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
];

/** Latencies counted in the kernel, in seconds. */
export const latencies: Codec<Histogram> = {
  ctypes: ["struct latency_histogram"],
  read(view, offset) {
    const counts: number[] = [];
    for (let bucket = 0; bucket <= LATENCY_BUCKETS.length; bucket++) {
      counts.push(total.read(view, offset + 8 + bucket * 8));
    }
    return { counts, sum: total.read(view, offset) / 1e9 };
  },
};

/**
 * A process id in the initial pid namespace; as a key, the agent adds up what one pod's processes
 * have.
 */
export const tgid: Codec<number> = {
  ctypes: ["task_tgid"],
  read: (view, offset) => view.getUint32(offset, LITTLE_ENDIAN),
};

/**
 * A cgroup v2 id, as the inode number of its directory; 0 when the node has no cgroup v2 hierarchy
 * in use.
 */
export const cgroupId: Codec<bigint> = {
  ctypes: ["cgroup_id"],
  read: (view, offset) => view.getBigUint64(offset, LITTLE_ENDIAN),
};

/** A kernel address, to be named from the kernel's symbols. */
export const kernelAddress: Codec<bigint> = {
  ctypes: ["kernel_address"],
  read: (view, offset) => view.getBigUint64(offset, LITTLE_ENDIAN),
};

/** A kernel stack, innermost first; shorter stacks end in zeros, which are left out. */
export const stack: Codec<readonly bigint[]> = {
  ctypes: ["struct kernel_stack"],
  read(view, offset) {
    const frames: bigint[] = [];
    for (let index = 0; index < STACK_FRAMES_MAX; index++) {
      const frame = view.getBigUint64(offset + index * 8, LITTLE_ENDIAN);
      if (frame === 0n) break;
      frames.push(frame);
    }
    return frames;
  },
};

/**
 * Frames in `struct kernel_stack`; `bpf/include/probe.h` has the same number, which a test
 * compares.
 */
export const STACK_FRAMES_MAX = 32;

/**
 * A NUL-terminated name of at most 16 bytes. Bytes that are not printable ASCII become `?`: names
 * are hostile.
 */
export const shortName: Codec<string> = {
  ctypes: ["char[16]"],
  read(view, offset) {
    let text = "";
    for (let index = 0; index < 16; index++) {
      const byte = view.getUint8(offset + index);
      if (byte === 0) break;
      text += byte < 0x20 || byte > 0x7e ? "?" : String.fromCharCode(byte);
    }
    return text;
  },
};

/**
 * An IPv4 or IPv6 address, as `inet_ntop` prints it; IPv4 travels as `::ffff:a.b.c.d` and is
 * printed plainly.
 */
export const address: Codec<string> = {
  ctypes: ["struct ip_addr"],
  read(view, offset) {
    if (
      view.getUint32(offset + 8) === 0xffff && view.getUint32(offset) === 0 &&
      view.getUint32(offset + 4) === 0
    ) {
      return `${view.getUint8(offset + 12)}.${view.getUint8(offset + 13)}.` +
        `${view.getUint8(offset + 14)}.${view.getUint8(offset + 15)}`;
    }
    return ipv6(view, offset);
  },
};

/** RFC 5952: the longest run of two or more zero groups, the first of equals, becomes `::`. */
function ipv6(view: DataView, offset: number): string {
  let best = -1;
  let bestLength = 1;
  let run = 0;
  for (let group = 0; group < 8; group++) {
    run = view.getUint16(offset + group * 2) === 0 ? run + 1 : 0;
    if (run > bestLength) {
      best = group - run + 1;
      bestLength = run;
    }
  }
  let text = "";
  for (let group = 0; group < 8; group++) {
    if (group === best) {
      text += "::";
      group += bestLength - 1;
      continue;
    }
    if (text !== "" && !text.endsWith(":")) text += ":";
    text += view.getUint16(offset + group * 2).toString(16);
  }
  return text;
}

/** A number that stands for one of `names`; its type is the union of the names. */
export function oneOf<const N extends Readonly<Record<number, string>>>(
  names: N,
): Codec<N[keyof N] | "unknown"> {
  const words: Readonly<Record<number, N[keyof N] | undefined>> = names as Record<
    number,
    N[keyof N] | undefined
  >; // an index that N lacks is undefined, which N's own type does not say
  return {
    ctypes: ["__u8"],
    read: (view, offset) => words[view.getUint8(offset)] ?? "unknown",
  };
}

/**
 * A kernel enum, carried as the C typedef `ctype` of `__u32`, and named from the running kernel's
 * own BTF. The words are the enumerators without `prefix`; a number that the kernel has no word for
 * reads as `UNKNOWN`. `own` names numbers that the kernel does not use, and the C side puts there
 * where the kernel gives none.
 */
export function kernelEnum(
  ctype: string,
  name: string,
  prefix: string,
  own: Readonly<Record<number, string>> = {},
): Codec<string> {
  const withWords = (words: ReadonlyMap<number, string>): Codec<string> => ({
    ctypes: [ctype],
    read(view, offset) {
      const number = view.getUint32(offset, LITTLE_ENDIAN);
      const word = words.get(number) ?? own[number];
      if (word === undefined) return "UNKNOWN";
      return word.startsWith(prefix) ? word.slice(prefix.length) : word;
    },
  });
  return { ...withWords(new Map()), bind: (words) => withWords(words(name)) };
}

/**
 * A value for one field of a struct that the agent writes: a flag, a number, or the words of a
 * bitmap.
 */
export type FieldValue = number | boolean | readonly bigint[];

/**
 * Writes a struct that the agent sends to the kernel side, such as `struct NAME_parameters`. Fields
 * that `values` lacks are zero.
 *
 * @throws {TypeError} for a value without a field, or one whose C type cannot hold it.
 */
export function encode(
  layout: Layout,
  values: Readonly<Record<string, FieldValue>>,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(layout.size));
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(values)) {
    const member = layout.members.get(name);
    if (member === undefined) {
      throw new TypeError(`Cannot encode ${layout.name}.${name}: the struct has no such field`);
    }
    const { ctype, offset, size } = member;
    if (typeof value === "object") {
      if (!ctype.startsWith("__u64[") || value.length * 8 > size) {
        throw new TypeError(
          `Cannot encode ${layout.name}.${name}: it is ${ctype} in C, the value has ` +
            `${value.length} words of 64 bits`,
        );
      }
      value.forEach((word, index) => view.setBigUint64(offset + index * 8, word, LITTLE_ENDIAN));
    } else if (ctype === "__u8") view.setUint8(offset, Number(value));
    else if (ctype === "__u32") view.setUint32(offset, Number(value), LITTLE_ENDIAN);
    else if (ctype === "__u64") view.setBigUint64(offset, BigInt(Number(value)), LITTLE_ENDIAN);
    else {
      throw new TypeError(
        `Cannot encode ${layout.name}.${name}: it is ${ctype} in C, ` +
          `a parameter is __u8, __u32, __u64 or __u64[]`,
      );
    }
  }
  return bytes;
}

/**
 * The set bits for `words` of a kernel enum, as 64-bit words; a word that this kernel lacks has no
 * bit.
 */
export function bitmapOf(
  enumerators: ReadonlyMap<number, string>,
  prefix: string,
  words: readonly string[],
  bitsMax: number,
): readonly bigint[] {
  const wanted = new Set(words.flatMap((word) => [word, prefix + word]));
  const bitmap = Array<bigint>(Math.ceil(bitsMax / 64)).fill(0n);
  for (const [number, word] of enumerators) {
    if (!wanted.has(word) || number >= bitsMax) continue;
    const index = Math.floor(number / 64);
    bitmap[index] = (bitmap[index] ?? 0n) | (1n << BigInt(number % 64));
  }
  return bitmap;
}
