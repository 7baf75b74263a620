/**
 * What stands between the agent and each sink, so that a slow, blocked or failing one loses only
 * its own events: a bounded queue, one write at a time, a limit to how long it may take before it
 * is called blocked, pauses after a failure, and exact counts.
 *
 * @module
 */
import type { EncodedEvent } from "../events/encoded.ts";
import { Stage } from "../events/stage.ts";
import { log } from "../log.ts";
import type { Outcome } from "../outcome.ts";
import type { Sink } from "./sink.ts";

/** Events that wait for one sink; one more is lost to it. */
export const SINK_EVENTS_MAX = 10_000;
/** Events in one write. */
const BATCH_EVENTS_MAX = 1_000;
/** Milliseconds after which a write is called blocked, and a closing agent stops waiting for it. */
const TIMEOUT = 5_000;
const RETRY_MIN = 500;
const RETRY_MAX = 30_000;

/** Bounds, for tests. */
export interface QueueOptions {
  readonly eventsMax?: number;
  /** Milliseconds. */
  readonly timeout?: number;
  readonly retryMin?: number;
  /** The figures so far of a sink with this name that was closed. */
  readonly stage?: Stage;
}

/** A sink and the events that wait for it. */
export class SinkQueue {
  /** What came to the sink, arrived, and was lost. */
  readonly stage: Stage;
  readonly #sink: Sink;
  readonly #eventsMax: number;
  readonly #timeout: number;
  readonly #retryMin: number;
  #waiting: EncodedEvent[] = [];
  /** What a write has in hand. */
  #writing: readonly EncodedEvent[] = [];
  /** Replaced to abandon a write: what it then comes back with is not looked at. */
  #turn = {};
  #busy = false;
  /** The sink is to be opened, or opened again, before the next write. */
  #stale = true;
  #blocked = false;
  #retryAfter: number;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #idle: (() => void) | undefined;
  #said = "";

  constructor(readonly name: string, sink: Sink, options: QueueOptions = {}) {
    this.#sink = sink;
    this.#eventsMax = options.eventsMax ?? SINK_EVENTS_MAX;
    this.#timeout = options.timeout ?? TIMEOUT;
    this.#retryMin = options.retryMin ?? RETRY_MIN;
    this.#retryAfter = this.#retryMin;
    this.stage = options.stage ?? new Stage(name);
  }

  /** The sink's own outcome, or `failed` while a write does not come back. */
  outcome(): Outcome {
    if (!this.#blocked) return this.#sink.outcome();
    return {
      state: "failed",
      because: `Cannot write to the sink "${this.name}": nothing has been taken for ` +
        `${this.#timeout / 1000} seconds; ${
          this.#writing.length + this.#waiting.length
        } events wait`,
    };
  }

  /** Takes events for the sink; returns at once. */
  push(events: readonly EncodedEvent[]): void {
    for (const encoded of events) {
      this.stage.produced(encoded.event);
      const room = this.#waiting.length + this.#writing.length < this.#eventsMax;
      if (room && !this.#closed) this.#waiting.push(encoded);
      else this.stage.lost(encoded.event);
    }
    this.#start();
  }

  /**
   * Opens the sink again, at once: whoever asks has seen to what was wrong. A blocked write is
   * given up.
   */
  reopen(): void {
    if (this.#blocked) this.#abandon();
    this.#stale = true;
    this.#retryAfter = this.#retryMin;
    this.#cancelRetry();
    this.#start();
  }

  /** Waits until everything has arrived or been refused, but not for ever; what is left is lost. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry();
    this.#start();
    if (this.#busy) await this.#settled();
    this.#abandon();
    for (const { event } of this.#waiting.splice(0)) this.stage.lost(event);
    await this.#sink.close();
  }

  /** Resolves when no write is under way, or after the time-out. */
  async #settled(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
      timer = setTimeout(resolve, this.#blocked ? 0 : this.#timeout);
    });
    clearTimeout(timer);
  }

  #abandon(): void {
    this.#turn = {};
    this.#busy = false;
    this.#blocked = false;
    for (const { event } of this.#writing) this.stage.lost(event);
    this.#writing = [];
  }

  #cancelRetry(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #start(): void {
    if (this.#busy || this.#retry !== undefined) return;
    if (this.#waiting.length === 0 && !this.#stale) return;
    this.#busy = true;
    this.#writing = this.#waiting.splice(0, BATCH_EVENTS_MAX);
    this.#turn = {};
    this.#write(this.#writing, this.#turn);
  }

  async #write(batch: readonly EncodedEvent[], turn: object): Promise<void> {
    const timer = setTimeout(() => {
      if (turn !== this.#turn) return;
      this.#blocked = true;
      this.#say();
    }, this.#timeout);
    let arrived = 0;
    try {
      if (this.#stale) {
        this.#stale = false;
        await this.#sink.reopen();
      }
      if (batch.length > 0 && turn === this.#turn) arrived = await this.#sink.write(batch);
    } catch (error) {
      log.error(`The sink "${this.name}" has a defect: ${error}`);
    } finally {
      clearTimeout(timer);
    }
    if (turn !== this.#turn) return;
    this.#busy = false;
    this.#blocked = false;
    for (const { event } of batch.slice(0, arrived)) this.stage.delivered(event);
    this.#writing = [];
    this.#waiting.unshift(...batch.slice(arrived));
    this.#next(arrived === batch.length);
    this.#say();
  }

  #next(succeeded: boolean): void {
    if (succeeded) {
      this.#retryAfter = this.#retryMin;
      this.#start();
    } else if (!this.#closed) {
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        this.#start();
      }, this.#retryAfter);
      this.#retryAfter = Math.min(this.#retryAfter * 2, RETRY_MAX);
    }
    if (!this.#busy) this.#idle?.();
  }

  /** Logs a change of the outcome, once. */
  #say(): void {
    const outcome = this.outcome();
    const because = "because" in outcome ? outcome.because : "";
    if (this.#sink.isLog === true || (because === "") === (this.#said === "")) return;
    if (because === "") log.info(`The sink "${this.name}" works again`);
    else log.error(because, { sink: this.name });
    this.#said = because;
  }
}
