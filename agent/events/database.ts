/**
 * The SQLite file that keeps the last events: its schema, its statements and its size. It throws
 * what SQLite throws; what to do then is `store.ts`'s affair.
 *
 * The file is opened for this process alone (`locking_mode=EXCLUSIVE`), so two agents never number
 * events in one file.
 *
 * @module
 */
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { EventFilter } from "../surface.ts";
import { EncodedEvent } from "./encoded.ts";
import { millisecondsOf } from "./filter.ts";
import { shownPod } from "./text.ts";

/** The file is not a database, or not one of ours: it has to make room for a new one. */
export class CorruptError extends Error {
  override readonly name = "CorruptError";
}

/** `PRAGMA application_id`: "pdsk". */
const APPLICATION_ID = 0x7064736b;
/** `PRAGMA user_version` of the schema below. */
const SCHEMA_VERSION = 1;
const PAGE_BYTES = 4096;
/** A bound below this one leaves no room for the indexes; it is raised to it. */
export const DATABASE_BYTES_MIN = 1024 * 1024;
/** Most that the write-ahead log may take of the bound. */
const WAL_BYTES_MAX = 4 * 1024 * 1024;
/**
 * Pages that the index entries of one event may touch in a transaction, with the page of its own
 * row.
 */
const PAGES_PER_ROW = 5;
/** Statements kept ready; there is one for each combination of filters. */
const STATEMENTS_MAX = 64;
/** Rows counted in one look for what is too old. */
const EXPIRED_ROWS_MAX = 4_096;

const SCHEMA = `
  CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    namespace TEXT NOT NULL,
    pod TEXT NOT NULL,
    node TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_time ON events (time_ms);
  CREATE INDEX events_type ON events (type);
  CREATE INDEX events_pod ON events (namespace, pod);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Which rows, in which order. */
export interface Selection {
  readonly filter: EventFilter;
  readonly order: "oldest first" | "newest first";
  readonly limit: number;
}

/** An open database. */
export class EventDatabase {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #bytesMax: number;
  readonly #walBytesMax: number;
  readonly #inode: number | null;
  #rows: number;

  private constructor(readonly path: string, bytesMax: number) {
    this.#bytesMax = Math.max(bytesMax, DATABASE_BYTES_MIN);
    this.#walBytesMax = Math.min(this.#bytesMax / 8, WAL_BYTES_MAX);
    create(path);
    this.#database = new DatabaseSync(path);
    try {
      this.#prepareFile();
      this.#rows = this.#number("SELECT count(*) AS value FROM events");
      this.#inode = Deno.statSync(path).ino;
    } catch (error) {
      this.#database.close();
      throw named(error);
    }
  }

  /**
   * Opens the file, creating it if it is not there: mode 0600, in a directory that is created with
   * mode 0700.
   *
   * @throws {CorruptError} for a file that is not a database, or has another schema.
   * @throws {Error} for one that cannot be opened or written.
   */
  static open(path: string, bytesMax: number): EventDatabase {
    return new EventDatabase(path, bytesMax);
  }

  /** Events in the file. */
  get rows(): number {
    return this.#rows;
  }

  /** The highest id in the file; 0 when it is empty. */
  get lastId(): number {
    return this.#try(() => this.#number("SELECT coalesce(max(id), 0) AS value FROM events"));
  }

  /** Whether the file is still the one at its path; someone may have removed it. */
  get inPlace(): boolean {
    try {
      return Deno.statSync(this.path).ino === this.#inode;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** Most rows in one transaction, so that the log stays within its bound. */
  get batchMax(): number {
    return Math.max(4, Math.floor(this.#walBytesMax / 2 / PAGE_BYTES / PAGES_PER_ROW));
  }

  /** Bytes that the file and its log take of the disk. */
  get bytes(): number {
    return fileBytes(this.path) + fileBytes(`${this.path}-wal`);
  }

  /**
   * Writes events in one transaction, at most `batchMax`: all of them or none. Makes room for them
   * before.
   */
  insert(events: readonly EncodedEvent[]): void {
    this.#try(() => {
      const bytes = events.reduce((sum, { json }) => sum + json.length * 2, 0);
      this.#makeRoom(bytes + events.length * 256);
      this.#transaction(() => {
        // A commit that failed may have happened all the same; then the same events come again.
        const insert = this.#statement(
          "INSERT OR REPLACE INTO events (id, time_ms, type, namespace, pod, node, body) " +
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
        );
        for (const { id, json, event } of events) {
          const { namespace, name } = shownPod(event);
          insert.run(
            Number(id),
            millisecondsOf(event.time),
            event.type,
            namespace,
            name,
            event.node,
            json,
          );
        }
      });
      this.#rows += events.length;
    });
  }

  /** The events that pass a filter. */
  select({ filter, order, limit }: Selection): EncodedEvent[] {
    const { where, values } = conditions(filter);
    const direction = order === "newest first" ? "DESC" : "ASC";
    return this.#try(() =>
      this.#statement(`SELECT id, body FROM events ${where} ORDER BY id ${direction} LIMIT ?`)
        .all(...values, limit)
        .map((row) => EncodedEvent.stored(String(row["id"]), String(row["body"])))
    );
  }

  /**
   * Removes a bounded number of events: those that happened before `before`, in milliseconds since
   * the epoch, and the oldest of more than the bound; and gives a bounded number of pages back to
   * the disk.
   *
   * @returns Whether there is more to remove.
   */
  prune(before: number): boolean {
    return this.#try(() => {
      const expired = this.#number(
        "SELECT count(*) AS value FROM " +
          `(SELECT 1 FROM events WHERE time_ms < ? ORDER BY time_ms LIMIT ${EXPIRED_ROWS_MAX})`,
        before,
      );
      if (expired > 0) {
        const sql = "DELETE FROM events WHERE id IN " +
          "(SELECT id FROM events WHERE time_ms < ? ORDER BY time_ms LIMIT ?)";
        this.#remove(Math.min(expired, this.batchMax * 8), sql, before);
      }
      const roomMade = this.#makeRoom(0, 8);
      return this.#shrink() || !roomMade || expired > this.batchMax * 8;
    });
  }

  /** Writes the log back into the file and closes both. */
  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepareFile(): void {
    this.#database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA busy_timeout = 0");
    this.#database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL`);
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    const pages = Math.floor(this.#walBytesMax / 2 / PAGE_BYTES);
    this.#database.exec(
      `PRAGMA wal_autocheckpoint = ${pages}; PRAGMA journal_size_limit = ${this.#walBytesMax}`,
    );
    this.#database.exec("PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY");
    // An exclusive lock is taken by the first write; without this a second agent would only fail at
    // its first event.
    this.#database.exec("BEGIN IMMEDIATE");
    const version = this.#number("PRAGMA user_version");
    const application = this.#number("PRAGMA application_id");
    const tables = this.#number("SELECT count(*) AS value FROM sqlite_master");
    if (tables === 0) this.#database.exec(SCHEMA);
    this.#database.exec("COMMIT");
    if (tables > 0 && (application !== APPLICATION_ID || version !== SCHEMA_VERSION)) {
      throw new CorruptError(
        `Cannot use "${this.path}" as events of schema ${SCHEMA_VERSION}: ` +
          `its application id is ${application}, its schema ${version}`,
      );
    }
  }

  /**
   * Removes the oldest events until `bytes` more fit; false if `roundsMax` rounds were not enough.
   */
  #makeRoom(bytes: number, roundsMax = Infinity): boolean {
    const pagesMax = Math.floor((this.#bytesMax - 2 * this.#walBytesMax) / PAGE_BYTES);
    const wanted = Math.ceil(bytes / PAGE_BYTES) + 1;
    for (let round = 0; this.#usedPages() + wanted > pagesMax; round++) {
      if (this.#rows === 0) break;
      if (round >= roundsMax) return false;
      this.#remove(
        this.batchMax,
        "DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT ?)",
      );
    }
    return true;
  }

  /** Removes rows in transactions of `batchMax`; the statement's last parameter is their number. */
  #remove(rows: number, sql: string, ...values: SQLInputValue[]): void {
    for (let left = rows; left > 0; left -= this.batchMax) {
      const { changes } = this.#statement(sql).run(...values, Math.min(left, this.batchMax));
      this.#rows -= Number(changes);
      if (Number(changes) === 0) break;
    }
  }

  /** Gives free pages back to the disk when there are many; true if there are still more. */
  #shrink(): boolean {
    const free = this.#number("PRAGMA freelist_count");
    const step = Math.floor(this.#walBytesMax / 4 / PAGE_BYTES);
    // A few free pages are what the next events will fill.
    if (free <= step) return false;
    // Not by `exec`, which takes one step of it, and so frees one page.
    this.#statement(`PRAGMA incremental_vacuum(${step})`).all();
    // The file shrinks when the log has been written back into it.
    this.#statement("PRAGMA wal_checkpoint(TRUNCATE)").all();
    return free - step > step;
  }

  #usedPages(): number {
    return this.#number("PRAGMA page_count") - this.#number("PRAGMA freelist_count");
  }

  #transaction(body: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      body();
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #rollBack(): void {
    try {
      this.#database.exec("ROLLBACK");
    } catch (error) {
      // After some errors, a full disk for one, SQLite has rolled back on its own, and there is
      // nothing to undo.
      if (!String(error).includes("no transaction is active")) throw error;
    }
  }

  /** The first column of the only row. */
  #number(sql: string, ...values: SQLInputValue[]): number {
    const row = this.#statement(sql).get(...values);
    return Number(row === undefined ? 0 : Object.values(row)[0]);
  }

  #statement(sql: string): StatementSync {
    const ready = this.#statements.get(sql);
    if (ready !== undefined) return ready;
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
    const statement = this.#prepared(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #prepared(sql: string): StatementSync {
    try {
      return this.#database.prepare(sql);
    } catch (error) {
      // Deno 2.4 only says that it failed; running the statement's explanation fails with the
      // reason.
      this.#database.exec(`EXPLAIN ${sql}`);
      throw error;
    }
  }

  #try<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw named(error);
    }
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, which Deno 2.4 tells by their words only. */
function named(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof CorruptError) return error;
  const corrupt = /malformed|not a database/.test(error.message);
  return corrupt ? new CorruptError(error.message, { cause: error }) : error;
}

function conditions(filter: EventFilter): { where: string; values: SQLInputValue[] } {
  const terms: string[] = [];
  const values: SQLInputValue[] = [];
  const add = (term: string, ...more: SQLInputValue[]) => {
    terms.push(term);
    values.push(...more);
  };
  if (filter.since !== undefined) {
    // Ids rise with time: the first id since then spares a look at everything older. The plus keeps
    // SQLite from looking for it among the ids, from the oldest on, instead of among the times.
    add("id >= (SELECT min(+id) FROM events WHERE time_ms >= ?) AND time_ms >= ?", filter.since);
    values.push(filter.since);
  }
  if (filter.until !== undefined) add("time_ms < ?", filter.until);
  if (filter.type !== undefined && filter.type.length > 0) {
    add(`type IN (${filter.type.map(() => "?").join(", ")})`, ...filter.type);
  }
  if (filter.namespace !== undefined) add("namespace = ?", filter.namespace);
  if (filter.pod !== undefined) add("pod = ?", filter.pod);
  if (filter.node !== undefined) add("node = ?", filter.node);
  if (filter.before !== undefined) add("id < ?", Number(filter.before));
  if (filter.after !== undefined) add("id > ?", Number(filter.after));
  return { where: terms.length === 0 ? "" : `WHERE ${terms.join(" AND ")}`, values };
}

/**
 * Creates the file and its directory readable by their owner alone; SQLite's own files inherit the
 * mode.
 */
function create(path: string): void {
  Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  using file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  const { mode, isFile } = file.statSync();
  if (!isFile) throw new Error(`Cannot keep events in "${path}" as it is not a regular file`);
  if (mode !== null && (mode & 0o077) !== 0) Deno.chmodSync(path, 0o600);
}

function fileBytes(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
