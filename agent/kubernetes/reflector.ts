/**
 * Follows one kind of objects: a list, then a watch from there on, for as long as it lasts, and
 * again.
 *
 * A watch that ends, for whatever reason, is taken up where it was. Only when the server no longer
 * knows that place (410) is everything listed anew. What is held stays until the new list is whole.
 *
 * Source: Kubernetes documentation, "Kubernetes API Concepts", "Efficient detection of changes".
 *
 * @module
 */
import * as v from "valibot";
import { log } from "../log.ts";
import type { Outcome } from "../outcome.ts";
import { type ApiClient, ApiError, type Query } from "./client.ts";

/** Objects in one page of a list: larger ones cost memory while they are read, and no less time. */
const PAGE_OBJECTS = 200;
/** Pages of one list; more objects than these hold are not of any cluster. */
const PAGES_MAX = 1_000;
/** Seconds after which the server ends a watch; a random share of as many again is added. */
const WATCH_SECONDS = 120;
/** Milliseconds beyond that after which a watch that hangs is given up. */
const WATCH_GRACE_MILLISECONDS = 15_000;
/** Milliseconds from a failure to the next try, at first and at most; it doubles. */
const PAUSE_MILLISECONDS = 250;
const PAUSE_MILLISECONDS_MAX = 30_000;
/** A watch that lasted this long was a good one: what failed before it is forgotten. */
const GOOD_WATCH_MILLISECONDS = 10_000;
/** Failures of a watch in a row without any event, after which it may be the place's fault. */
const FRUITLESS_MAX = 3;

/** HTTP's status for a place that the server no longer knows. */
const GONE = 410;
/** HTTP's status for a kind or a version that the server does not have. */
const NOT_FOUND = 404;

/** A kind of objects, and which of them. */
export interface Kind<T> {
  /** `pods`, for the words of an outcome. */
  readonly name: string;
  readonly path: string;
  /** Where a server has them that does not know that path yet. */
  readonly earlierPath?: string;
  readonly parameters?: Readonly<Record<string, string>>;
  /**
   * What is kept of an object; undefined if nothing is.
   *
   * @throws {Error} when it is not of the kind's shape.
   */
  read(object: unknown): T | undefined;
}

/** Where what is kept goes. */
export interface Store<T> {
  /** These are all. */
  replace(items: readonly T[]): void;
  put(item: T): void;
  remove(uid: string): void;
}

/** Shorter times, for tests. */
export interface ReflectorTimes {
  readonly pauseMilliseconds?: number;
  readonly watchSeconds?: number;
}

const listShape = v.object({
  metadata: v.object({
    resourceVersion: v.string(),
    continue: v.optional(v.string(), ""),
  }),
  items: v.nullish(v.array(v.unknown()), []),
});

const metadata = v.looseObject({
  uid: v.optional(v.string(), ""),
  resourceVersion: v.optional(v.string(), ""),
});

const eventShape = v.object({
  type: v.string(),
  object: v.looseObject({
    metadata: v.optional(metadata, {}),
    code: v.optional(v.number()),
    message: v.optional(v.string(), ""),
  }),
});

/** Follows the objects of a kind until it is closed. */
export class Reflector<T> {
  readonly #client: ApiClient;
  readonly #kind: Kind<T>;
  readonly #store: Store<T>;
  readonly #times: ReflectorTimes;
  /** Where the next watch begins; undefined when a list is needed. */
  #version: string | undefined;
  #outcome: Outcome = { state: "absent", because: "The Kubernetes API has not been asked yet" };
  /** Whether what is held is known to be what there is. */
  #current = false;
  /** Where they are asked for. */
  #path: string;
  /** Tries since the last that led to something. */
  #tries = 0;
  #fruitless = 0;
  /** Milliseconds of `performance.now()` at which what is held was last known to be all. */
  #currentAt: number | undefined;
  #wake: (() => void) | undefined;
  #closed = false;
  #unread = 0;
  /** Resolves when it has been closed and is at rest. */
  readonly ended: Promise<void>;

  constructor(client: ApiClient, kind: Kind<T>, store: Store<T>, times: ReflectorTimes = {}) {
    this.#client = client;
    this.#kind = kind;
    this.#path = kind.path;
    this.#store = store;
    this.#times = times;
    this.ended = this.#run();
  }

  get name(): string {
    return this.#kind.name;
  }

  /** Objects that were passed over because they are not of the kind's shape. */
  get unread(): number {
    return this.#unread;
  }

  /** Seconds since what is held was last known to be current: 0 while it is. */
  get staleSeconds(): number {
    if (this.#currentAt === undefined) return Infinity;
    return this.#current ? 0 : (performance.now() - this.#currentAt) / 1000;
  }

  /** `degraded` while what is held is not known to be current. */
  outcome(): Outcome {
    if (this.#currentAt === undefined || this.#current) return this.#outcome;
    const because = "because" in this.#outcome ? this.#outcome.because : "";
    return {
      state: "degraded",
      because: `The ${this.#kind.name} are ${Math.round(this.staleSeconds)} s old: ${because}`,
    };
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      const began = performance.now();
      let failure: unknown;
      try {
        if (this.#version === undefined) await this.#list();
        await this.#watch();
      } catch (error) {
        if (this.#closed) return;
        failure = error;
        this.#failed(error);
      }
      // A server that grants watches only to end them at once is not asked without pause.
      if (performance.now() - began >= GOOD_WATCH_MILLISECONDS) this.#tries = 0;
      else await this.#sleep(this.#pause(failure));
    }
  }

  /** Takes note of a failure. */
  #failed(error: unknown): void {
    const because = error instanceof Error ? error.message : String(error);
    const isGone = error instanceof ApiError && error.status === GONE;
    const isUnknown = error instanceof ApiError && error.status === NOT_FOUND &&
      this.#takeOtherPath();
    if (isGone || isUnknown || !this.#current && this.#tries > 0) log.debug(because);
    else log.warn(because);
    if (isGone || isUnknown || ++this.#fruitless >= FRUITLESS_MAX) {
      this.#version = undefined;
      this.#fruitless = 0;
    }
    // Until now a watch told of every change.
    if (this.#current) this.#currentAt = performance.now();
    this.#current = false;
    this.#outcome = { state: "failed", because };
    // A connection on which nothing comes any more would fail the next try too.
    if (!(error instanceof ApiError)) this.#client.renew();
  }

  /** Takes the other version's path, where there is one; a server may become a newer one. */
  #takeOtherPath(): boolean {
    const { path, earlierPath } = this.#kind;
    if (earlierPath === undefined) return false;
    this.#path = this.#path === path ? earlierPath : path;
    return true;
  }

  /** Milliseconds until the next try. */
  #pause(failure: unknown): number {
    const wanted = failure instanceof ApiError ? (failure.retrySeconds ?? 0) * 1000 : 0;
    const doubled = this.#pauseMilliseconds * 2 ** Math.min(this.#tries++, 16);
    const most = Math.min(doubled, PAUSE_MILLISECONDS_MAX);
    // All agents of a cluster lose their watches at once; they must not all come back at once.
    return Math.max(wanted, most / 2 + Math.random() * most / 2);
  }

  get #pauseMilliseconds(): number {
    return this.#times.pauseMilliseconds ?? PAUSE_MILLISECONDS;
  }

  async #list(): Promise<void> {
    const items: T[] = [];
    let version = "";
    let token = "";
    for (let page = 0; page < PAGES_MAX; page++) {
      const answer = await this.#client.read(this.#query({
        limit: `${PAGE_OBJECTS}`,
        ...(token === "" ? {} : { continue: token }),
      }));
      const list = v.safeParse(listShape, answer);
      if (!list.success) throw new Error(`Cannot read the ${this.name}: the answer is no list`);
      for (const object of list.output.items ?? []) {
        const item = this.#read(object);
        if (item !== undefined) items.push(item);
      }
      ({ resourceVersion: version, continue: token } = list.output.metadata);
      if (token === "") {
        this.#store.replace(items);
        this.#version = version;
        return;
      }
    }
    throw new RangeError(`Cannot list the ${this.name}: there are more than ${PAGES_MAX} pages`);
  }

  async #watch(): Promise<void> {
    const seconds = Math.ceil((this.#times.watchSeconds ?? WATCH_SECONDS) * (1 + Math.random()));
    const query = this.#query({
      watch: "1",
      allowWatchBookmarks: "true",
      resourceVersion: this.#version ?? "",
      timeoutSeconds: `${seconds}`,
    });
    const most = seconds * 1000 + WATCH_GRACE_MILLISECONDS;
    for await (const line of this.#client.watch(query, most, () => this.#granted())) {
      if (this.#closed) return;
      this.#take(line);
    }
  }

  /** A watch was granted from where the list, or the watch before, has ended. */
  #granted(): void {
    if (!this.#current && this.#currentAt !== undefined) {
      log.info(`The Kubernetes API answers again for ${this.name}`);
    }
    this.#current = true;
    this.#currentAt = performance.now();
    this.#outcome = { state: "working" };
  }

  /** One event of a watch. */
  #take(line: string): void {
    const event = v.safeParse(eventShape, parsed(line));
    if (!event.success) {
      throw new Error(`Cannot read an event of the ${this.name}: "${line.slice(0, 80)}"`);
    }
    const { type, object } = event.output;
    const { uid, resourceVersion } = object.metadata;
    if (type === "ERROR") {
      const { code = 500, message } = object;
      throw new ApiError(code, `Cannot watch the ${this.name}: ${code} ${message.slice(0, 300)}`);
    }
    if (type === "DELETED") this.#store.remove(uid);
    else if (type !== "BOOKMARK") {
      const item = this.#read(object);
      if (item === undefined) this.#store.remove(uid);
      else this.#store.put(item);
    }
    if (resourceVersion !== "") this.#version = resourceVersion;
    this.#fruitless = 0;
    this.#tries = 0;
    this.#currentAt = performance.now();
  }

  #read(object: unknown): T | undefined {
    try {
      return this.#kind.read(object);
    } catch (error) {
      this.#unread++;
      log.debug(`Cannot read one of the ${this.name}: ${error}`);
      return undefined;
    }
  }

  #query(parameters: Readonly<Record<string, string>>): Query {
    return { path: this.#path, parameters: { ...this.#kind.parameters, ...parameters } };
  }

  async #sleep(milliseconds: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }
}

/** The JSON of a line; undefined if it is none. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
