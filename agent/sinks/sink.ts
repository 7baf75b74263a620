/**
 * What a sink is: somewhere outside the agent where events go.
 *
 * @module
 */
import type { EncodedEvent } from "../events/encoded.ts";
import type { Outcome } from "../outcome.ts";

/**
 * Takes events away. A sink only has to try: waiting, time-outs, back-off and counting are
 * `SinkQueue`'s, which has never more than one `write` under way.
 */
export interface Sink {
  /** It writes where the agent's own log goes, so that its failure must not be told there. */
  readonly isLog?: boolean;
  /**
   * Writes events in their order.
   *
   * @returns How many of them, from the first, have arrived for certain. The others come again
   *   after a pause, the same
   *   first one first; `outcome()` says what went wrong.
   */
  write(events: readonly EncodedEvent[]): Promise<number>;
  /** How the last `write` or `reopen` went. */
  outcome(): Outcome;
  /**
   * Lets go of what is open and opens it again: someone has moved the file, or changed what it
   * depends on.
   */
  reopen(): Promise<void>;
  /** Lets go of what is open, for good. */
  close(): Promise<void>;
}
