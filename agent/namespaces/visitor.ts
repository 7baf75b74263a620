/**
 * The main thread's side of the Worker that enters network namespaces: one order at a time, each
 * with a deadline.
 *
 * @module
 */
import { log } from "../log.ts";
import type { Outcome } from "../outcome.ts";
import { close, ENOENT, errorName } from "./libc.ts";
import type { Interface } from "./netlink.ts";
import { NamespaceTools } from "./tools.ts";
import { closeSockets, LostWorkers } from "./lost_workers.ts";
import {
  type Answer,
  DONE,
  type Listening,
  type Order,
  PROGRESS_SOCKETS,
  PROGRESS_STATE,
  type Target,
  type Visit,
} from "./visit.ts";

/** Namespaces of one order: few enough that the answer is taken apart within a few milliseconds. */
export const SLICE_TARGETS_MAX = 32;

/**
 * An order that takes longer is hung: its Worker is given up, and the namespace it was in is left
 * alone.
 */
const ORDER_MILLISECONDS_MAX = 2_000;

/**
 * With less time than this no order is begun: it would cost a Worker that is merely slow.
 */
const ORDER_MILLISECONDS_MIN = 250;

/**
 * A namespace in which a Worker was lost is not entered again for this long, nor while that Worker
 * hangs in it.
 */
const SHUN_MILLISECONDS = 60_000;

/** What was read in one namespace. */
export interface Sight {
  readonly cookie: bigint;
  /** By the name asked for; a file that is not there is left out. */
  readonly files: Readonly<Record<string, string>>;
  /** Why a file that is there could not be read. */
  readonly errors: Readonly<Record<string, string>>;
  readonly interfaces?: readonly Interface[];
  /** The socket that was to be opened: its descriptor, which is the caller's to close. */
  readonly socket?: number;
}

/**
 * What came of a visit: what was seen, that the namespace is gone, that there was no time, or why
 * it could not be read. Where a visit was late, nobody should look who must not wait.
 */
export type VisitResult =
  | { readonly state: "read"; readonly sight: Sight }
  | { readonly state: "gone" }
  | { readonly state: "late" | "failed"; readonly because: string };

/** Why an order has no answer, and whether that is so because time was up. */
interface Unanswered {
  readonly state: "late" | "failed";
  readonly because: string;
}

/** A namespace that is left alone for a while, and the Worker that was lost in it. */
interface Shunned extends Unanswered {
  readonly cookie: bigint;
  readonly until: number;
  readonly worker: Worker;
}

/** What to read in each namespace. */
export interface Wanted {
  readonly files: readonly string[];
  readonly interfaces: boolean;
  readonly listening?: Listening;
}

const decoder = new TextDecoder();

/**
 * Enters namespaces through one Worker, which is started at the first visit and again after it was
 * lost; once too many were, by tools.
 */
export class NamespaceVisitor {
  #worker: Worker | undefined;
  #settle: ((answer: Answer | Unanswered) => void) | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #lastId = 0;
  readonly #lost = new LostWorkers();
  #problem: string | undefined;
  #closed = false;
  /** By inode number. */
  readonly #shunned = new Map<number, Shunned>();
  readonly #script: URL;
  readonly #tools: NamespaceTools;

  /** `script` is another Worker's, and `tools` are others, only in tests. */
  constructor(
    script: URL = new URL("./worker.ts", import.meta.url),
    tools: NamespaceTools = new NamespaceTools(),
  ) {
    this.#script = script;
    this.#tools = tools;
  }

  /** Workers given up because they hung, died, or could not return: all that there ever were. */
  get lost(): number {
    return this.#lost.total;
  }

  /** Workers that hang now. */
  get hung(): number {
    return this.#lost.hung;
  }

  /** Whether namespaces can be entered, as far as was tried. */
  outcome(): Outcome {
    const { isFull, hung, ended } = this.#lost;
    const lost = `${hung} threads hang in network namespaces, and ${ended} ended there of late`;
    if (isFull) {
      const { problem } = this.#tools;
      return problem === undefined
        ? { state: "degraded", because: `${lost}: tools read in the others` }
        : { state: "failed", because: `${lost}: tools cannot read in the others: ${problem}` };
    }
    const because = this.#problem ?? (hung > 0 ? lost : undefined);
    return because === undefined ? { state: "working" } : { state: "degraded", because };
  }

  /**
   * Enters each namespace and reads; the results are in the targets' order. Whatever was not read
   * within `milliseconds` is late, also where other callers' visits took the time.
   */
  visit(
    targets: readonly Target[],
    wanted: Wanted,
    milliseconds: number,
  ): Promise<readonly VisitResult[]> {
    const deadline = performance.now() + milliseconds;
    const waiting = Promise.withResolvers<readonly VisitResult[]>();
    const timer = setTimeout(() => waiting.resolve(targets.map(() => LATE)), milliseconds);
    const turn = this.#queue.then(() => {
      clearTimeout(timer);
      return this.#visitAll(targets, wanted, deadline);
    });
    // The next caller waits for this one's end, whatever it was; the error itself goes to this
    // caller.
    this.#queue = turn.then(() => undefined, () => undefined);
    return Promise.race([turn, waiting.promise]);
  }

  /** Ends the Worker. A visit under way fails. */
  close(): void {
    this.#closed = true;
    this.#settle?.(STOPPING);
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#lost.close();
    this.#tools.close();
  }

  async #visitAll(
    targets: readonly Target[],
    wanted: Wanted,
    deadline: number,
  ): Promise<readonly VisitResult[]> {
    const results = new Map<Target, VisitResult>();
    for (let at = 0; at < targets.length; at += SLICE_TARGETS_MAX) {
      await this.#visitSlice(targets.slice(at, at + SLICE_TARGETS_MAX), wanted, deadline, results);
    }
    const others = targets.filter((target) => !results.has(target));
    if (others.length > 0) {
      const found = await this.#tools.visit(others, wanted, deadline);
      for (const [target, result] of found) results.set(target, result);
    }
    return targets.map((target) => results.get(target) ?? NOT_VISITED);
  }

  /** What no Worker is left for has no result. */
  async #visitSlice(
    slice: readonly Target[],
    wanted: Wanted,
    deadline: number,
    results: Map<Target, VisitResult>,
  ): Promise<void> {
    let left = slice.filter((target) => !this.#isShunned(target, results));
    while (left.length > 0) {
      const milliseconds = Math.min(ORDER_MILLISECONDS_MAX, deadline - performance.now());
      const unasked = this.#closed
        ? STOPPING
        : milliseconds < ORDER_MILLISECONDS_MIN
        ? LATE
        : undefined;
      if (unasked !== undefined) {
        for (const target of left) results.set(target, unasked);
        return;
      }
      if (this.#lost.isFull) return;
      const progress = new SharedArrayBuffer(4 * (PROGRESS_SOCKETS + left.length));
      const worker = this.#worker ??= this.#start();
      const answer = await this.#order(worker, left, wanted, progress, milliseconds);
      if (!("because" in answer)) {
        this.#unpack(left, wanted, answer, results, new Int32Array(progress, 4 * PROGRESS_SOCKETS));
        return;
      }
      closeSockets(progress);
      const culprit = left[Atomics.load(new Int32Array(progress), 0)];
      left = left.filter((target) => target !== culprit);
      if (culprit !== undefined) {
        results.set(culprit, answer);
        this.#shun(culprit, answer, worker);
      }
    }
  }

  #isShunned(target: Target, results: Map<Target, VisitResult>): boolean {
    const shunned = this.#shunned.get(target.inum);
    if (shunned === undefined) return false;
    // Without a cookie it may be the one; to look would cost another thread.
    const { cookie } = target;
    if (cookie !== shunned.cookie && cookie !== 0n && shunned.cookie !== 0n) return false;
    const hangs = this.#lost.hangs(shunned.worker);
    if (shunned.until <= performance.now() && !hangs) {
      this.#shunned.delete(target.inum);
      return false;
    }
    const happened = hangs
      ? "a thread hung in it and has not come back"
      : "a thread was lost in it, and it is left alone for a minute";
    const because = `Cannot read network namespace ${target.inum}: ${happened}`;
    results.set(target, { state: shunned.state, because });
    return true;
  }

  #shun(target: Target, why: Unanswered, worker: Worker): void {
    const now = performance.now();
    // So that there are no more of them than Workers that hang, or were lost within that time.
    for (const [inum, { until, worker }] of this.#shunned) {
      if (until <= now && !this.#lost.hangs(worker)) this.#shunned.delete(inum);
    }
    const { inum, cookie } = target;
    this.#shunned.set(inum, { ...why, cookie, worker, until: now + SHUN_MILLISECONDS });
  }

  #order(
    worker: Worker,
    targets: readonly Target[],
    { files, interfaces, listening }: Wanted,
    progress: SharedArrayBuffer,
    milliseconds: number,
  ): Promise<Answer | Unanswered> {
    const id = ++this.#lastId;
    const more = listening === undefined ? {} : { listening };
    const order: Order = { id, targets, files, interfaces, progress, ...more };
    return new Promise((resolve) => {
      const onTime = () => {
        // Done, and only the message has not come in: the main thread was busy.
        if (Atomics.exchange(new Int32Array(progress), PROGRESS_STATE, 0) === DONE) {
          timer = setTimeout(onTime, milliseconds);
          return;
        }
        const because = "Cannot read network namespaces: " +
          `no answer in ${Math.round(milliseconds)} ms`;
        this.#lost.addHung(worker, progress);
        this.#giveUp({ state: "late", because });
      };
      let timer = setTimeout(onTime, milliseconds);
      this.#settle = (answer) => {
        if ("id" in answer && answer.id !== id) return;
        clearTimeout(timer);
        this.#settle = undefined;
        resolve(answer);
      };
      worker.postMessage(order);
    });
  }

  #start(): Worker {
    const worker = new Worker(this.#script, { type: "module", name: "namespaces" });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if (worker !== this.#worker) return this.#release(worker, data.lost !== undefined);
      this.#settle?.(data);
      if (data.lost === undefined) return;
      this.#lost.addEnded(worker);
      this.#giveUp(failed(data.lost));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (worker !== this.#worker) return this.#release(worker, true);
      this.#lost.addEnded(worker);
      const because = `Cannot enter network namespaces: the Worker died: ${event.message}`;
      this.#giveUp(failed(because));
    };
    return worker;
  }

  /** The Worker is of no use any more; the next order starts another. */
  #giveUp(why: Unanswered): void {
    this.#problem = why.because;
    log.warn(why.because, { workers_lost: this.lost, workers_hung: this.hung });
    this.#worker = undefined;
    this.#settle?.(why);
  }

  /** A Worker that was given up has come back, or has ended. */
  #release(worker: Worker, hasEnded: boolean): void {
    if (!this.#lost.hangs(worker)) return;
    this.#lost.release(worker, hasEnded);
    if (!hasEnded) {
      if (this.#worker === undefined) this.#worker = worker;
      else worker.terminate();
    }
    for (const [inum, shunned] of this.#shunned) {
      if (shunned.worker !== worker) continue;
      if (!hasEnded) this.#shunned.delete(inum);
      log.info(`The thread that hung in network namespace ${inum} hangs no more`, {
        workers_hung: this.hung,
      });
    }
  }

  #unpack(
    targets: readonly Target[],
    { files, listening }: Wanted,
    { visits, bytes }: Answer,
    results: Map<Target, VisitResult>,
    sockets: Int32Array,
  ): void {
    let at = 0;
    let problem: string | undefined;
    for (const [index, target] of targets.entries()) {
      const visit: Visit | typeof NOT_VISITED = visits[index] ?? NOT_VISITED;
      const socket = sockets[index] ?? 0;
      if (visit.state !== "read") {
        if (socket > 0) close(socket);
        if (visit.state === "failed") problem = visit.because;
        results.set(target, visit);
        continue;
      }
      const texts: Record<string, string> = {};
      const errors: Record<string, string> = {};
      for (const [file, name] of files.entries()) {
        const size = visit.sizes[file] ?? -ENOENT;
        if (size >= 0) {
          texts[name] = decoder.decode(bytes.subarray(at, at + size));
          at += size;
        } else if (size !== -ENOENT) {
          errors[name] = `Cannot read "${name}" in network namespace ${target.inum}: ` +
            errorName(size);
        }
      }
      const { cookie, interfaces } = visit;
      const more = {
        ...(interfaces === undefined ? {} : { interfaces }),
        ...(listening === undefined ? {} : { socket }),
      };
      const sight = { cookie, files: texts, errors, ...more };
      results.set(target, { state: "read", sight });
    }
    this.#problem = problem;
  }
}

const STOPPING = failed("Cannot enter network namespaces: the agent is stopping");

const LATE = {
  state: "late",
  because: "Cannot read the network namespace: the time for it was up",
} as const;

const NOT_VISITED = {
  state: "failed",
  because: "Cannot read the network namespace: the Worker says nothing of it",
} as const;

function failed(because: string): Unanswered {
  return { state: "failed", because };
}
