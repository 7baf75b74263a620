/**
 * Diagnoses that were asked of the agent: one runs at a time, some wait, the last ones are kept.
 *
 * @module
 */
import {
  type Asked,
  diagnoseInProcess,
  DiagnosisError,
  type DiagnosisQuestion,
  type DiagnosisResult,
  type Known,
  taskOf,
} from "./diagnosis_process.ts";
import type { HttpCounts } from "./http_counts.ts";

/** Diagnoses that are kept; the oldest that has ended makes room for the next. */
export const DIAGNOSES_MAX = 64;
/** Bytes of all that are kept, as they are packed. */
export const DIAGNOSES_BYTES_MAX = 16 * 1024 * 1024;
/** Diagnoses that wait for the one that runs; one more is refused. */
export const DIAGNOSES_WAITING_MAX = 8;
/** From being asked to being answered; the process is killed then. */
export const DIAGNOSIS_MILLISECONDS_MAX = 60_000;

/** One diagnosis, waiting, running or ended. */
export interface Kept {
  readonly id: number;
  readonly question: DiagnosisQuestion;
  readonly asked: Date;
  /** Resolves when it has ended, however. */
  readonly done: Promise<void>;
  readonly ended?: Date;
  readonly result?: DiagnosisResult;
  readonly error?: DiagnosisError;
}

/** Answers one question; `signal` ends it. */
export type Answering = (
  question: DiagnosisQuestion,
  signal: AbortSignal,
) => Promise<DiagnosisResult>;

type Entry = { -readonly [K in keyof Kept]: Kept[K] };

/** The list. */
export class Diagnoses {
  readonly #kept = new Map<number, Entry>();
  readonly #counts: HttpCounts;
  readonly #answer: Answering;
  readonly #millisecondsMax: number;
  readonly #closing = new AbortController();
  #last = 0;
  #waiting = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(
    answer: Answering,
    counts: HttpCounts,
    millisecondsMax: number = DIAGNOSIS_MILLISECONDS_MAX,
  ) {
    this.#answer = answer;
    this.#counts = counts;
    this.#millisecondsMax = millisecondsMax;
  }

  /** All that are kept, the newest first. */
  all(): readonly Kept[] {
    return [...this.#kept.values()].reverse();
  }

  /** One that is kept. */
  find(id: number): Kept | undefined {
    return this.#kept.get(id);
  }

  /** Takes a question; undefined where too many wait already. */
  ask(question: DiagnosisQuestion): Kept | undefined {
    // One of them is the one that runs.
    if (this.#waiting > DIAGNOSES_WAITING_MAX) {
      this.#counts.diagnosesRefused++;
      return undefined;
    }
    this.#waiting++;
    const late = AbortSignal.timeout(this.#millisecondsMax);
    const signal = AbortSignal.any([late, this.#closing.signal]);
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const entry: Entry = { id: ++this.#last, question, asked: new Date(), done };
    this.#kept.set(entry.id, entry);
    this.#evict();
    this.#tail = this.#tail.then(async () => {
      await this.#run(entry, signal);
      entry.ended = new Date();
      this.#waiting--;
      this.#evict();
      resolve();
    });
    return entry;
  }

  async #run(entry: Entry, signal: AbortSignal): Promise<void> {
    try {
      if (signal.aborted) throw new Error("It waited too long for others");
      entry.result = await this.#answer(entry.question, signal);
    } catch (error) {
      const seconds = this.#millisecondsMax / 1_000;
      entry.error = this.#closing.signal.aborted
        ? new DiagnosisError("Cannot diagnose: the agent stops")
        : signal.aborted
        ? new DiagnosisError(`Cannot diagnose within ${seconds} s of being asked`, false, true)
        : error instanceof DiagnosisError
        ? error
        : new DiagnosisError(`Cannot diagnose: ${error}`);
    }
  }

  #evict(): void {
    let bytes = 0;
    for (const { result } of this.#kept.values()) bytes += result?.packed.length ?? 0;
    for (const { id, ended, result } of this.#kept.values()) {
      if (this.#kept.size <= DIAGNOSES_MAX && bytes <= DIAGNOSES_BYTES_MAX) return;
      if (ended === undefined) continue;
      this.#kept.delete(id);
      this.#counts.diagnosesForgotten++;
      bytes -= result?.packed.length ?? 0;
    }
  }

  /** Ends what runs and what waits. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#tail;
  }
}

/** Those of an agent, each in a process of its own. */
export function diagnosesOf(
  agent: Asked,
  counts: HttpCounts,
  known: Known = {},
): Diagnoses {
  return new Diagnoses(
    (question, signal) => diagnoseInProcess(taskOf(question, agent, known), signal),
    counts,
  );
}
