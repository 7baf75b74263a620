/**
 * BPF maps: opened by their pins in a BPF file system, read in batches.
 *
 * @module
 */
import { Attributes, BPF, bpf, buffer, close, cString, ERRNO, Errno, tryBpf } from "./libc.ts";

const LITTLE_ENDIAN = true;

/**
 * The types of maps that differ in how they are read, numbered as BPF_MAP_TYPE_* in `linux/bpf.h`.
 */
const TYPE = {
  array: 2,
  perCpuHash: 5,
  perCpuArray: 6,
  lruHash: 9,
  lruPerCpuHash: 10,
  perCpuCgroupStorage: 21,
} as const;

const PER_CPU: ReadonlySet<number> = new Set([
  TYPE.perCpuHash,
  TYPE.perCpuArray,
  TYPE.lruPerCpuHash,
  TYPE.perCpuCgroupStorage,
]);
const ARRAYS: ReadonlySet<number> = new Set([TYPE.array, TYPE.perCpuArray]);

/** Types of maps that push out what was used least recently. */
export const LRU: ReadonlySet<number> = new Set([TYPE.lruHash, TYPE.lruPerCpuHash]);

/** Entries asked for at once where they are only counted: most such maps are nearly empty. */
const COUNT_ENTRIES = 512;
/** Entries asked for at once, at first; doubled when a bucket of the hash holds more. */
const BATCH_ENTRIES = 4_096;
/** Bytes of values asked for at once, at first: on a node of 128 CPUs one value is long. */
const BATCH_BYTES = 1 << 20;
/** Bytes of one buffer that are kept for the next map that is read. */
const SPARE_BYTES_MAX = 2 << 20;
/** Values update or delete anew: `BPF_ANY`. */
const ANY = 0n;

/** What the kernel says of a map: `struct bpf_map_info`. */
export interface MapInfo {
  readonly type: number;
  readonly id: number;
  readonly keyBytes: number;
  /** Of one CPU's value. */
  readonly valueBytes: number;
  readonly entriesMax: number;
  readonly flags: number;
  readonly name: string;
}

/** Gets one entry; the views are used again for the next, so what is to be kept is copied. */
export type EntryVisitor = (
  key: DataView<ArrayBuffer>,
  keyOffset: number,
  value: DataView<ArrayBuffer>,
  valueOffset: number,
) => void;

/**
 * How many CPUs a list as in `/sys/devices/system/cpu/possible` names: `0-3,8` is five.
 *
 * @throws {SyntaxError} when it is not such a list
 */
export function countCpus(list: string): number {
  let count = 0;
  for (const range of list.trim().split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last < first) {
      throw new SyntaxError(`Cannot count the CPUs of "${list.trim()}" as it is no list of ranges`);
    }
    count += last - first + 1;
  }
  return count;
}

let cpus = 0;

/** CPUs that could ever be there: a per-CPU map has a value for each of them. */
export function possibleCpus(): number {
  if (cpus === 0) cpus = countCpus(Deno.readTextFileSync("/sys/devices/system/cpu/possible"));
  return cpus;
}

/** Opens whatever is pinned at `path`. Throws Errno. */
export function openPin(path: string): number {
  const attributes = new Attributes(24).pointer(0, cString(path));
  return bpf(BPF.OBJ_GET, attributes, `open the pin "${path}"`);
}

/** Fills `bytes` with what the kernel says of a map, program or link. Throws Errno. */
export function describe(fd: number, bytes: number): DataView<ArrayBuffer> {
  const info = buffer(bytes);
  const attributes = new Attributes(16).u32(0, fd).u32(4, bytes).pointer(8, info);
  bpf(BPF.OBJ_GET_INFO_BY_FD, attributes, `ask what the descriptor ${fd} is`);
  return new DataView(info.buffer);
}

/** A map, by its pin. Keys and values are bytes, as the C struct lays them out. */
export class PinnedMap implements Disposable {
  readonly path: string;
  readonly info: MapInfo;
  /** The map has a value for each CPU. */
  readonly perCpu: boolean;
  /**
   * Bytes that one entry's value takes: of a per-CPU map, all CPUs' values, each rounded up to 8
   * bytes.
   */
  readonly strideBytes: number;
  #fd: number;
  /** Entries asked for at once, where a bucket has turned out to hold more than usual. */
  #batchEntries = 0;
  /** The kernel has no batch calls for this map (per-CPU arrays before 5.13). */
  #noBatch: boolean;

  /**
   * @param batch false for a kernel that has batch calls and gets them wrong; one that has none is
   *   found out
   * @throws {Errno} when it cannot be opened
   * @throws {TypeError} when the pin is not a map's
   */
  constructor(path: string, batch = true) {
    this.path = path;
    this.#noBatch = !batch;
    this.#fd = openPin(path);
    try {
      this.info = mapInfo(this.#fd, path);
    } catch (error) {
      close(this.#fd);
      throw error;
    }
    this.perCpu = PER_CPU.has(this.info.type);
    const { valueBytes } = this.info;
    this.strideBytes = this.perCpu ? roundUp8(valueBytes) * possibleCpus() : valueBytes;
  }

  /** The descriptor, for who maps it into memory; closed with the map. */
  get fd(): number {
    return this.#fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    close(this.#fd);
    this.#fd = -1;
  }

  /**
   * Visits all entries. Values of a per-CPU map are added up, each of their `__u64` apart, so they
   * may hold nothing else. An entry that is added or removed meanwhile is there or not. Returns how
   * many there were. Throws Errno.
   */
  read(visit: EntryVisitor): number {
    if (!this.perCpu) return this.readEach(visit);
    const bytes = this.info.valueBytes;
    if (bytes % 8 !== 0) {
      throw new TypeError(
        `Cannot add up the values of "${this.path}" as they are no __u64s: ` +
          `their size is ${bytes} bytes`,
      );
    }
    const count = possibleCpus();
    return this.readEach((key, keyOffset, value, offset) => {
      for (let word = offset; word < offset + bytes; word += 8) addUp(value, word, bytes, count);
      visit(key, keyOffset, value, offset);
    });
  }

  /**
   * Visits all entries; a per-CPU map's value is all CPUs' values, one behind the other. Throws
   * Errno.
   */
  readEach(visit: EntryVisitor): number {
    return this.#readEach(visit, BATCH_ENTRIES);
  }

  #readEach(visit: EntryVisitor, entries: number): number {
    if (!this.#noBatch) {
      const count = this.#readBatches(visit, entries);
      if (count !== undefined) return count;
      this.#noBatch = true;
    }
    return ARRAYS.has(this.info.type) ? this.#readArray(visit) : this.#readByKey(visit);
  }

  /** How many entries there are, by a small batch at a time. Throws Errno. */
  count(): number {
    return this.#readEach(() => {}, COUNT_ENTRIES);
  }

  /**
   * How many places of `bytes` each, one behind the other in the values, have a `__u64` at `offset`
   * that is not 0. Throws Errno.
   */
  countPlaces(bytes: number, offset: number): number {
    const { valueBytes } = this.info;
    let count = 0;
    this.readEach((_key, _keyOffset, value, start) => {
      for (let at = start; at + bytes <= start + valueBytes; at += bytes) {
        const low = value.getUint32(at + offset, LITTLE_ENDIAN);
        if (low !== 0 || value.getUint32(at + offset + 4, LITTLE_ENDIAN) !== 0) count++;
      }
    });
    return count;
  }

  /** The value of `key`, in `strideBytes`; undefined when there is none. Throws Errno. */
  lookup(key: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
    const value = buffer(this.strideBytes);
    return this.#lookupInto(key, value) ? value : undefined;
  }

  /** Sets the value of `key`; of a per-CPU map, each CPU's value at once. Throws Errno. */
  update(key: Uint8Array<ArrayBuffer>, value: Uint8Array): void {
    this.#expect(key, value);
    const whole = buffer(this.strideBytes);
    const step = this.perCpu ? roundUp8(this.info.valueBytes) : this.strideBytes;
    for (let at = 0; at < whole.length; at += step) whole.set(value, at);
    this.updateEach(key, whole);
  }

  /**
   * Sets the value of `key` from `strideBytes`: of a per-CPU map, one CPU's value behind the other.
   * Throws Errno.
   */
  updateEach(key: Uint8Array<ArrayBuffer>, value: Uint8Array<ArrayBuffer>): void {
    if (value.byteLength !== this.strideBytes) throw this.#wrong("value", value, this.strideBytes);
    const attributes = this.#element(key).pointer(16, value).u64(24, ANY);
    bpf(BPF.MAP_UPDATE_ELEM, attributes, `update an entry of the map "${this.path}"`);
  }

  /**
   * Removes `key`; false when it was not there. Entries of an array cannot be removed. Throws
   * Errno.
   */
  delete(key: Uint8Array<ArrayBuffer>): boolean {
    const result = tryBpf(BPF.MAP_DELETE_ELEM, this.#element(key));
    if (result === -ERRNO.ENOENT) return false;
    if (result < 0) throw new Errno(`delete an entry of the map "${this.path}"`, -result);
    return true;
  }

  /**
   * Removes `key`, and returns what it had in the end; undefined when it was not there. A kernel
   * that cannot do both at once (hash maps before 5.14) does one after the other. Throws Errno.
   */
  take(key: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
    const value = buffer(this.strideBytes);
    const attributes = this.#element(key).pointer(16, value);
    const result = tryBpf(BPF.MAP_LOOKUP_AND_DELETE_ELEM, attributes);
    if (result >= 0) return value;
    if (result === -ERRNO.ENOENT) return undefined;
    const found = this.lookup(key);
    this.delete(key);
    return found;
  }

  /**
   * Removes all entries; an array's are set to zero. Entries added meanwhile may stay. Throws
   * Errno.
   */
  clear(): void {
    const { keyBytes, valueBytes, type } = this.info;
    const keys: Uint8Array<ArrayBuffer>[] = [];
    this.readEach((view, offset) => {
      const key = buffer(keyBytes);
      key.set(new Uint8Array(view.buffer, view.byteOffset + offset, keyBytes));
      keys.push(key);
    });
    if (ARRAYS.has(type)) {
      for (const key of keys) this.update(key, new Uint8Array(valueBytes));
      return;
    }
    if (this.#deleteBatch(keys)) return;
    for (const key of keys) this.delete(key);
  }

  /**
   * False when the kernel has no such call, or an entry went by itself meanwhile, which ends the
   * batch.
   */
  #deleteBatch(keys: readonly Uint8Array<ArrayBuffer>[]): boolean {
    if (keys.length === 0) return true;
    const { keyBytes } = this.info;
    const all = buffer(keys.length * keyBytes);
    keys.forEach((key, index) => all.set(key, index * keyBytes));
    const attributes = new Attributes(56).pointer(16, all).u32(32, keys.length).u32(36, this.#fd);
    return tryBpf(BPF.MAP_DELETE_BATCH, attributes) >= 0;
  }

  #lookupInto(key: Uint8Array<ArrayBuffer>, value: Uint8Array<ArrayBuffer>): boolean {
    const result = tryBpf(BPF.MAP_LOOKUP_ELEM, this.#element(key).pointer(16, value).u64(24, ANY));
    if (result === -ERRNO.ENOENT) return false;
    if (result < 0) throw new Errno(`look up an entry of the map "${this.path}"`, -result);
    return true;
  }

  #element(key: Uint8Array<ArrayBuffer>): Attributes {
    if (key.byteLength !== this.info.keyBytes) throw this.#wrong("key", key, this.info.keyBytes);
    return new Attributes(32).u32(0, this.#fd).pointer(8, key);
  }

  #expect(key: Uint8Array, value: Uint8Array): void {
    if (key.byteLength !== this.info.keyBytes) throw this.#wrong("key", key, this.info.keyBytes);
    const { valueBytes } = this.info;
    if (value.byteLength !== valueBytes) throw this.#wrong("value", value, valueBytes);
  }

  #wrong(what: string, bytes: Uint8Array, expected: number): RangeError {
    return new RangeError(
      `Cannot use a ${what} for the map "${this.path}" as it must have ${expected} bytes: ` +
        `current length is ${bytes.byteLength}`,
    );
  }

  /** Undefined when the kernel has no batch lookup for this map. */
  #readBatches(visit: EntryVisitor, entries: number): number | undefined {
    const batch = new Batch(this.info, this.strideBytes, entries, this.#batchEntries);
    try {
      return this.#readBatch(batch, visit);
    } finally {
      this.#batchEntries = batch.grownTo;
      batch.giveBack();
    }
  }

  #readBatch(batch: Batch, visit: EntryVisitor): number | undefined {
    const { keyBytes } = this.info;
    for (let total = 0;;) {
      const result = tryBpf(BPF.MAP_LOOKUP_BATCH, batch.request(this.#fd));
      if (result === -ERRNO.ENOSPC && batch.grow()) continue;
      const unsupported = result === -ERRNO.EINVAL || result === -ERRNO.ENOTSUPP ||
        result === -ERRNO.EOPNOTSUPP;
      if (unsupported && total === 0) return undefined;
      // ENOENT says that these were the last ones.
      if (result < 0 && result !== -ERRNO.ENOENT) {
        throw new Errno(`read the map "${this.path}"`, -result);
      }
      const { keyView, valueView } = batch.buffers;
      const count = batch.count();
      for (let index = 0; index < count; index++) {
        visit(keyView, index * keyBytes, valueView, index * this.strideBytes);
      }
      total += count;
      if (result === -ERRNO.ENOENT) return total;
      batch.advance();
    }
  }

  #readArray(visit: EntryVisitor): number {
    const key = buffer(this.info.keyBytes);
    const value = buffer(this.strideBytes);
    const keyView = new DataView(key.buffer);
    const valueView = new DataView(value.buffer);
    for (let index = 0; index < this.info.entriesMax; index++) {
      keyView.setUint32(0, index, LITTLE_ENDIAN);
      if (this.#lookupInto(key, value)) visit(keyView, 0, valueView, 0);
    }
    return this.info.entriesMax;
  }

  /**
   * A key that is removed meanwhile makes the kernel start anew, so keys seen before are passed
   * over.
   */
  #readByKey(visit: EntryVisitor): number {
    const key = buffer(this.info.keyBytes);
    const next = buffer(this.info.keyBytes);
    const value = buffer(this.strideBytes);
    const seen = new Set<string>();
    const keyView = new DataView(key.buffer);
    const valueView = new DataView(value.buffer);
    const stepsMax = this.info.entriesMax * 4;
    for (let step = 0; step < stepsMax; step++) {
      const attributes = new Attributes(24).u32(0, this.#fd).pointer(16, next);
      attributes.pointer(8, step === 0 ? undefined : key);
      const result = tryBpf(BPF.MAP_GET_NEXT_KEY, attributes);
      if (result === -ERRNO.ENOENT) break;
      if (result < 0) throw new Errno(`walk the map "${this.path}"`, -result);
      key.set(next);
      const name = key.join();
      if (seen.has(name) || !this.#lookupInto(key, value)) continue;
      seen.add(name);
      visit(keyView, 0, valueView, 0);
    }
    return seen.size;
  }
}

/** What a batch lookup writes to. */
interface Buffers {
  readonly keys: Uint8Array<ArrayBuffer>;
  readonly values: Uint8Array<ArrayBuffer>;
  readonly keyView: DataView<ArrayBuffer>;
  readonly valueView: DataView<ArrayBuffer>;
}

/**
 * The buffers of the map that was read last. Maps are read one after the other, and there are
 * dozens: buffers for each would be most of what the agent keeps in memory.
 */
let spare: Buffers | undefined;

/** The spare buffers if they are long enough, else longer ones. */
function borrow(keyBytes: number, valueBytes: number): Buffers {
  const taken = spare;
  spare = undefined;
  if (taken !== undefined && taken.keys.length >= keyBytes && taken.values.length >= valueBytes) {
    return taken;
  }
  const keys = buffer(Math.max(keyBytes, taken?.keys.length ?? 0));
  const values = buffer(Math.max(valueBytes, taken?.values.length ?? 0));
  const views = { keyView: new DataView(keys.buffer), valueView: new DataView(values.buffer) };
  return { keys, values, ...views };
}

function giveBack(buffers: Buffers): void {
  const { keys, values } = buffers;
  if (keys.length <= SPARE_BYTES_MAX && values.length <= SPARE_BYTES_MAX) spare = buffers;
}

/** A batch lookup: its buffers, and where it has come to. */
class Batch {
  buffers: Buffers;
  readonly #info: MapInfo;
  readonly #strideBytes: number;
  readonly #from: Uint8Array<ArrayBuffer>;
  readonly #to: Uint8Array<ArrayBuffer>;
  #attributes: Attributes;
  #entries: number;
  #started = false;
  /** How many entries it had to ask for because a bucket holds more than usual; 0 if it had not. */
  grownTo: number;

  /** @param grown what `grownTo` was of the map's batch before this one */
  constructor(info: MapInfo, strideBytes: number, entries: number, grown: number) {
    this.#info = info;
    this.#strideBytes = strideBytes;
    // A token is a bucket's number or a key.
    this.#from = buffer(Math.max(8, info.keyBytes));
    this.#to = buffer(Math.max(8, info.keyBytes));
    const fitting = Math.max(64, Math.floor(BATCH_BYTES / strideBytes));
    this.#entries = Math.max(grown, Math.min(entries, fitting, Math.max(1, info.entriesMax)));
    this.grownTo = grown;
    [this.buffers, this.#attributes] = this.#borrowed();
  }

  request(fd: number): Attributes {
    return this.#attributes.pointer(0, this.#started ? this.#from : undefined)
      .u32(32, this.#entries).u32(36, fd);
  }

  count(): number {
    return this.#attributes.readU32(32);
  }

  advance(): void {
    this.#from.set(this.#to);
    this.#started = true;
  }

  /** Makes room for twice the entries; false when there was room for all the map can have. */
  grow(): boolean {
    if (this.#entries >= this.#info.entriesMax) return false;
    this.#entries = Math.min(this.#entries * 2, this.#info.entriesMax);
    this.grownTo = this.#entries;
    this.giveBack();
    [this.buffers, this.#attributes] = this.#borrowed();
    return true;
  }

  /** To be called at the end: the buffers are the next batch's. */
  giveBack(): void {
    giveBack(this.buffers);
  }

  #borrowed(): readonly [Buffers, Attributes] {
    const { keyBytes } = this.#info;
    const buffers = borrow(this.#entries * keyBytes, this.#entries * this.#strideBytes);
    const attributes = new Attributes(56)
      .pointer(8, this.#to).pointer(16, buffers.keys).pointer(24, buffers.values);
    return [buffers, attributes];
  }
}

const MAP_INFO_BYTES = 88;

function mapInfo(fd: number, path: string): MapInfo {
  const view = describe(fd, MAP_INFO_BYTES);
  const u32 = (offset: number) => view.getUint32(offset, LITTLE_ENDIAN);
  const name = new Uint8Array(view.buffer, 24, 16);
  const end = name.indexOf(0);
  const info = {
    type: u32(0),
    id: u32(4),
    keyBytes: u32(8),
    valueBytes: u32(12),
    entriesMax: u32(16),
    flags: u32(20),
    name: new TextDecoder().decode(end < 0 ? name : name.subarray(0, end)),
  };
  if (!isMap(fd)) throw new TypeError(`Cannot use the pin "${path}" as a map: it is none`);
  return info;
}

function isMap(fd: number): boolean {
  return Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`).includes("map_type:");
}

function roundUp8(bytes: number): number {
  return (bytes + 7) & ~7;
}

/**
 * Adds each CPU's `__u64` at `word` to the first CPU's, in place; two halves, as BigInt is ten
 * times slower.
 */
function addUp(view: DataView, word: number, stepBytes: number, count: number): void {
  let low = view.getUint32(word, LITTLE_ENDIAN);
  let high = view.getUint32(word + 4, LITTLE_ENDIAN);
  for (let cpu = 1; cpu < count; cpu++) {
    low += view.getUint32(word + cpu * stepBytes, LITTLE_ENDIAN);
    high += view.getUint32(word + cpu * stepBytes + 4, LITTLE_ENDIAN);
  }
  // Sums of 32-bit halves are exact in a double for 2^21 CPUs.
  view.setUint32(word, low % 2 ** 32, LITTLE_ENDIAN);
  view.setUint32(word + 4, (high + Math.floor(low / 2 ** 32)) % 2 ** 32, LITTLE_ENDIAN);
}
