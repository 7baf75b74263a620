/**
 * The sink `file`: a line for each event at the end of a file, which is renamed when it has grown:
 * `PATH.1` is the newest of the old ones, `PATH.N` the oldest.
 *
 * @module
 */
import type { SinkChoice } from "../config/config.ts";
import type { EncodedEvent } from "../events/encoded.ts";
import type { Outcome } from "../outcome.ts";
import { LineWriter } from "./lines.ts";
import type { Sink } from "./sink.ts";

type FileChoice = Extract<SinkChoice, { readonly kind: "file" }>;

/** What is open at the path. */
interface Open {
  readonly file: Deno.FsFile;
  readonly lines: LineWriter;
  /** Only a regular file has a size, and is renamed. */
  readonly regular: boolean;
  bytes: number;
}

/**
 * Appends events to a file (`O_APPEND`, created with mode 0640). The path may be a FIFO or a device
 * too; those are not renamed. `filesMax` old files are kept beside the current one, none of them
 * larger than `bytesMax` unless a single line is.
 */
export class FileSink implements Sink {
  readonly #choice: FileChoice;
  #open: Open | undefined;
  #outcome: Outcome = { state: "stopped" };

  constructor(choice: FileChoice) {
    this.#choice = choice;
  }

  async write(events: readonly EncodedEvent[]): Promise<number> {
    let written = 0;
    while (written < events.length) {
      const before = written;
      const error = await this.#writeSome(events.slice(written), (lines) => {
        written += lines;
      });
      if (error !== undefined) {
        this.#outcome = { state: "failed", because: this.#because(error) };
        return written;
      }
      if (written === before) return written;
    }
    this.#outcome = { state: "working" };
    return written;
  }

  outcome(): Outcome {
    return this.#outcome;
  }

  async reopen(): Promise<void> {
    await this.close();
    try {
      await this.#opened();
      this.#outcome = { state: "working" };
    } catch (error) {
      this.#outcome = { state: "failed", because: this.#because(error) };
    }
  }

  close(): Promise<void> {
    this.#open?.file.close();
    this.#open = undefined;
    return Promise.resolve();
  }

  /** Writes as many events as fit into the current file, at least one. */
  async #writeSome(
    events: readonly EncodedEvent[],
    done: (lines: number) => void,
  ): Promise<unknown> {
    try {
      const open = await this.#withRoom(events[0]);
      const part = open.regular ? this.#fitting(open, events) : events;
      const { written, error } = await open.lines.write(part, async (bytes) => {
        const taken = await open.file.write(bytes);
        open.bytes += taken;
        return taken;
      });
      done(written);
      return error;
    } catch (error) {
      return error;
    }
  }

  /** The open file, after the old one has been renamed if the next line does not fit into it. */
  async #withRoom(next: EncodedEvent | undefined): Promise<Open> {
    const open = await this.#opened();
    const bytes = next === undefined ? 0 : open.lines.line(next).length;
    if (!open.regular || open.bytes === 0 || open.bytes + bytes <= this.#choice.bytesMax) {
      return open;
    }
    await this.close();
    await this.#rename();
    return await this.#opened();
  }

  #fitting(open: Open, events: readonly EncodedEvent[]): readonly EncodedEvent[] {
    let bytes = open.bytes;
    let count = 0;
    for (const event of events) {
      bytes += open.lines.line(event).length;
      if (count > 0 && bytes > this.#choice.bytesMax) break;
      count++;
    }
    return events.slice(0, count);
  }

  async #rename(): Promise<void> {
    const { path, filesMax } = this.#choice;
    if (filesMax === 0) return await Deno.remove(path);
    for (let number = filesMax - 1; number >= 1; number--) {
      await renameIfThere(`${path}.${number}`, `${path}.${number + 1}`);
    }
    await renameIfThere(path, `${path}.1`);
  }

  async #opened(): Promise<Open> {
    if (this.#open !== undefined) return this.#open;
    const { path, format } = this.#choice;
    const file = await openForAppend(path);
    try {
      const { isFile, size } = await file.stat();
      const ragged = isFile && size > 0 && await lastByte(file, size) !== LINE_FEED;
      const lines = new LineWriter(format, ragged);
      return this.#open = { file, lines, regular: isFile, bytes: isFile ? size : 0 };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  #because(error: unknown): string {
    const message = error instanceof Error ? error.message : String(error);
    return `Cannot write events to "${this.#choice.path}": ${message}`;
  }
}

const LINE_FEED = 10;

/**
 * Opens for reading too: for the last byte, and because opening a FIFO for writing alone would wait
 * for a reader (fifo(7)).
 */
function openForAppend(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { read: true, append: true, create: true, mode: 0o640 });
}

async function lastByte(file: Deno.FsFile, size: number): Promise<number | undefined> {
  const byte = new Uint8Array(1);
  await file.seek(size - 1, Deno.SeekMode.Start);
  await file.read(byte);
  return byte[0];
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
