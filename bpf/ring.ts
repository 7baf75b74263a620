/**
 * Reads a BPF ring buffer in place: its pages are shared with the kernel, and no byte is copied.
 *
 * The layout is that of `kernel/bpf/ringbuf.c`: a page with the consumer's position, a page with
 * the producer's, then the data twice in a row, so that a record is never cut by the end. Positions
 * are bytes since the beginning, kept in the ring itself: who opens it goes on where the last
 * reader stopped, and nothing is discarded.
 *
 * @module
 */
import { map, type Mapping, PAGE_BYTES, unmap } from "./libc.ts";
import { PinnedMap } from "./maps.ts";

const RING_BUFFER = 27; // BPF_MAP_TYPE_RINGBUF

// The record's header, `struct bpf_ringbuf_hdr`: the first word is the length, with these two bits.
const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;
const LENGTH = 0x3fff_ffff;
const HEADER_BYTES = 8;

/**
 * Gets one record: `length` bytes at `offset` of `view`, which is the ring itself. The bytes are
 * good until the visitor returns; what is to be kept is copied.
 */
export type RecordVisitor = (view: DataView<ArrayBuffer>, offset: number, length: number) => void;

/** A ring buffer, by its pin. */
export class Ring implements Disposable {
  /** Size of the data, in bytes. */
  readonly bytes: number;
  readonly #map: PinnedMap;
  readonly #mask: number;
  /** The page that we write: the consumer's position. */
  readonly #own: Mapping;
  /** What the kernel writes: the producer's position and the data. */
  readonly #kernels: Mapping;
  readonly #buffers: readonly ArrayBuffer[];
  readonly #consumer: BigInt64Array<ArrayBuffer>;
  /** Low half of the producer's position; the ring is much smaller than 4 GiB, so it is enough. */
  readonly #producer: Int32Array<ArrayBuffer>;
  readonly #headers: Int32Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  #position: bigint;
  #closed = false;

  /** Throws Errno, or a TypeError when the pin is not a ring's. */
  constructor(path: string) {
    this.#map = new PinnedMap(path);
    const { type, entriesMax } = this.#map.info;
    this.bytes = entriesMax;
    this.#mask = entriesMax - 1;
    try {
      if (type !== RING_BUFFER) {
        throw new TypeError(`Cannot use the pin "${path}" as a ring: its map type is ${type}`);
      }
      this.#own = map(this.#map.fd, 0, PAGE_BYTES, true);
      try {
        this.#kernels = map(this.#map.fd, PAGE_BYTES, PAGE_BYTES + 2 * entriesMax, false);
      } catch (error) {
        unmap(this.#own);
        throw error;
      }
    } catch (error) {
      this.#map[Symbol.dispose]();
      throw error;
    }
    const consumer = Deno.UnsafePointerView.getArrayBuffer(this.#own.pointer, PAGE_BYTES);
    const producer = Deno.UnsafePointerView.getArrayBuffer(this.#kernels.pointer, PAGE_BYTES);
    const data = Deno.UnsafePointerView
      .getArrayBuffer(this.#kernels.pointer, 2 * entriesMax, PAGE_BYTES);
    this.#buffers = [consumer, producer, data];
    this.#consumer = new BigInt64Array(consumer, 0, 1);
    this.#producer = new Int32Array(producer, 0, 1);
    this.#headers = new Int32Array(data);
    this.#view = new DataView(data);
    this.#position = Atomics.load(this.#consumer, 0);
  }

  /**
   * Visits the records that are there, at most `max`, and gives their room back. Returns how many
   * it visited: `max` means that there may be more. When the visitor throws, that record counts as
   * visited.
   */
  drain(visit: RecordVisitor, max: number): number {
    if (this.#closed) {
      throw new TypeError(`Cannot drain the ring "${this.#map.path}" as it is closed`);
    }
    const start = Number(BigInt.asUintN(32, this.#position));
    const quarter = this.bytes >>> 2;
    const headers = this.#headers;
    const view = this.#view;
    let freed = start;
    let at = start;
    let count = 0;
    try {
      while (count < max) {
        if (at === Atomics.load(this.#producer, 0) >>> 0) break;
        const place = at & this.#mask;
        // The kernel writes the length last; to load it atomically is what makes the record's bytes
        // visible.
        const header = Atomics.load(headers, place >>> 2) >>> 0;
        if ((header & BUSY) !== 0) break;
        const length = header & LENGTH;
        at = (at + ((length + HEADER_BYTES + 7) & ~7)) >>> 0;
        if ((header & DISCARDED) !== 0) continue;
        count++;
        visit(view, place + HEADER_BYTES, length);
        // Room is given back as we go, so that a burst longer than the ring gets in.
        if (((at - freed) >>> 0) < quarter) continue;
        this.#free(freed, at);
        freed = at;
      }
    } finally {
      if (at !== freed) this.#free(freed, at);
    }
    return count;
  }

  /** What is to be polled for records. */
  get fd(): number {
    return this.#map.fd;
  }

  /** Bytes that wait to be read. */
  backlog(): number {
    if (this.#closed) return 0;
    const consumer = Number(BigInt.asUintN(32, this.#position));
    return ((Atomics.load(this.#producer, 0) >>> 0) - consumer) >>> 0;
  }

  /**
   * Closes the ring. Views of it that someone kept are detached first, so that to read one throws a
   * TypeError instead of touching memory that is gone.
   */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const buffer of this.#buffers) buffer.transfer(0);
    unmap(this.#own);
    unmap(this.#kernels);
    this.#map[Symbol.dispose]();
  }

  #free(from: number, to: number): void {
    this.#position += BigInt((to - from) >>> 0);
    Atomics.store(this.#consumer, 0, this.#position);
  }
}
