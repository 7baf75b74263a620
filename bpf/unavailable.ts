/**
 * What the node lacks for BPF, as an error that says what to do about it.
 *
 * @module
 */

/** The node cannot do what was asked; nothing is broken, and nothing else is affected. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
  /** What is missing: `bpftool`, `bpffs`. */
  readonly what: string;
  /** What to install or to do. */
  readonly remedy: string;

  /**
   * `because` completes the message before the remedy: `Cannot load BPF objects as "bpftool" is not
   * installed`.
   */
  constructor(because: string, what: string, remedy: string) {
    super(`${because}: ${remedy}`);
    this.what = what;
    this.remedy = remedy;
  }
}
