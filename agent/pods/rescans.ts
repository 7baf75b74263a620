/**
 * How often events of unknown namespaces may start a scan.
 *
 * @module
 */

/** Scans in one second, whoever asks. */
export const RESCANS_PER_SECOND_MAX = 10;

/**
 * After a scan in vain the same namespace starts no other for this long, then twice as long, up to
 * the second.
 */
const VAIN_SECONDS = 0.5;
const VAIN_SECONDS_MAX = 30;

/** Namespaces that no scan has found, such as one that only a file descriptor holds. */
const VAIN_MAX = 1_024;

/** Says whether a scan may start now. */
export class RescanBudget {
  readonly #vain = new Map<bigint, { until: number; seconds: number }>();
  #second = 0;
  #inSecond = 0;
  #granted = 0;
  #refused = 0;

  /** Scans granted, and refused, since the start. */
  get counts(): { readonly granted: number; readonly refused: number } {
    return { granted: this.#granted, refused: this.#refused };
  }

  /**
   * Whether the namespace may start a scan at `now` (seconds); if it may, that is assumed to be in
   * vain.
   */
  take(key: bigint, now: number): boolean {
    const vain = this.#vain.get(key);
    if (vain !== undefined && now < vain.until) return this.#refuse();
    const second = Math.floor(now);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    if (this.#inSecond >= RESCANS_PER_SECOND_MAX) return this.#refuse();
    this.#inSecond++;
    this.#granted++;
    if (this.#vain.size >= VAIN_MAX) this.#vain.clear();
    const seconds = Math.min(VAIN_SECONDS_MAX, (vain?.seconds ?? VAIN_SECONDS / 2) * 2);
    this.#vain.set(key, { until: now + seconds, seconds });
    return true;
  }

  /** The scan was not in vain. */
  found(key: bigint): void {
    this.#vain.delete(key);
  }

  #refuse(): false {
    this.#refused++;
    return false;
  }
}
