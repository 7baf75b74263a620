/**
 * Makes records of netlink messages, in the layout that a probe's schema gives them, so that codecs
 * read them as they read what BPF sends.
 *
 * @module
 */
import type { Layout } from "../bpf/btf.ts";
import type { NetnsKey } from "./events/event.ts";
import { u16, u32 } from "./namespaces/libc.ts";
import { HEADER_BYTES } from "./namespaces/netlink_message.ts";
import type { NetlinkKind, NetlinkProbe, NetlinkSource } from "./probe.ts";
import { bootTime, type Decoder, decoder, type Fields, netns, type Schema } from "./schema.ts";

/** Sizes of the C types that a record may have. */
const SIZES: Readonly<Record<string, number>> = {
  ...{ "__u8": 1, "__be16": 2, "__be32": 4, "__be64": 8, "boot_ns": 8 },
  ...{ "struct netns_ref": 16, "struct ip_addr": 16 },
};
const IPV4_BYTES = 4;
/** Where the last four bytes of `::ffff:a.b.c.d` are, and the two before. */
const MAPPED_AT = 12;
const NESTED_BITS = 0xc000;

/** The fields of a record, one after the other, without padding. */
export function recordLayout({ struct, fields }: Schema<Fields>): Layout {
  let size = 0;
  const members = new Map(
    Object.entries(fields).map(([name, { ctypes }]) => {
      const [ctype = ""] = ctypes;
      const bytes = SIZES[ctype];
      if (bytes === undefined) {
        throw new TypeError(`Cannot lay out ${struct}.${name}: no netlink record has ${ctype}`);
      }
      const member = { ctype, offset: size, size: bytes };
      size += bytes;
      return [name, member] as const;
    }),
  );
  return { name: struct, size, members };
}

/** Where an attribute goes to: a place in the record, or the attributes within it. */
interface Branch {
  to?: { readonly offset: number; readonly size: number };
  readonly within: Map<number, Branch>;
}

/** A message as a record. */
export interface NetlinkRecord {
  readonly kind: NetlinkKind;
  readonly record: Readonly<Record<string, unknown>>;
}

/** Reads messages of one probe. */
export class NetlinkRecords {
  readonly #source: NetlinkSource;
  readonly #layout: Layout;
  readonly #decode: Decoder<Fields>;
  readonly #root: Branch = { within: new Map() };
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  readonly #at: number | undefined;
  readonly #netns: number | undefined;
  readonly #kind: number | undefined;

  constructor({ netlink, records }: NetlinkProbe) {
    const schema: Schema<Fields> = records.record;
    this.#source = netlink;
    this.#layout = recordLayout(schema);
    this.#decode = decoder(schema, this.#layout, () => new Map());
    this.#bytes = new Uint8Array(new ArrayBuffer(this.#layout.size));
    this.#view = new DataView(this.#bytes.buffer);
    for (const [field, paths] of Object.entries(netlink.paths)) {
      for (const path of paths) this.#plant(field, path);
    }
    const offsetOf = (codec: unknown) => {
      const name = Object.entries(schema.fields).find(([, each]) => each === codec)?.[0] ?? "";
      return this.#layout.members.get(name)?.offset;
    };
    this.#at = offsetOf(bootTime);
    this.#netns = offsetOf(netns);
    this.#kind = this.#layout.members.get("kind")?.offset;
  }

  #plant(field: string, path: readonly number[]): void {
    const member = this.#layout.members.get(field);
    if (member === undefined) {
      throw new TypeError(`Cannot read ${this.#layout.name}.${field}: it has no such field`);
    }
    let branch = this.#root;
    for (const type of path) {
      const next: Branch = branch.within.get(type) ?? { within: new Map() };
      branch.within.set(type, next);
      branch = next;
    }
    branch.to = member;
  }

  /** Calls `take` with each message of a datagram that is of a kind of the probe's. */
  read(
    datagram: Uint8Array,
    length: number,
    from: NetnsKey,
    at: bigint,
    take: (message: NetlinkRecord) => void,
  ): void {
    for (let start = 0; start + HEADER_BYTES <= length;) {
      const size = u32(datagram, start);
      if (size < HEADER_BYTES || start + size > length) return;
      const type = u16(datagram, start + 4);
      const flags = u16(datagram, start + 6);
      const kind = this.#source.kinds.find((each) =>
        each.type === type && (flags & each.flags) === each.flags
      );
      if (kind !== undefined) {
        this.#bytes.fill(0);
        const first = start + HEADER_BYTES + this.#source.headerBytes;
        this.#fill(this.#root, datagram, first, start + size);
        take({ kind, record: this.#finish(kind, from, at) });
      }
      start += size + 3 & ~3;
    }
  }

  #finish(kind: NetlinkKind, from: NetnsKey, at: bigint): Readonly<Record<string, unknown>> {
    if (this.#at !== undefined) this.#view.setBigUint64(this.#at, at, true);
    if (this.#netns !== undefined) {
      this.#view.setBigUint64(this.#netns, from.cookie, true);
      this.#view.setUint32(this.#netns + 8, from.inum, true);
    }
    if (this.#kind !== undefined) this.#bytes[this.#kind] = kind.number;
    return this.#decode(this.#view, 0, this.#bytes.length);
  }

  #fill(branch: Branch, datagram: Uint8Array, from: number, end: number): void {
    for (let at = from; at + 4 <= end;) {
      const size = u16(datagram, at);
      if (size < 4 || at + size > end) return;
      const next = branch.within.get(u16(datagram, at + 2) & ~NESTED_BITS);
      if (next?.to !== undefined) this.#copy(next.to, datagram.subarray(at + 4, at + size));
      if (next !== undefined && next.within.size > 0) {
        this.#fill(next, datagram, at + 4, at + size);
      }
      at += size + 3 & ~3;
    }
  }

  #copy({ offset, size }: { offset: number; size: number }, value: Uint8Array): void {
    if (value.length === size) this.#bytes.set(value, offset);
    else if (size === 16 && value.length === IPV4_BYTES) {
      this.#bytes.set([0xff, 0xff, ...value], offset + MAPPED_AT - 2);
    }
  }
}
