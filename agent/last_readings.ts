/**
 * When each network namespace was last read, which is how old the values are that a late one shows.
 *
 * @module
 */
import type { NetnsReading } from "./namespaces/reader.ts";
import type { Namespace } from "./pods/identity.ts";

/**
 * Values that are older are no longer shown: Prometheus itself looks no further back for a value
 * (`--query.lookback-delta`).
 */
export const AGE_SECONDS_MAX = 300;

/** A namespace that was not read in time. */
export interface Late {
  readonly because: string;
  /** How old the values are that are shown instead; undefined where none are. */
  readonly ageSeconds?: number;
}

/** Remembers the namespaces of the last collection. */
export class LastReadings {
  #readings = new Map<number, { readonly cookie: bigint; readonly at: number }>();

  /**
   * Takes note of a collection's readings, which began at `now` (milliseconds); the late ones, by
   * inode number.
   */
  note(
    namespaces: readonly Pick<Namespace, "inum" | "cookie">[],
    readings: ReadonlyMap<number, NetnsReading>,
    now: number,
  ): ReadonlyMap<number, Late> {
    const seen = new Map<number, { readonly cookie: bigint; readonly at: number }>();
    const late = new Map<number, Late>();
    for (const { inum, cookie } of namespaces) {
      const reading = readings.get(inum);
      if (reading === undefined) continue;
      if ("files" in reading) seen.set(inum, { cookie, at: now });
      else if (reading.late) {
        const last = this.#readings.get(inum);
        const ageSeconds = last !== undefined && mayBeSame(last.cookie, cookie)
          ? (now - last.at) / 1000
          : Infinity;
        const shown = ageSeconds <= AGE_SECONDS_MAX;
        late.set(inum, { because: reading.error, ...(shown ? { ageSeconds } : {}) });
        if (last !== undefined && shown) seen.set(inum, last);
      }
    }
    this.#readings = seen;
    return late;
  }
}

/** A namespace has no cookie while its number is in doubt, which it may be as it cannot be read. */
function mayBeSame(one: bigint, other: bigint): boolean {
  return one === other || one === 0n || other === 0n;
}
