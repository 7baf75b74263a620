/**
 * Watchers of new events, as `events -f` and the event stream are: each gets what it missed from
 * the store, then what happens, without gap or duplicate, through a bounded queue of its own.
 *
 * @module
 */
import type { EncodedEvent } from "./encoded.ts";
import type { Event } from "./event.ts";

/** Watchers at a time. */
export const WATCHERS_MAX = 256;
/** Events that wait for one watcher; one more is lost to it, and it is told how many were. */
export const WATCHER_EVENTS_MAX = 1_000;
/** Events read from the store at a time. */
const PAGE_EVENTS = 200;

/** One piece of a watcher's stream: an event, or how many were lost at this place. */
export interface Watched {
  readonly event?: Event;
  readonly lost?: number;
}

/** What a watcher needs from the pipeline. */
export interface Feed {
  readonly matches: (event: Event) => boolean;
  /** Where to start in the store; absent for one that wants new events only. */
  readonly from?: string;
  /** The oldest events of the store after an id, already filtered. */
  readonly following: (after: string, limit: number) => readonly EncodedEvent[];
  readonly lost: () => void;
  readonly closed: () => void;
}

/** One watcher. */
export class Watcher {
  readonly stream: ReadableStream<Watched>;
  readonly #feed: Feed;
  #controller: ReadableStreamDefaultController<Watched> | undefined;
  /** The last event read from the store; undefined once the watcher follows what happens. */
  #cursor: string | undefined;
  #lost = 0;

  constructor(feed: Feed) {
    this.#feed = feed;
    this.#cursor = feed.from;
    this.stream = new ReadableStream<Watched>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: () => this.#end(),
    }, { highWaterMark: WATCHER_EVENTS_MAX });
  }

  /** What has just been stored. A watcher that still reads the store will find it there. */
  publish(events: readonly EncodedEvent[]): void {
    if (this.#cursor !== undefined) return;
    this.#tellLoss();
    for (const { event } of events) {
      if (!this.#feed.matches(event)) continue;
      // After a loss nothing passes before the watcher has been told, so that it is told in place.
      if (this.#lost === 0 && this.#hasRoom()) {
        this.#controller?.enqueue({ event });
      } else {
        this.#lost++;
        this.#feed.lost();
      }
    }
  }

  /** Ends the stream; what waits in it can still be read. */
  close(): void {
    this.#controller?.close();
    this.#end();
  }

  #pull(): void {
    if (this.#cursor !== undefined) {
      const page = this.#feed.following(this.#cursor, PAGE_EVENTS);
      // Nothing more: from here on `publish` brings what comes, with nothing in between.
      this.#cursor = page.at(-1)?.id;
      for (const { event } of page) this.#controller?.enqueue({ event });
    }
    this.#tellLoss();
  }

  #tellLoss(): void {
    if (this.#lost === 0 || !this.#hasRoom()) return;
    this.#controller?.enqueue({ lost: this.#lost });
    this.#lost = 0;
  }

  #hasRoom(): boolean {
    return (this.#controller?.desiredSize ?? 0) > 0;
  }

  #end(): void {
    if (this.#controller === undefined) return;
    this.#controller = undefined;
    this.#feed.closed();
  }
}
