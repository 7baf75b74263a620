/**
 * Names kernel addresses from `/proc/kallsyms`.
 *
 * The table of a kernel is 5 MB of text, so it is read when the first address is to be named, kept
 * as numbers and one run of bytes (4 MB for 120,000 functions), and dropped when nobody has asked
 * for a while.
 *
 * @module
 */

/** The table is dropped after this long without a question. */
const IDLE_MS_MAX = 60_000;
/**
 * Modules come and go: whether they did is looked up this often, and an unknown address reads the
 * table again.
 */
const RECHECK_MS = 60_000;
/**
 * Functions of the kernel and its modules, ten times what a big kernel has; more are left out, and
 * counted.
 */
const SYMBOLS_MAX = 1_000_000;
/** An address farther than this behind a function's start is not in that function. */
const FUNCTION_BYTES_MAX = 1 << 20;
const CHUNK_BYTES = 1 << 16;
/** Read at a time while others have their turns: some milliseconds' worth. */
const TURN_BYTES = 1 << 18;

/**
 * Kernel text lies above this on amd64 and arm64; what is left after subtracting it fits a double
 * exactly.
 */
const KERNEL_BASE = 0xffff_0000_0000_0000n;

/** Where the kernel's tables are; a test gives files of its own. */
export interface SymbolsOptions {
  readonly kallsyms?: string;
  readonly modules?: string;
  readonly kptrRestrict?: string;
}

/** The kernel's functions, by address. */
export class Symbols {
  readonly #kallsyms: string;
  readonly #modulesPath: string;
  readonly #kptrRestrict: string;
  #table: Table | undefined;
  #modules = "";
  #checkedAt = Number.NEGATIVE_INFINITY;
  #usedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SymbolsOptions = {}) {
    this.#kallsyms = options.kallsyms ?? "/proc/kallsyms";
    this.#modulesPath = options.modules ?? "/proc/modules";
    this.#kptrRestrict = options.kptrRestrict ?? "/proc/sys/kernel/kptr_restrict";
  }

  /**
   * `tcp_v4_rcv+0xA3`, or `nf_conntrack:nf_conntrack_in+0x1F` for a module's function;
   * `0xFFFFFFFF81000000` for an address that is in no function, and `?` where the kernel hides its
   * addresses (`why()` then says how it is made to show them). Contains no space.
   */
  name(address: bigint): string {
    const found = this.#find(address);
    if (found === undefined) return this.#unnamed(address);
    return `${found.name}+0x${found.offset.toString(16).toUpperCase()}`;
  }

  /** The function an address is in, without the offset: `tcp_v4_rcv`; otherwise as `name()`. */
  location(address: bigint): string {
    return this.#find(address)?.name ?? this.#unnamed(address);
  }

  /** Why addresses cannot be named, and what to do about it; undefined when they can. */
  why(): string | undefined {
    const table = this.#current();
    if (table.because !== undefined) return table.because;
    if (table.size > 0) return undefined;
    return `Cannot name kernel addresses as "${this.#kallsyms}" shows none: ` +
      `set kernel.kptr_restrict to 1 (current value is ${
        setting(this.#kptrRestrict)
      }) and give the agent CAP_SYSLOG`;
  }

  /** Whether `name()` answers from what has been read. */
  get isRead(): boolean {
    return this.#table !== undefined;
  }

  /**
   * Reads the table if it is not there, and lets others have their turns: at once it takes 0.1 s,
   * several times that on a busy node, in which a pod may come and go.
   */
  async prepare(): Promise<void> {
    if (this.#table !== undefined) return;
    const modules = text(this.#modulesPath);
    const reader = new TableReader();
    let table: Table | undefined;
    try {
      for (const _turn of reader.readFile(this.#kallsyms)) {
        await new Promise((resolve) => setTimeout(resolve));
      }
    } catch (error) {
      table = emptyTable(error);
    }
    // Somebody could not wait.
    if (this.#table !== undefined) return;
    this.#modules = modules;
    this.#usedAt = this.#checkedAt = performance.now();
    this.#table = table ?? reader.finish();
    this.#watch();
  }

  /** Functions beyond the limit that were left out of the table. */
  get leftOut(): number {
    return this.#table?.leftOut ?? 0;
  }

  /** Drops the table, and its timer. The next question reads it again. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#table = undefined;
  }

  #unnamed(address: bigint): string {
    if (this.#table === undefined || this.#table.size === 0) return "?";
    return `0x${address.toString(16).toUpperCase()}`;
  }

  #find(address: bigint): { readonly name: string; readonly offset: number } | undefined {
    if (address < KERNEL_BASE) return void this.#current();
    const key = Number(address - KERNEL_BASE);
    const found = this.#current().find(key);
    if (found !== undefined || !this.#mayCheck()) return found;
    this.#checkedAt = performance.now();
    this.#table = this.#read();
    return this.#table.find(key);
  }

  #mayCheck(): boolean {
    return performance.now() - this.#checkedAt >= RECHECK_MS;
  }

  #current(): Table {
    this.#usedAt = performance.now();
    if (this.#table !== undefined && this.#mayCheck()) {
      this.#checkedAt = performance.now();
      if (text(this.#modulesPath) !== this.#modules) this.#table = undefined;
    }
    if (this.#table === undefined) {
      this.#checkedAt = performance.now();
      this.#table = this.#read();
      this.#watch();
    }
    return this.#table;
  }

  #read(): Table {
    this.#modules = text(this.#modulesPath);
    const reader = new TableReader();
    try {
      for (const _turn of reader.readFile(this.#kallsyms));
    } catch (error) {
      return emptyTable(error);
    }
    return reader.finish();
  }

  #watch(): void {
    clearTimeout(this.#timer);
    const timer = setTimeout(() => {
      if (performance.now() - this.#usedAt < IDLE_MS_MAX) return this.#watch();
      this[Symbol.dispose]();
    }, IDLE_MS_MAX);
    Deno.unrefTimer(timer);
    this.#timer = timer;
  }
}

/**
 * A small file's text; empty when it cannot be read: a kernel without modules has no list of them.
 */
function text(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    // The names of the kernel's own functions do not depend on these files, so their loss shall not
    // hide them.
    if (error instanceof Error) return "";
    throw error;
  }
}

function setting(path: string): string {
  return text(path).trim() || "unknown";
}

/** Functions in order of address. */
interface Table {
  readonly size: number;
  readonly leftOut: number;
  readonly because?: string;
  find(key: number): { readonly name: string; readonly offset: number } | undefined;
}

function emptyTable(error: unknown): Table {
  const because = `Cannot name kernel addresses: ${error instanceof Error ? error.message : error}`;
  return { size: 0, leftOut: 0, because, find: () => undefined };
}

const decoder = new TextDecoder("latin1");

const SPACE = 0x20;
const TAB = 0x09;
const NEWLINE = 0x0a;
const OPENING = 0x5b;
const CLOSING = 0x5d;

/**
 * Reads lines such as `ffffffff81000000 T _stext` and `ffffffffc0203000 t nf_hook_slow
 * [nf_tables]`.
 */
class TableReader {
  #keys = new Float64Array(1 << 17);
  #starts = new Uint32Array(1 << 17);
  /** `name`, or `name\t[module]`, one after the other. */
  #names = new Uint8Array(1 << 22);
  #count = 0;
  #used = 0;
  #leftOut = 0;
  #sorted = true;

  /** Reads a file, `TURN_BYTES` or a little more at each step. */
  *readFile(path: string): Generator<void, void> {
    using file = Deno.openSync(path);
    const chunk = new Uint8Array(2 * CHUNK_BYTES);
    let [kept, sinceTurn] = [0, 0];
    for (;;) {
      const read = file.readSync(chunk.subarray(kept, kept + CHUNK_BYTES));
      if (read === null) break;
      sinceTurn += read;
      if (sinceTurn >= TURN_BYTES) {
        sinceTurn = 0;
        yield;
      }
      const end = kept + read;
      const rest = this.#readLines(chunk, end);
      chunk.copyWithin(0, rest, end);
      kept = end - rest;
      // A line longer than a chunk is none of the kernel's.
      if (kept > CHUNK_BYTES) kept = 0;
    }
    if (kept > 0) this.#readLine(chunk, 0, kept);
  }

  /** Reads the whole lines; returns where the last, unfinished one starts. */
  #readLines(chunk: Uint8Array, end: number): number {
    let start = 0;
    for (;;) {
      const newline = chunk.indexOf(NEWLINE, start);
      if (newline < 0 || newline >= end) return start;
      this.#readLine(chunk, start, newline);
      start = newline + 1;
    }
  }

  #readLine(chunk: Uint8Array, start: number, end: number): void {
    // 16 digits, a space, the type, a space, the name; types as in nm(1): t and T are text, w and W
    // weak.
    if (end - start < 20 || chunk[start + 16] !== SPACE || chunk[start + 18] !== SPACE) return;
    const type = (chunk[start + 17] ?? 0) | 0x20;
    if (type !== 0x74 && type !== 0x77) return;
    const high = hex(chunk, start);
    if (high < 0xffff0000) return;
    if (this.#count === SYMBOLS_MAX) return void this.#leftOut++;
    const key = (high - 0xffff0000) * 2 ** 32 + hex(chunk, start + 8);
    this.#add(key, chunk.subarray(start + 19, end));
  }

  #add(key: number, name: Uint8Array): void {
    if (this.#count + 1 >= this.#keys.length) {
      this.#keys = grown(this.#keys, new Float64Array(this.#keys.length * 2));
      this.#starts = grown(this.#starts, new Uint32Array(this.#starts.length * 2));
    }
    while (this.#used + name.length > this.#names.length) {
      this.#names = grown(this.#names, new Uint8Array(this.#names.length * 2));
    }
    if (this.#count > 0 && key < (this.#keys[this.#count - 1] ?? 0)) this.#sorted = false;
    this.#keys[this.#count] = key;
    this.#starts[this.#count] = this.#used;
    this.#names.set(name, this.#used);
    this.#used += name.length;
    this.#count++;
    this.#starts[this.#count] = this.#used;
  }

  finish(): Table {
    const count = this.#count;
    const keys = this.#keys.slice(0, count);
    const starts = this.#starts.slice(0, count + 1);
    const names = this.#names.slice(0, this.#used);
    // The kernel's own come in order; modules, and what was loaded later, follow in theirs.
    const order = this.#sorted ? undefined : orderOf(keys);
    const sorted = order === undefined ? keys : arranged(keys, order);
    return {
      size: count,
      leftOut: this.#leftOut,
      find(key) {
        const row = rowOf(sorted, key);
        const offset = key - (sorted[row] ?? 0);
        if (row < 0 || offset > FUNCTION_BYTES_MAX) return undefined;
        const at = order === undefined ? row : order[row] ?? 0;
        return { name: nameOf(names.subarray(starts[at], starts[at + 1])), offset };
      },
    };
  }
}

// Functions of their own: the table would keep the keys as they were read as well.

function orderOf(keys: Float64Array): Uint32Array {
  return Uint32Array.from(keys.keys()).sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0) || a - b);
}

function arranged(keys: Float64Array, order: Uint32Array): Float64Array {
  return Float64Array.from(order, (at) => keys[at] ?? 0);
}

/**
 * The first of the rows with the greatest key that is not above `key`, as the kernel takes it; -1
 * if none is.
 */
function rowOf(keys: Float64Array, key: number): number {
  const below = lowerBound(keys, key);
  if (below < keys.length && keys[below] === key) return below;
  const last = below - 1;
  return last < 0 ? -1 : lowerBound(keys, keys[last] ?? 0);
}

/** The first row whose key is not below `key`. */
function lowerBound(keys: Float64Array, key: number): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? 0) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function nameOf(row: Uint8Array): string {
  const tab = row.indexOf(TAB);
  if (tab < 0) return decoder.decode(row);
  const opening = row.indexOf(OPENING, tab);
  const closing = row.indexOf(CLOSING, opening);
  const name = decoder.decode(row.subarray(0, tab));
  if (opening < 0 || closing < 0) return name;
  return `${decoder.decode(row.subarray(opening + 1, closing))}:${name}`;
}

function grown<A extends Float64Array | Uint32Array | Uint8Array>(from: A, into: A): A {
  into.set(from);
  return into;
}

/** Eight hexadecimal digits; kallsyms has nothing else there. */
function hex(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let index = at; index < at + 8; index++) {
    const digit = bytes[index] ?? 0;
    value = value * 16 + (digit > 0x39 ? (digit | 0x20) - 0x57 : digit - 0x30);
  }
  return value;
}
