/**
 * The event store: numbers events, keeps them in a bounded SQLite file, and answers queries. When
 * the file fails it says so and tries again; the last events are then answered from memory, and
 * nobody else is kept waiting.
 *
 * @module
 */
import { join } from "node:path";
import { log } from "../log.ts";
import type { Outcome } from "../outcome.ts";
import type { EventFilter, EventPage } from "../surface.ts";
import { CorruptError, EventDatabase } from "./database.ts";
import { EncodedEvent } from "./encoded.ts";
import type { NewEvent } from "./event.ts";
import { checkFilter, LIMIT_DEFAULT, matcherOf } from "./filter.ts";
import { Stage } from "./stage.ts";

/** The last events, kept in memory too; as many may wait for a file that fails. */
export const TAIL_MAX = 1_000;
/** Moved-aside files that are kept; each may be as large as the store. */
export const CORRUPT_FILES_MAX = 2;
/** Waits between tries, in milliseconds: the first, and the longest. */
const RETRY_MIN = 1_000;
const RETRY_MAX = 60_000;
const HOUR = 3_600_000;

/** What bounds the store, and where it is. */
export interface StoreOptions {
  /** Holds `events.db`; created with mode 0700 when it is not there. */
  readonly dataDir: string;
  readonly hoursMax: number;
  readonly bytesMax: number;
  /** Milliseconds since the epoch; the wall clock by default. */
  readonly now?: () => number;
}

/**
 * The last events of this node. Everything happens at once, on the caller's thread, and nothing
 * throws.
 */
export class EventStore {
  /** What came to the store, was written, and was lost. */
  readonly stage = new Stage("store");
  readonly #path: string;
  readonly #now: () => number;
  #hoursMax: number;
  #bytesMax: number;
  #database: EventDatabase | undefined;
  #because: string | undefined;
  #retryAt = 0;
  #retryAfter = RETRY_MIN;
  #corrupted = 0;
  /** The last id given out. */
  #lastId: number;
  /** The last events, stored or not, oldest first. */
  #tail: EncodedEvent[] = [];
  /** Those of them that are not in the file yet. */
  #unsaved: EncodedEvent[] = [];

  constructor({ dataDir, hoursMax, bytesMax, now = Date.now }: StoreOptions) {
    this.#path = join(dataDir, "events.db");
    this.#hoursMax = hoursMax;
    this.#bytesMax = bytesMax;
    this.#now = now;
    // Ids start at the microsecond of the start, so that they go on rising when the file with the
    // last one is lost.
    this.#lastId = Math.min(now() * 1000, 2 ** 52);
    this.#attempt(() => this.#open());
  }

  /** The id of the newest event; of none, if there is none. */
  get lastId(): string {
    return String(this.#lastId);
  }

  /** `working`, or `failed` with the reason. */
  outcome(): Outcome {
    if (this.#because === undefined) return { state: "working" };
    return { state: "failed", because: this.#because };
  }

  /**
   * Events in the file, bytes of it and its log, and how many files have been moved aside as
   * corrupt.
   */
  size(): { readonly events: number; readonly bytes: number; readonly corrupted: number } {
    const database = this.#database;
    return {
      events: database?.rows ?? 0,
      bytes: database === undefined ? 0 : this.#read(() => database.bytes) ?? 0,
      corrupted: this.#corrupted,
    };
  }

  /** Other bounds from now on. */
  configure(
    { hoursMax, bytesMax }: { readonly hoursMax: number; readonly bytesMax: number },
  ): void {
    this.#hoursMax = hoursMax;
    if (bytesMax === this.#bytesMax) return;
    this.#bytesMax = bytesMax;
    if (this.#database === undefined) return;
    this.#attempt(() => {
      this.#close();
      this.#open();
    });
  }

  /** Numbers events and keeps them, in the file if it can be written. */
  append(events: readonly NewEvent[]): EncodedEvent[] {
    const numbered = events.map((event) => {
      this.stage.produced(event);
      return EncodedEvent.of({ id: String(++this.#lastId), ...event });
    });
    for (const event of numbered) {
      this.#tail.push(event);
      this.#unsaved.push(event);
    }
    if (this.#tail.length > TAIL_MAX) this.#tail = this.#tail.slice(-TAIL_MAX);
    this.#save();
    this.#lose(TAIL_MAX);
    return numbered;
  }

  /**
   * The newest events that pass the filter, oldest first; throws a RangeError for a filter that
   * makes no sense.
   */
  query(filter: EventFilter): EventPage {
    const limit = filter.limit ?? LIMIT_DEFAULT;
    const found = this.#newest(filter, limit + 1);
    const events = found.slice(0, limit).reverse().map(({ event }) => event);
    const oldest = events[0];
    return found.length > limit && oldest !== undefined
      ? { events, cursor: oldest.id }
      : { events };
  }

  /**
   * The oldest events after the id `after` that pass the filter, oldest first; the filter's own
   * limit is ignored.
   */
  following(after: string, filter: EventFilter, limit: number): EncodedEvent[] {
    const { before: _before, ...wanted } = { ...filter, after };
    const matches = matcherOf(wanted);
    const database = this.#database;
    const stored = database === undefined
      ? undefined
      : this.#read(() => database.select({ filter: wanted, order: "oldest first", limit }));
    if (stored === undefined) {
      return this.#tail.filter(({ event }) => matches(event)).slice(0, limit);
    }
    if (stored.length >= limit) return stored;
    const unsaved = this.#unsaved.filter(({ event }) => matches(event));
    return [...stored, ...unsaved.slice(0, limit - stored.length)];
  }

  /**
   * Removes what is too old or too much, in small steps, and tries a failed file again; to be
   * called once a minute.
   *
   * @returns Whether there is more to do, and it should be called again soon.
   */
  tend(): boolean {
    this.#save();
    const database = this.#database;
    if (database === undefined || this.#because !== undefined) return false;
    let more = false;
    this.#attempt(() => {
      if (!database.inPlace) {
        this.#close();
        this.#open();
        log.warn("The event store was removed; a new one is started", { path: this.#path });
        return;
      }
      more = database.prune(this.#now() - this.#hoursMax * HOUR);
    });
    return more;
  }

  /**
   * Writes what is not written, whatever the back-off says, and closes the file. What cannot be
   * written is lost.
   */
  close(): void {
    this.#retryAt = 0;
    this.#save();
    this.#lose(0);
    this.#close();
  }

  /** As `query`, but newest first. What waits for the file is newer than all that is in it. */
  #newest(filter: EventFilter, limit: number): EncodedEvent[] {
    checkFilter(filter);
    const passes = matcherOf(filter);
    const before = filter.before === undefined ? Infinity : Number(filter.before);
    const among = (events: readonly EncodedEvent[]) =>
      events.filter(({ id, event }) => Number(id) < before && passes(event)).reverse();
    const unsaved = among(this.#unsaved).slice(0, limit);
    const database = this.#database;
    const left = limit - unsaved.length;
    if (database === undefined) return among(this.#tail).slice(0, limit);
    if (left === 0) return unsaved;
    const stored = this.#read(() =>
      database.select({ filter, order: "newest first", limit: left })
    );
    return stored === undefined ? among(this.#tail).slice(0, limit) : [...unsaved, ...stored];
  }

  /** Writes what waits, if it is time to try. */
  #save(): void {
    if (this.#unsaved.length === 0 && this.#because === undefined) return;
    if (this.#now() < this.#retryAt) return;
    const corrupted = this.#corrupted;
    this.#attempt(() => this.#write());
    // A new file has been started: what the corrupt one refused goes there.
    if (this.#corrupted > corrupted && this.#because === undefined) {
      this.#attempt(() => this.#write());
    }
  }

  #write(): void {
    const database = this.#database ?? this.#open();
    while (this.#unsaved.length > 0) {
      const batch = this.#unsaved.slice(0, database.batchMax);
      database.insert(batch);
      for (const { event } of batch) this.stage.delivered(event);
      this.#unsaved.splice(0, batch.length);
    }
    this.#succeeded();
  }

  /** Gives up the oldest of more than `waitingMax` events that wait for the file. */
  #lose(waitingMax: number): void {
    if (this.#unsaved.length <= waitingMax) return;
    for (const { event } of this.#unsaved.splice(0, this.#unsaved.length - waitingMax)) {
      this.stage.lost(event);
    }
  }

  #open(): EventDatabase {
    const database = EventDatabase.open(this.#path, this.#bytesMax);
    this.#database = database;
    this.#lastId = Math.max(this.#lastId, database.lastId);
    return database;
  }

  /**
   * Reads from the file; undefined when it could not be read. A failure to read stops no writes.
   */
  #read<T>(body: () => T): T | undefined {
    try {
      return body();
    } catch (error) {
      if (error instanceof CorruptError) this.#startAnew(error);
      else log.warn(`Cannot read the event store "${this.#path}": ${messageOf(error)}`);
      return undefined;
    }
  }

  #attempt(body: () => void): void {
    try {
      body();
    } catch (error) {
      if (error instanceof CorruptError) this.#startAnew(error);
      else this.#failed(error);
    }
  }

  #succeeded(): void {
    if (this.#because !== undefined) log.info("The event store works again", { path: this.#path });
    this.#because = undefined;
    this.#retryAfter = RETRY_MIN;
    this.#retryAt = 0;
  }

  #failed(error: unknown): void {
    const because = `Cannot write the event store "${this.#path}": ${messageOf(error)}`;
    if (this.#because !== because) log.error(because, { retry_seconds: this.#retryAfter / 1000 });
    this.#because = because;
    this.#retryAt = this.#now() + this.#retryAfter;
    this.#retryAfter = Math.min(this.#retryAfter * 2, RETRY_MAX);
    // A full or read-only disk can still be read. After any other error a fresh start is worth
    // more.
    if (!/full|readonly|read-only/i.test(because)) this.#close();
  }

  /** Moves a file that is no use aside, and starts a new one. */
  #startAnew(error: CorruptError): void {
    this.#corrupted++;
    const aside = `${this.#path}.corrupt-${stamp(this.#now())}`;
    log.error(`The event store "${this.#path}" is corrupt: ${error.message}`, { moved_to: aside });
    try {
      this.#close();
      Deno.renameSync(this.#path, aside);
      for (const suffix of ["-wal", "-shm", "-journal"]) removeIfThere(`${this.#path}${suffix}`);
      removeOldest(this.#path, CORRUPT_FILES_MAX);
      this.#open();
      this.#succeeded();
    } catch (next) {
      this.#failed(next);
    }
  }

  #close(): void {
    const database = this.#database;
    this.#database = undefined;
    try {
      database?.close();
    } catch (error) {
      log.warn(`Cannot close the event store "${this.#path}": ${messageOf(error)}`);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A time as part of a file's name, which sorts as the times do. */
function stamp(now: number): string {
  return new Date(now).toISOString().replace(/[-:.]/g, "");
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Keeps the newest `kept` of the files that were moved aside. */
function removeOldest(path: string, kept: number): void {
  const directory = join(path, "..");
  const aside = [...Deno.readDirSync(directory)]
    .map(({ name }) => name)
    .filter((name) => name.startsWith("events.db.corrupt-"))
    .sort();
  for (const name of aside.slice(0, Math.max(0, aside.length - kept))) {
    removeIfThere(join(directory, name));
  }
}
