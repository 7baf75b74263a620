/**
 * What BPF programs cost, measured for a part of the time: to measure each run costs as much as the
 * shorter ones of them do, and the traffic pays for it.
 *
 * @module
 */

import { log } from "./log.ts";

/** Each time statistics are on, and from one beginning to the next. */
const ON_MILLISECONDS = 200;
const EVERY_MILLISECONDS = 10_000;

/** What the sampling needs; tests put their own in place. */
export interface SamplingOptions {
  /** Switches the statistics on, until it is disposed of. */
  readonly enable: () => Disposable;
  readonly onMilliseconds?: number;
  readonly everyMilliseconds?: number;
}

/** Switches the kernel's run statistics on and off by turns, until it is disposed of. */
export class ProgramSampling implements Disposable {
  readonly #options: SamplingOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #offTimer: ReturnType<typeof setTimeout> | undefined;
  #on: Disposable | undefined;
  #since = 0;
  #milliseconds = 0;

  /** Switches them on for the first time; throws what `enable` throws. */
  constructor(options: SamplingOptions) {
    this.#options = options;
    this.#begin();
    const { everyMilliseconds = EVERY_MILLISECONDS } = options;
    this.#timer = setInterval(() => this.#beginAgain(), everyMilliseconds);
  }

  /** How long they have been on so far. */
  get seconds(): number {
    const now = this.#on === undefined ? 0 : performance.now() - this.#since;
    return (this.#milliseconds + now) / 1_000;
  }

  #beginAgain(): void {
    try {
      this.#begin();
    } catch (error) {
      log.debug(`Cannot measure BPF programs: ${error instanceof Error ? error.message : error}`);
    }
  }

  #begin(): void {
    this.#end();
    this.#on = this.#options.enable();
    this.#since = performance.now();
    const { onMilliseconds = ON_MILLISECONDS } = this.#options;
    this.#offTimer = setTimeout(() => this.#end(), onMilliseconds);
  }

  #end(): void {
    clearTimeout(this.#offTimer);
    if (this.#on === undefined) return;
    this.#on[Symbol.dispose]();
    this.#on = undefined;
    this.#milliseconds += performance.now() - this.#since;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#end();
  }
}
