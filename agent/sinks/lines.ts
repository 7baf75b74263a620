/**
 * Lines written to something that may take only part of them.
 *
 * @module
 */
import type { EncodedEvent } from "../events/encoded.ts";

/** Writes some of the bytes, and says how many. */
export type WriteSome = (bytes: Uint8Array) => number | Promise<number>;

const LINE_FEED = new Uint8Array([10]);

/** Writes events as lines. What was interrupted within a line is taken up within it. */
export class LineWriter {
  readonly #format: "text" | "json";
  /** The event whose line was begun and not finished, and how much of the line is out. */
  #begun: { readonly id: string; readonly bytes: number } | undefined;

  /** @param ragged Whether what is there already ends within a line. */
  constructor(format: "text" | "json", ragged = false) {
    this.#format = format;
    if (ragged) this.#begun = { id: "", bytes: 0 };
  }

  /** The bytes of an event, its line feed included. */
  line(event: EncodedEvent): Uint8Array {
    return this.#format === "json" ? event.jsonLine : event.textLine;
  }

  /**
   * Writes the events' lines.
   *
   * @returns How many events' lines are out whole; and the error, if writing ended early.
   */
  async write(
    events: readonly EncodedEvent[],
    writeSome: WriteSome,
  ): Promise<{ readonly written: number; readonly error?: unknown }> {
    const lines = events.map((event) => this.line(event));
    let out = 0;
    try {
      out = await this.#takenUp(events, writeSome);
      const bytes = joined(lines);
      while (out < bytes.length) {
        const taken = await writeSome(bytes.subarray(out));
        if (taken === 0) throw new Error("It took no bytes");
        out += taken;
        this.#begun = undefined;
      }
      return { written: events.length };
    } catch (error) {
      return { written: this.#interrupted(events, lines, out), error };
    }
  }

  /** Bytes of the first line that are out already. */
  async #takenUp(events: readonly EncodedEvent[], writeSome: WriteSome): Promise<number> {
    const begun = this.#begun;
    if (begun === undefined || events.length === 0) return 0;
    if (begun.id === events[0]?.id) return begun.bytes;
    // The rest of that line is lost; what follows must not become part of it.
    await writeSome(LINE_FEED);
    this.#begun = undefined;
    return 0;
  }

  /** Counts the whole lines in the first `out` bytes, and remembers the line that they end in. */
  #interrupted(
    events: readonly EncodedEvent[],
    lines: readonly Uint8Array[],
    out: number,
  ): number {
    let written = 0;
    let end = 0;
    for (const line of lines) {
      if (end + line.length > out) break;
      end += line.length;
      written++;
    }
    const event = events[written];
    if (out > end && event !== undefined) this.#begun = { id: event.id, bytes: out - end };
    return written;
  }
}

/** One array with the bytes of all of them. */
function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
