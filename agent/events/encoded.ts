/**
 * An event together with its encodings, each made once, however many readers it has.
 *
 * @module
 */
import type { Event } from "./event.ts";
import { lineOf } from "./text.ts";

const encoder = new TextEncoder();

/** An event and, when first asked for, its JSON, its line of text and the bytes of both. */
export class EncodedEvent {
  #event: Event | undefined;
  #json: string | undefined;
  #jsonLine: Uint8Array | undefined;
  #textLine: Uint8Array | undefined;

  private constructor(readonly id: string, event: Event | undefined, json: string | undefined) {
    this.#event = event;
    this.#json = json;
  }

  /** An event that has just happened. */
  static of(event: Event): EncodedEvent {
    return new EncodedEvent(event.id, event, undefined);
  }

  /** An event as the store kept it; `json` is what `json` was when it was stored. */
  static stored(id: string, json: string): EncodedEvent {
    return new EncodedEvent(id, undefined, json);
  }

  get event(): Event {
    if (this.#event === undefined) {
      const event: Event = JSON.parse(this.json); // the store's text is our own
      texts.set(event, this.json);
      this.#event = event;
    }
    return this.#event;
  }

  /** One line of JSON; a terminal that prints it acts on none of it. */
  get json(): string {
    return this.#json ??= jsonOf(this.event);
  }

  /** The JSON and a line feed. */
  get jsonLine(): Uint8Array {
    return this.#jsonLine ??= encoder.encode(`${this.json}\n`);
  }

  /** The text and a line feed. */
  get textLine(): Uint8Array {
    return this.#textLine ??= encoder.encode(`${lineOf(this.event)}\n`);
  }
}

/** By the event itself, so that a stream of events words none of them a second time. */
const texts = new WeakMap<Event, string>();

/**
 * An event as one line of JSON, made once for each event. It has escapes for the characters that
 * JSON allows and a terminal may act on: DEL, the C1 controls, line separators, and the marks that
 * reverse the direction of text.
 */
export function jsonOf(event: Event): string {
  const known = texts.get(event);
  if (known !== undefined) return known;
  const text = JSON.stringify(event).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  texts.set(event, text);
  return text;
}
