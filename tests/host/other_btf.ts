/**
 * A copy of this kernel's BTF that says less than the kernel has, for an agent that is to take the
 * hooks of another kernel: it looks for them in BTF, while what it loads works as ever, as no
 * type's number changes.
 *
 * @module
 */
import { folder } from "./lab.ts";

const LITTLE_ENDIAN = true;
const BTF = "/sys/kernel/btf/vmlinux";
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
const KIND = { pointer: 2, typedef: 8, prototype: 13 } as const;
/** Bytes after a type's own, of those kinds that have any, linux/btf.h: fixed, and of each part. */
const MORE: Readonly<Record<number, readonly [fixed: number, each: number]>> = {
  1: [4, 0], // an integer
  3: [12, 0], // an array
  4: [0, 12], // a struct
  5: [0, 12], // a union
  6: [0, 8], // an enum
  13: [0, 8], // a function's prototype
  14: [4, 0], // a variable
  15: [0, 12], // a section
  17: [4, 0], // a tag of a declaration
  19: [0, 12], // an enum of 64 bits
};

/** What the copy is to leave out. */
export interface Missing {
  /** Functions that are not there, nor is anything else of their names. */
  readonly functions?: readonly string[];
  /** Tracepoints that are not there. */
  readonly tracepoints?: readonly string[];
  /** Tracepoints that have but so many arguments. */
  readonly arguments?: Readonly<Record<string, number>>;
}

interface Type {
  readonly kind: number;
  /** Where it begins. */
  readonly at: number;
  readonly name: string;
}

/** Gives what has that name, in BTF's table of strings, another. */
function rename(bytes: Uint8Array, name: string): void {
  const wanted = new TextEncoder().encode(`\0${name}\0`);
  for (let at = bytes.indexOf(0); at >= 0; at = bytes.indexOf(0, at + 1)) {
    if (!wanted.every((byte, index) => bytes[at + index] === byte)) continue;
    bytes[at + 1] = "_".charCodeAt(0) + 1;
    return;
  }
  throw new Error(`Cannot hide "${name}": it is not there`);
}

/**
 * Writes a copy of a module's BTF without these functions into a directory; shell commands as in
 * `OtherBtf.prepare`.
 */
export async function hideInModule(
  dir: string,
  module: string,
  functions: readonly string[],
): Promise<string> {
  const own = `/sys/kernel/btf/${module}`;
  const bytes = await Deno.readFile(own);
  for (const name of functions) rename(bytes, name);
  await Deno.writeFile(`${dir}/${module}`, bytes);
  return `mount --bind ${dir}/${module} ${own}`;
}

/** A file with the copy; `using` removes it. */
export class OtherBtf implements AsyncDisposable {
  readonly #dir: string;
  readonly #view: DataView;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** By its number. */
  readonly #types: Type[] = [{ kind: 0, at: 0, name: "" }];

  private constructor(dir: string, bytes: Uint8Array<ArrayBuffer>) {
    this.#dir = dir;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    const first = HEADER_BYTES + this.#u32(8);
    const strings = HEADER_BYTES + this.#u32(16);
    const end = first + this.#u32(12);
    for (let at = first; at < end;) {
      const info = this.#u32(at + 4);
      const kind = info >> 24 & 31;
      const [fixed, each] = MORE[kind] ?? [0, 0];
      const name = kind === KIND.typedef ? this.#text(strings + this.#u32(at)) : "";
      this.#types.push({ kind, at, name });
      at += TYPE_BYTES + fixed + each * (info & 0xffff);
    }
  }

  /** Shell commands for an agent's own mount namespace, in which this is the kernel's BTF. */
  get prepare(): string {
    return `mount --bind ${this.#dir}/btf ${BTF}`;
  }

  static async without(missing: Missing): Promise<OtherBtf> {
    const dir = await folder();
    const btf = new OtherBtf(dir, await Deno.readFile(BTF));
    for (const name of missing.functions ?? []) rename(btf.#bytes, name);
    for (const name of missing.tracepoints ?? []) btf.#rename(name);
    for (const [name, count] of Object.entries(missing.arguments ?? {})) btf.#shorten(name, count);
    await Deno.writeFile(`${dir}/btf`, btf.#bytes);
    return btf;
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, LITTLE_ENDIAN);
  }

  #text(at: number): string {
    return new TextDecoder().decode(this.#bytes.subarray(at, this.#bytes.indexOf(0, at)));
  }

  #tracepoint(name: string): Type {
    const found = this.#types.find((type) => type.name === `btf_trace_${name}`);
    if (found === undefined) throw new Error(`Cannot hide "${name}": this kernel has none`);
    return found;
  }

  #rename(name: string): void {
    const { at } = this.#tracepoint(name);
    const start = HEADER_BYTES + this.#u32(16) + this.#u32(at);
    this.#bytes[start] = "x".charCodeAt(0);
  }

  /** How many arguments a tracepoint has: its typedef is a pointer to a function's prototype. */
  #count({ at }: Type): number | undefined {
    const pointer = this.#types[this.#u32(at + 8)];
    if (pointer?.kind !== KIND.pointer) return undefined;
    const prototype = this.#types[this.#u32(pointer.at + 8)];
    if (prototype?.kind !== KIND.prototype) return undefined;
    return (this.#u32(prototype.at + 4) & 0xffff) - 1; // the first is a void pointer
  }

  /** Gives it the type of another tracepoint, which has as many arguments as wanted. */
  #shorten(name: string, count: number): void {
    const other = this.#types.find((type) =>
      type.name.startsWith("btf_trace_") && this.#count(type) === count
    );
    if (other === undefined) throw new Error(`Cannot find a tracepoint of ${count} arguments`);
    this.#view.setUint32(this.#tracepoint(name).at + 8, this.#u32(other.at + 8), LITTLE_ENDIAN);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#dir, { recursive: true });
  }
}
