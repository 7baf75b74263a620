/**
 * Workers that were given up: those that still hang, until they come back, and those that ended.
 *
 * A thread that hangs in a call of the kernel cannot be ended. Most do come back, as whoever
 * configures devices lets go of the lock at last.
 *
 * @module
 */
import { close } from "./libc.ts";
import { PROGRESS_SOCKETS, PROGRESS_STATE, STOP } from "./visit.ts";

/** With so many that hang, or ended within the last minute, no other Worker is started. */
export const WORKERS_LOST_MAX = 8;

/** One that ended counts for so long. */
const ENDED_MILLISECONDS = 60_000;

/** Keeps account of the Workers that were given up. */
export class LostWorkers {
  /** What each of those that hang was at. */
  readonly #hung = new Map<Worker, SharedArrayBuffer>();
  /** When the others ended. */
  #ended: number[] = [];
  #total = 0;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** How many there were, those that came back among them. */
  get total(): number {
    return this.#total;
  }

  /** How many hang now. */
  get hung(): number {
    return this.#hung.size;
  }

  /** How many ended within the last minute. */
  get ended(): number {
    const from = this.#now() - ENDED_MILLISECONDS;
    this.#ended = this.#ended.filter((at) => at > from);
    return this.#ended.length;
  }

  /** Whether there are so many that no other Worker is to be started. */
  get isFull(): boolean {
    return this.hung + this.ended >= WORKERS_LOST_MAX;
  }

  /** Whether the Worker was given up and has not come back. */
  hangs(worker: Worker): boolean {
    return this.#hung.has(worker);
  }

  /** Takes a Worker that does not answer, and has it stop at the next namespace. */
  addHung(worker: Worker, progress: SharedArrayBuffer): void {
    this.#total++;
    this.#hung.set(worker, progress);
    Atomics.store(new Int32Array(progress), PROGRESS_STATE, STOP);
    closeSockets(progress);
  }

  /** Takes a Worker that ended by itself. */
  addEnded(worker: Worker): void {
    this.#total++;
    this.#end(worker);
  }

  /** A Worker that hung has come back, or has ended after all. */
  release(worker: Worker, hasEnded: boolean): void {
    const progress = this.#hung.get(worker);
    if (progress === undefined) return;
    this.#hung.delete(worker);
    closeSockets(progress);
    if (hasEnded) this.#end(worker);
  }

  #end(worker: Worker): void {
    worker.terminate();
    if (this.ended < WORKERS_LOST_MAX) this.#ended.push(this.#now());
  }

  /** Ends those that hang, as soon as they come back. */
  close(): void {
    for (const worker of this.#hung.keys()) worker.terminate();
    this.#hung.clear();
  }
}

/** Closes the sockets that were opened for an order whose Worker was lost. */
export function closeSockets(progress: SharedArrayBuffer): void {
  const sockets = new Int32Array(progress, 4 * PROGRESS_SOCKETS);
  for (let at = 0; at < sockets.length; at++) {
    const socket = Atomics.exchange(sockets, at, 0);
    if (socket > 0) close(socket);
  }
}
