/**
 * Reads files that people name, which may be anything: a device without an end, a pipe, a file that
 * is larger than memory. What a file says of its size is no bound, as devices and pipes say 0.
 *
 * @module
 */

/** Read at first from what does not say how large it is. */
const FIRST_BYTES = 64 * 1024;

/**
 * A file's bytes.
 *
 * @throws {RangeError} when there are more than `bytesMax`
 */
export async function readBounded(
  path: string,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  const read = new Growing((await file.stat()).size, bytesMax);
  while (read.took(await file.read(read.room()))) { /* Until the end. */ }
  return read.bytes();
}

/** A file's text, in UTF-8. Else as `readBounded`. */
export async function readBoundedText(path: string, bytesMax: number): Promise<string> {
  return new TextDecoder().decode(await readBounded(path, bytesMax));
}

/** As `readBoundedText`, without letting anything else happen. */
export function readBoundedTextSync(path: string, bytesMax: number): string {
  using file = Deno.openSync(path);
  const read = new Growing(file.statSync().size, bytesMax);
  while (read.took(file.readSync(read.room()))) { /* Until the end. */ }
  return new TextDecoder().decode(read.bytes());
}

/** Room for what is read, and for one byte more than there may be. */
class Growing {
  readonly #bytesMax: number;
  #room: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(size: number, bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#room = new Uint8Array(Math.min(Math.max(size, FIRST_BYTES), bytesMax) + 1);
  }

  room(): Uint8Array<ArrayBuffer> {
    if (this.#length === this.#room.length) {
      const before = this.#room;
      this.#room = new Uint8Array(Math.min(2 * before.length, this.#bytesMax + 1));
      this.#room.set(before);
    }
    return this.#room.subarray(this.#length);
  }

  /** False at the end. */
  took(read: number | null): boolean {
    if (read === null) return false;
    this.#length += read;
    if (this.#length > this.#bytesMax) {
      throw new RangeError(`It has more than ${this.#bytesMax} bytes`);
    }
    return true;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#room.subarray(0, this.#length);
  }
}
