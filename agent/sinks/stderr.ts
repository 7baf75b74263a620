/**
 * The sink `stderr`: a line for each event on standard error, where journald or the container's
 * runtime picks it up.
 *
 * @module
 */
import type { EncodedEvent } from "../events/encoded.ts";
import type { Outcome } from "../outcome.ts";
import { LineWriter } from "./lines.ts";
import type { Sink } from "./sink.ts";

/** Standard error, as the kernel shows it to this process. */
const PATH = "/proc/self/fd/2";

/** Writes events to standard error. */
export class StderrSink implements Sink {
  readonly isLog = true;
  readonly #format: "text" | "json";
  #lines: LineWriter;
  #file: Deno.FsFile | undefined;
  #outcome: Outcome = { state: "working" };

  constructor({ format }: { readonly format: "text" | "json" }) {
    this.#format = format;
    this.#lines = new LineWriter(format);
  }

  async write(events: readonly EncodedEvent[]): Promise<number> {
    const lines = this.#lines;
    const { written, error } = await lines.write(events, (bytes) => this.#some(bytes));
    // Of a write that was given up nobody wants to hear.
    if (lines === this.#lines) this.#outcome = error === undefined ? WORKING : failed(error);
    return written;
  }

  outcome(): Outcome {
    return this.#outcome;
  }

  reopen(): Promise<void> {
    this.#lines = new LineWriter(this.#format);
    return this.close();
  }

  close(): Promise<void> {
    this.#file?.close();
    this.#file = undefined;
    return Promise.resolve();
  }

  /**
   * A pipe or terminal is opened once more, so that a reader who has stopped blocks a thread of
   * Deno's pool and not the agent, nor the agent's own log. A file must not be, as each opening has
   * its own position; a socket cannot be.
   */
  async #some(bytes: Uint8Array): Promise<number> {
    if (this.#file === undefined) {
      const { isFifo, isCharDevice } = await Deno.stat(PATH);
      if (!isFifo && !isCharDevice) return Deno.stderr.writeSync(bytes);
      try {
        this.#file = await Deno.open(PATH, { write: true });
      } catch (error) {
        // Another user's pipe: then only the descriptor itself is left.
        if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
        return Deno.stderr.writeSync(bytes);
      }
    }
    return await this.#file.write(bytes);
  }
}

const WORKING = { state: "working" } as const;

function failed(error: unknown): Outcome {
  const message = error instanceof Error ? error.message : String(error);
  return { state: "failed", because: `Cannot write events to standard error: ${message}` };
}
