/**
 * What became of one unit, and the errors that tell the outcomes apart.
 *
 * @module
 */

/**
 * What became of one probe, collector, sink or source; `/metrics`, `/status` and `probes` all print
 * it.
 */
export type Outcome =
  /** All of it works. */
  | { readonly state: "working" }
  /** Switched off, or not yet started. */
  | { readonly state: "stopped" }
  /** What it reads is not there, which is normal on some nodes: a module that is not loaded. */
  | { readonly state: "absent"; readonly because: string }
  /** Part of it works; `because` says which part does not, and why. */
  | { readonly state: "degraded"; readonly because: string }
  /** Part of it was not read in time, and shows what was read last; `because` says how old. */
  | { readonly state: "late"; readonly because: string }
  /** None of it works. */
  | { readonly state: "failed"; readonly because: string };

/** The kernel, or the node, cannot do what a unit needs; nothing is broken. */
export class UnsupportedError extends Error {
  override readonly name = "UnsupportedError";
}

/** What a unit reads is not there. The agent reports it as `absent`, not as a failure. */
export class AbsentError extends Error {
  override readonly name = "AbsentError";
}

/** The outcome that an error stands for. */
export function outcomeOf(error: unknown): Outcome {
  const because = error instanceof Error ? error.message : String(error);
  if (error instanceof AbsentError || error instanceof Deno.errors.NotFound) {
    return { state: "absent", because };
  }
  return { state: "failed", because };
}
