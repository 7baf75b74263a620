/**
 * Events that wait until it is known whose they are.
 *
 * @module
 */

/**
 * Holds back what is to be done with an event until its pod's name is there, and lets go of all
 * that still waits when the agent stops. Who finds the names bounds how many wait.
 */
export class WaitingEvents {
  readonly #offers = new Set<() => void>();

  /** How many wait. */
  get size(): number {
    return this.#offers.size;
  }

  /**
   * Calls `offer` once: when `named` has settled, or at the end. `failed` is told why there is no
   * name.
   */
  until(named: Promise<unknown>, offer: () => void, failed: (error: unknown) => void): void {
    const once = () => {
      if (this.#offers.delete(once)) offer();
    };
    this.#offers.add(once);
    named.catch(failed).then(once);
  }

  /** Lets all go, in the order in which they came. */
  end(): void {
    for (const offer of this.#offers) offer();
  }
}
