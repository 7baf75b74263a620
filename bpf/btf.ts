/**
 * Reads BTF: how a compiled BPF object, or the running kernel, lays out its types.
 *
 * clang records every struct, with the typedef names its author chose, in the ELF section `.BTF`,
 * and the kernel does the same for its own in `/sys/kernel/btf/vmlinux`. Reading it here means that
 * a C header is the only place where a layout is written down. The format is the kernel's
 * Documentation/bpf/btf.rst.
 *
 * @module
 */
import { sectionBytes } from "./elf.ts";

/** Where one field of a C struct lies, and the type name it was declared with. */
export interface Member {
  /**
   * As written in C, without qualifiers: `__u32`, `boot_ns`, `struct ip_addr`, `char[16]`, `struct
   * sock *`.
   */
  readonly ctype: string;
  /** In bytes. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
}

/**
 * The layout of one C struct. Members of nameless structs and unions inside it count as its own.
 */
export interface Layout {
  readonly name: string;
  readonly size: number;
  readonly members: ReadonlyMap<string, Member>;
}

/** What a name in BTF may stand for; numbered as BTF_KIND_* in `linux/btf.h`. */
const KIND = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  func: 12,
  prototype: 13,
  variable: 14,
  section: 15,
  float: 16,
  declTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

/** The kinds of named things that can be asked for. */
export type Kind = "struct" | "union" | "typedef" | "func" | "enum" | "enum64";

const LITTLE_ENDIAN = true;
const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** A type's own fields; what its kind adds comes after. */
const TYPE_BYTES = 12;
const MEMBER_BYTES = 12;
/** Deeper than C nests; types that contain themselves shall not keep us busy. */
const DEPTH_MAX = 32;
/** More fields than any struct has, likewise. */
const FIELDS_MAX = 16_384;

const decoder = new TextDecoder("latin1");

/**
 * One BTF blob, read where it lies: a pass over it notes where each type starts, and a name is
 * looked for once, in the string table, and then compared as an offset into it; so even the
 * kernel's 5 MB take a few milliseconds.
 */
export class Btf {
  readonly #view: DataView;
  /** The string table; a character is a byte, so that an index into it is BTF's. */
  readonly #strings: string;
  /** Where it begins among the bytes. */
  readonly #stringsAt: number;
  /** Byte offset of each type by its id; id 0 is void. */
  readonly #types: Uint32Array;
  readonly #origin: string;

  /**
   * @param bytes a `.BTF` section, or a file such as `/sys/kernel/btf/vmlinux`
   * @param origin what it is, for errors: `the object`
   * @throws {SyntaxError} when it is cut short or makes no sense
   */
  constructor(bytes: Uint8Array, origin: string) {
    this.#origin = origin;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.byteLength < HEADER_BYTES) {
      throw this.#broken(`it has only ${bytes.byteLength} bytes`);
    }
    const magic = this.#view.getUint16(0, LITTLE_ENDIAN);
    if (magic !== MAGIC) throw this.#broken(`it starts with 0x${magic.toString(16)}, not 0xeb9f`);
    const header = this.#u32(4);
    const types = header + this.#u32(8);
    const typesEnd = types + this.#u32(12);
    const strings = header + this.#u32(16);
    const stringsEnd = strings + this.#u32(20);
    if (typesEnd > bytes.byteLength || stringsEnd > bytes.byteLength) {
      throw this.#broken(
        `it is cut short: it has ${bytes.byteLength} of ${Math.max(typesEnd, stringsEnd)} bytes`,
      );
    }
    this.#stringsAt = strings;
    this.#strings = decoder.decode(bytes.subarray(strings, stringsEnd));
    this.#types = this.#index(types, typesEnd);
  }

  /** Whether there is such a thing. A struct that is only declared does not count. */
  has(kind: Kind, name: string): boolean {
    return this.#find(KIND[kind], name) !== undefined;
  }

  /** The number by which the kernel knows it; undefined when there is none. */
  idOf(kind: Kind, name: string): number | undefined {
    return this.#find(KIND[kind], name);
  }

  /**
   * The names of an enum's values; of names with the same value, the first. Undefined when there is
   * no such enum.
   */
  words(name: string): ReadonlyMap<number, string> | undefined {
    const narrow = this.#find(KIND.enum, name);
    const id = narrow ?? this.#find(KIND.enum64, name);
    if (id === undefined) return undefined;
    const at = this.#at(id);
    const step = narrow === undefined ? 12 : 8;
    const words = new Map<number, string>();
    for (let index = 0; index < this.#count(at); index++) {
      const entry = at + TYPE_BYTES + index * step;
      const low = this.#u32(entry + 4);
      const value = narrow === undefined
        ? low + this.#u32(entry + 8) * 2 ** 32
        : this.#flag(at)
        ? low | 0
        : low;
      if (!words.has(value)) words.set(value, this.#string(this.#u32(entry)));
    }
    return words;
  }

  /**
   * How many arguments the tracepoint `name` hands to a BPF program: those of `btf_trace_NAME`,
   * which `include/trace/bpf_probe.h` declares, without the `void *` in front. Undefined when there
   * is no such tracepoint.
   */
  tracepointArguments(name: string): number | undefined {
    const id = this.#find(KIND.typedef, `btf_trace_${name}`);
    if (id === undefined) return undefined;
    const pointer = this.#at(this.#u32(this.#at(id) + 8));
    if (this.#kind(pointer) !== KIND.pointer) return undefined;
    const prototype = this.#at(this.#u32(pointer + 8));
    return this.#kind(prototype) === KIND.prototype ? this.#count(prototype) - 1 : undefined;
  }

  /**
   * The layout of `struct name`.
   *
   * @throws {RangeError} when it is not mentioned
   * @throws {SyntaxError} when it has a bit field, which has no offset in bytes, or when its types
   *   make no sense
   */
  layout(name: string): Layout {
    const id = this.#find(KIND.struct, name);
    if (id === undefined) {
      throw new RangeError(
        `Cannot find struct "${name}" as the BTF of ${this.#origin} does not mention it`,
      );
    }
    const members = new Map<string, Member>();
    for (const field of this.#fields(id)) {
      const member = this.#memberOf(field);
      if (member === undefined) {
        throw new SyntaxError(
          `Cannot lay out ${name}.${field.name} as it is a bit field: ` +
            `its offset is ${field.bitOffset} bits`,
        );
      }
      members.set(field.name, member);
    }
    return { name, size: this.#u32(this.#at(id) + 8), members };
  }

  /**
   * Where one field of a struct or union lies; undefined when there is none, or when it is a bit
   * field.
   */
  member(kind: "struct" | "union", name: string, field: string): Member | undefined {
    const id = this.#find(KIND[kind], name);
    if (id === undefined) return undefined;
    for (const candidate of this.#fields(id)) {
      if (candidate.name === field) return this.#memberOf(candidate);
    }
    return undefined;
  }

  /** Size of a struct or union in bytes; undefined when there is none. */
  sizeOf(kind: "struct" | "union", name: string): number | undefined {
    const id = this.#find(KIND[kind], name);
    return id === undefined ? undefined : this.#u32(this.#at(id) + 8);
  }

  #broken(why: string): SyntaxError {
    return new SyntaxError(`Cannot read the BTF of ${this.#origin} as ${why}`);
  }

  #u32(offset: number): number {
    if (offset + 4 > this.#view.byteLength) throw this.#broken(`it ends before byte ${offset + 4}`);
    return this.#view.getUint32(offset, LITTLE_ENDIAN);
  }

  #string(offset: number): string {
    const end = this.#strings.indexOf("\0", offset);
    if (end < 0) throw this.#broken(`a name lies outside its string table, at ${offset}`);
    // Not a slice, which would keep the whole table in memory for as long as one name is in use.
    const { buffer, byteOffset } = this.#view;
    const bytes = new Uint8Array(buffer, byteOffset + this.#stringsAt + offset, end - offset);
    return decoder.decode(bytes);
  }

  #index(start: number, end: number): Uint32Array {
    const types = new Uint32Array(Math.floor((end - start) / TYPE_BYTES) + 1);
    let id = 1;
    let at = start;
    for (; at + TYPE_BYTES <= end; id++) {
      types[id] = at;
      const kind = this.#kind(at);
      const trailer = trailerBytes(kind, this.#count(at));
      if (trailer === undefined) throw this.#broken(`type ${id} is of the unknown kind ${kind}`);
      at += TYPE_BYTES + trailer;
    }
    if (at !== end) throw this.#broken(`type ${id - 1} ends at ${at}, behind the last at ${end}`);
    return types.subarray(0, id);
  }

  #at(id: number): number {
    const at = this.#types[id];
    if (at === undefined || id === 0) throw this.#broken(`it has no type ${id}`);
    return at;
  }

  #kind(at: number): number {
    return (this.#u32(at + 4) >>> 24) & 0x1f;
  }

  #count(at: number): number {
    return this.#u32(at + 4) & 0xffff;
  }

  /**
   * `kind_flag`: of a struct, that member offsets carry bit-field sizes; of an enum, that values
   * are signed.
   */
  #flag(at: number): boolean {
    return this.#u32(at + 4) >>> 31 === 1;
  }

  #find(kind: number, name: string): number | undefined {
    // The first string is the empty one, so every other has a NUL before it; each is there only
    // once.
    const offset = this.#strings.indexOf(`\0${name}\0`) + 1;
    if (offset === 0 || name === "") return undefined;
    for (let id = 1; id < this.#types.length; id++) {
      const at = this.#types[id] ?? 0;
      if (this.#u32(at) === offset && this.#kind(at) === kind) return id;
    }
    return undefined;
  }

  /** The fields of a struct or union, those of nameless ones inside it included. */
  #fields(id: number): readonly Field[] {
    const fields: Field[] = [];
    this.#addFields(fields, id, 0, 0);
    return fields;
  }

  #addFields(fields: Field[], id: number, base: number, depth: number): void {
    if (depth > DEPTH_MAX) throw this.#broken(`type ${id} is nested too deeply`);
    const at = this.#at(id);
    for (let index = 0; index < this.#count(at); index++) {
      const entry = at + TYPE_BYTES + index * MEMBER_BYTES;
      const name = this.#string(this.#u32(entry));
      const type = this.#u32(entry + 4);
      const place = this.#u32(entry + 8);
      const bits = this.#flag(at) ? place >>> 24 : 0;
      const bitOffset = base + (this.#flag(at) ? place & 0xffffff : place);
      if (name !== "") fields.push({ name, type, bitOffset, bits });
      else if (bits === 0 && this.#isAggregate(type)) {
        this.#addFields(fields, type, bitOffset, depth + 1);
      }
      if (fields.length > FIELDS_MAX) throw this.#broken(`type ${id} has too many fields`);
    }
  }

  #isAggregate(id: number): boolean {
    const kind = this.#kind(this.#at(id));
    return kind === KIND.struct || kind === KIND.union;
  }

  #memberOf({ type, bitOffset, bits }: Field): Member | undefined {
    if (bits > 0 || bitOffset % 8 !== 0) return undefined;
    const member = { ctype: this.#describe(type, 0), size: this.#size(type, 0) };
    return { ...member, offset: bitOffset / 8 };
  }

  #describe(id: number, depth: number): string {
    if (id === 0) return "void";
    if (depth > DEPTH_MAX) throw this.#broken(`type ${id} is nested too deeply`);
    const at = this.#at(id);
    const target = this.#u32(at + 8);
    switch (this.#kind(at)) {
      case KIND.struct:
      case KIND.forward:
        return `struct ${this.#string(this.#u32(at))}`;
      case KIND.union:
        return `union ${this.#string(this.#u32(at))}`;
      case KIND.enum:
      case KIND.enum64:
        return `enum ${this.#string(this.#u32(at))}`;
      case KIND.pointer:
        return `${this.#describe(target, depth + 1)} *`;
      case KIND.prototype:
        return "function";
      case KIND.volatile:
      case KIND.const:
      case KIND.restrict:
      case KIND.typeTag:
        return this.#describe(target, depth + 1);
      case KIND.array:
        return this.#describeArray(at, depth);
      default:
        return this.#string(this.#u32(at));
    }
  }

  /** C writes the outer dimension first, before the inner ones: `char[4][16]` is four names. */
  #describeArray(at: number, depth: number): string {
    const element = this.#describe(this.#u32(at + TYPE_BYTES), depth + 1);
    const dimension = `[${this.#u32(at + TYPE_BYTES + 8)}]`;
    const inner = element.indexOf("[");
    if (inner < 0) return element + dimension;
    return element.slice(0, inner) + dimension + element.slice(inner);
  }

  #size(id: number, depth: number): number {
    if (id === 0) return 0;
    if (depth > DEPTH_MAX) throw this.#broken(`type ${id} is nested too deeply`);
    const at = this.#at(id);
    const target = this.#u32(at + 8);
    switch (this.#kind(at)) {
      case KIND.typedef:
      case KIND.const:
      case KIND.volatile:
      case KIND.restrict:
      case KIND.typeTag:
        return this.#size(target, depth + 1);
      case KIND.array:
        return this.#u32(at + TYPE_BYTES + 8) * this.#size(this.#u32(at + TYPE_BYTES), depth + 1);
      case KIND.pointer:
        return POINTER_BYTES;
      default:
        return target;
    }
  }
}

interface Field {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** Of a bit field, its size in bits; else 0. */
  readonly bits: number;
}

/** BPF and the kernels it runs on here are 64-bit. */
const POINTER_BYTES = 8;

/**
 * What a type has behind its first 12 bytes; undefined for a kind that did not exist when this was
 * written.
 */
function trailerBytes(kind: number, count: number): number | undefined {
  switch (kind) {
    case KIND.int:
    case KIND.variable:
    case KIND.declTag:
      return 4;
    case KIND.array:
      return 12;
    case KIND.struct:
    case KIND.union:
    case KIND.section:
    case KIND.enum64:
      return count * 12;
    case KIND.enum:
    case KIND.prototype:
      return count * 8;
    case KIND.pointer:
    case KIND.forward:
    case KIND.typedef:
    case KIND.volatile:
    case KIND.const:
    case KIND.restrict:
    case KIND.func:
    case KIND.float:
    case KIND.typeTag:
      return 0;
    default:
      return undefined;
  }
}

/**
 * The BTF of a compiled BPF object.
 *
 * @throws {SyntaxError} when the object is cut short or has no BTF
 */
export function btfOf(object: Uint8Array): Btf {
  const section = sectionBytes(object, ".BTF");
  if (section === undefined) {
    throw new SyntaxError(
      "Cannot read the BTF of the object as it has none: was it built with -g?",
    );
  }
  return new Btf(section, "the object");
}

/**
 * The layout of `struct NAME` as compiled into a BPF object.
 *
 * @throws {SyntaxError} when the object is cut short, has no BTF, or the struct has a bit field
 * @throws {RangeError} when the object's BTF does not mention the struct
 */
export function layoutOf(object: Uint8Array, struct: string): Layout {
  return btfOf(object).layout(struct);
}
