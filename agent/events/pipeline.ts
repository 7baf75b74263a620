/**
 * An event's way after its pod is known: fold, queue, store, then watchers and sinks; and what was
 * lost at each step.
 *
 * @module
 */
import type { Config, SinkChoice } from "../config/config.ts";
import type { Outcome } from "../outcome.ts";
import { openSink } from "../sinks/open.ts";
import { SinkQueue } from "../sinks/queue.ts";
import type { Sink } from "../sinks/sink.ts";
import type { EventFilter, EventPage, Subscription } from "../surface.ts";
import type { NewEvent } from "./event.ts";
import { checkFilter, matcherOf } from "./filter.ts";
import { Fold, foldKey } from "./fold.ts";
import { Stage, type StageCount } from "./stage.ts";
import type { EventStore } from "./store.ts";
import { Watcher, WATCHERS_MAX } from "./watcher.ts";

/** Milliseconds that an event waits for others, to be stored and sent together with them. */
const TICK = 50;
/** Events stored and sent in one turn; the others follow after whatever else is to be done. */
const TURN_EVENTS_MAX = 500;
/** Shortest pause between two looks at the windows that end. */
const FOLD_PAUSE_MIN = 250;
/** How often the store is pruned, and a failed one tried again. */
const TEND_EVERY = 60_000;
/** How soon, when there is more to prune. */
const TEND_AGAIN = 100;

/** What the kernel counted for one probe since it was loaded. */
export interface KernelTotals {
  /** Occurrences that were worth a record. */
  readonly produced: number;
  /** Those that the rate limit refused. */
  readonly limited: number;
  /** Those that found no room in the ring. */
  readonly ringFull: number;
}

/** What the pipeline turned away, or had to leave undone, besides the losses by stage. */
export interface PipelineCounters {
  readonly foldWindows: number;
  /** Events that were not folded as too many windows were open. */
  readonly unfolded: number;
  readonly watchers: number;
  readonly watchersRefused: number;
  /** Events that watchers were too slow for. */
  readonly watchersLost: number;
  /** Store files that were moved aside. */
  readonly storeCorrupted: number;
}

/** How a sink is, as `/status` shows it. */
export interface SinkStatus {
  readonly name: string;
  readonly outcome: Outcome;
  readonly delivered: number;
  readonly lost: number;
}

/** What the pipeline is made of. */
export interface PipelineOptions {
  readonly config: Config["events"];
  readonly store: EventStore;
  /** Opens a sink; for tests. */
  readonly openSink?: (choice: SinkChoice) => Sink;
  /** Milliseconds of a clock that never goes back; for tests. */
  readonly now?: () => number;
}

interface Running {
  readonly choice: string;
  readonly queue: SinkQueue;
}

/** Takes events from the probes and sees to it that each arrives, or is counted. */
export class EventPipeline {
  readonly #store: EventStore;
  readonly #openSink: (choice: SinkChoice) => Sink;
  readonly #now: () => number;
  readonly #fold: Fold;
  readonly #stages = {
    kernelLimit: new Stage("kernel_limit"),
    ring: new Stage("ring"),
    queue: new Stage("queue"),
  };
  /** Figures of every sink there has been, by name, so that they never go back. */
  readonly #sinkStages = new Map<string, Stage>();
  readonly #watchers = new Set<Watcher>();
  #sinks: readonly Running[] = [];
  #queueMax: number;
  #queue: NewEvent[] = [];
  #tick: ReturnType<typeof setTimeout> | undefined;
  #foldTimer: ReturnType<typeof setTimeout> | undefined;
  #tendTimer: ReturnType<typeof setTimeout> | undefined;
  #watchersRefused = 0;
  #watchersLost = 0;
  #closed = false;

  constructor(options: PipelineOptions) {
    this.#store = options.store;
    this.#openSink = options.openSink ?? openSink;
    this.#now = options.now ?? (() => performance.now());
    this.#queueMax = options.config.queueMax;
    this.#fold = new Fold(options.config.foldSeconds);
    this.#sinks = this.#opened(options.config.sinks, []);
    this.#tendLater(TEND_EVERY);
  }

  /** Takes an event; returns at once. One that finds the queue full is lost, and counted. */
  offer(event: NewEvent): void {
    const { queue } = this.#stages;
    queue.produced(event);
    if (this.#closed) return queue.lost(event);
    const key = foldKey(event);
    if (this.#fold.absorb(key, event)) return;
    if (this.#queue.length >= this.#queueMax) return queue.lost(event);
    this.#queue.push(event);
    this.#fold.begin(key, this.#now());
    this.#tick ??= setTimeout(() => this.#turn(), TICK);
    this.#lookAtWindows();
  }

  /** What the kernel side of a probe has counted so far; replaces what it said before. */
  addKernel(probe: string, { produced, limited, ringFull }: KernelTotals): void {
    this.#stages.kernelLimit.set(probe, produced, limited);
    this.#stages.ring.set(probe, Math.max(produced - limited, 0), ringFull);
  }

  /** Occurrences by probe and stage, in the order of the stages. */
  counts(): readonly StageCount[] {
    const { kernelLimit, ring, queue } = this.#stages;
    const stages = [kernelLimit, ring, queue, this.#store.stage, ...this.#sinkStages.values()];
    return stages.flatMap((stage) => stage.counts());
  }

  /** What was turned away elsewhere. */
  counters(): PipelineCounters {
    return {
      foldWindows: this.#fold.open,
      unfolded: this.#fold.unfolded,
      watchers: this.#watchers.size,
      watchersRefused: this.#watchersRefused,
      watchersLost: this.#watchersLost,
      storeCorrupted: this.#store.size().corrupted,
    };
  }

  /** Every sink, as configured. */
  sinkStatus(): readonly SinkStatus[] {
    return this.#sinks.map(({ queue }) => {
      const { delivered, lost } = queue.stage.sum();
      return { name: queue.name, outcome: queue.outcome(), delivered, lost };
    });
  }

  /** Past events; throws a RangeError for a filter that makes no sense. */
  query(filter: EventFilter): EventPage {
    return this.#store.query(filter);
  }

  /**
   * New events that pass the filter. With `after`, first those since then; with `since`, first
   * those from then on.
   *
   * @throws {RangeError} for a filter that makes no sense, and for one watcher too many.
   */
  subscribe(filter: EventFilter): Subscription {
    const watcher = this.#watch(filter);
    return { events: watcher.stream, close: () => watcher.close() };
  }

  /**
   * Runs with another configuration from now on. Sinks whose settings are the same are not touched.
   */
  async configure(config: Config["events"]): Promise<void> {
    this.#queueMax = config.queueMax;
    this.#fold.seconds = config.foldSeconds;
    this.#store.configure(config.store);
    this.#tendLater(TEND_AGAIN);
    const before = this.#sinks;
    const wanted = config.sinks.map((choice) => JSON.stringify(choice));
    // Closed first: a new sink may write to the same file.
    const kept = takeEqual(before, wanted);
    const gone = before.filter((sink) => !kept.includes(sink));
    this.#sinks = kept;
    await Promise.all(gone.map(({ queue }) => queue.close()));
    if (!this.#closed) this.#sinks = this.#opened(config.sinks, this.#sinks);
  }

  /** Opens every sink again, as SIGHUP asks for. */
  reopen(): void {
    for (const { queue } of this.#sinks) queue.reopen();
  }

  /**
   * Stores and sends all that waits, open windows included, then ends watchers, sinks and the
   * store.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of [this.#tick, this.#foldTimer, this.#tendTimer]) clearTimeout(timer);
    this.#publish([...this.#queue.splice(0), ...this.#fold.end(Infinity)]);
    for (const watcher of this.#watchers) watcher.close();
    await Promise.all(this.#sinks.map(({ queue }) => queue.close()));
    this.#store.close();
  }

  #turn(): void {
    const batch = this.#queue.splice(0, TURN_EVENTS_MAX);
    this.#tick = this.#queue.length === 0 ? undefined : setTimeout(() => this.#turn(), 0);
    this.#publish(batch);
  }

  /**
   * Synchronous from the store to the last watcher: what one of them reads from the store is never
   * sent to it too.
   */
  #publish(events: readonly NewEvent[]): void {
    if (events.length === 0) return;
    const stored = this.#store.append(events);
    for (const event of events) this.#stages.queue.delivered(event);
    for (const watcher of this.#watchers) watcher.publish(stored);
    for (const { queue } of this.#sinks) queue.push(stored);
  }

  /** What was folded in a window does not queue: it has waited long enough, and there are few. */
  #endWindows(): void {
    this.#foldTimer = undefined;
    this.#publish(this.#fold.end(this.#now(), TURN_EVENTS_MAX));
    this.#lookAtWindows();
  }

  #lookAtWindows(): void {
    if (this.#foldTimer !== undefined) return;
    const end = this.#fold.nextEnd();
    if (end === undefined) return;
    const left = end - this.#now();
    // When windows are overdue, one turn was not enough for them.
    this.#foldTimer = setTimeout(
      () => this.#endWindows(),
      left < 0 ? 0 : Math.max(left, FOLD_PAUSE_MIN),
    );
  }

  #tendLater(milliseconds: number): void {
    if (this.#closed) return;
    clearTimeout(this.#tendTimer);
    this.#tendTimer = setTimeout(() => {
      this.#tendLater(this.#store.tend() ? TEND_AGAIN : TEND_EVERY);
    }, milliseconds);
  }

  #watch(filter: EventFilter): Watcher {
    if (this.#closed || this.#watchers.size >= WATCHERS_MAX) {
      this.#watchersRefused++;
      throw new RangeError(
        this.#closed
          ? "Cannot watch events as the agent is stopping"
          : `Cannot watch events as there are ${WATCHERS_MAX} watchers already; close one`,
      );
    }
    checkFilter(filter);
    const { after, limit: _limit, ...live } = filter;
    const from = after ?? (filter.since === undefined ? undefined : "0");
    const watcher: Watcher = new Watcher({
      matches: matcherOf(live),
      ...(from === undefined ? {} : { from }),
      following: (id, limit) => this.#store.following(id, filter, limit),
      lost: () => {
        this.#watchersLost++;
      },
      closed: () => this.#watchers.delete(watcher),
    });
    this.#watchers.add(watcher);
    return watcher;
  }

  /** The sinks in the configuration's order: those that are kept, and new ones for the others. */
  #opened(choices: readonly SinkChoice[], kept: readonly Running[]): readonly Running[] {
    const left = [...kept];
    const names = new Set(kept.map(({ queue }) => queue.name));
    return choices.map((choice) => {
      const text = JSON.stringify(choice);
      const index = left.findIndex((sink) => sink.choice === text);
      const [same] = index < 0 ? [] : left.splice(index, 1);
      if (same !== undefined) return same;
      const name = freeName(choice.kind, names);
      names.add(name);
      const stage = this.#sinkStages.get(name) ?? new Stage(name);
      this.#sinkStages.set(name, stage);
      const queue = new SinkQueue(name, this.#openSink(choice), { stage });
      queue.reopen();
      return { choice: text, queue };
    });
  }
}

/** Those of the sinks that are wanted still, each at most as often as it is wanted. */
function takeEqual(sinks: readonly Running[], wanted: readonly string[]): readonly Running[] {
  const left = [...wanted];
  return sinks.filter(({ choice }) => {
    const index = left.indexOf(choice);
    if (index < 0) return false;
    left.splice(index, 1);
    return true;
  });
}

/** `file`, `file-2`, …: a name holds no path, as it is a metric's label. */
function freeName(kind: string, taken: ReadonlySet<string>): string {
  if (!taken.has(kind)) return kind;
  let number = 2;
  while (taken.has(`${kind}-${number}`)) number++;
  return `${kind}-${number}`;
}
