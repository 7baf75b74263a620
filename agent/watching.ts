/**
 * Events of what collectors' files say: each file of a namespace is read every few seconds, and the
 * collector says what the difference to the reading before means.
 *
 * @module
 */
import type { Collector } from "./collector.ts";
import type { NetnsKey, Occurrence } from "./events/event.ts";
import { AbsentError, type Outcome, outcomeOf } from "./outcome.ts";

/** A namespace, and its files below `/proc/PID`; an error where one could not be read. */
export interface WatchedPlace {
  readonly netns: NetnsKey;
  readonly read: (file: string) => string | Error;
}

type Files = Readonly<Record<string, string>>;

/** The readings before, of one agent. */
export class Watching {
  /** By collector, then by namespace: no more than there are. */
  readonly #before = new Map<string, Map<string, Files>>();
  readonly #outcomes = new Map<string, Outcome>();

  /** How a collector's last look was; undefined before the first. */
  outcome(name: string): Outcome | undefined {
    return this.#outcomes.get(name);
  }

  /** Forgets what was read for collectors that are switched off. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.#before.keys()) {
      if (names.has(name)) continue;
      this.#before.delete(name);
      this.#outcomes.delete(name);
    }
  }

  /** Looks at every namespace for one collector. A first look has nothing to compare with. */
  look(
    { name, source, watch }: Collector,
    places: readonly WatchedPlace[],
    at: bigint,
    take: (occurrence: Occurrence) => void,
  ): void {
    const before = this.#before.get(name);
    const now = new Map<string, Files>();
    let failures = 0;
    let worked = 0;
    let first: Outcome | undefined;
    for (const { netns, read } of places) {
      const key = `${netns.inum} ${netns.cookie}`;
      const last = before?.get(key);
      // What cannot be read for once, as it is late, is compared across the gap.
      let next = last;
      try {
        const files = textsOf(source.files, read);
        next = undefined;
        const changes = last === undefined ? [] : watch?.changes(last, files) ?? [];
        next = files;
        worked++;
        for (const change of changes) take({ ...change, at, netns });
      } catch (error) {
        const outcome = outcomeOf(error);
        if (outcome.state === "absent") next = undefined;
        else failures++;
        if (first?.state !== "failed") first = outcome;
      }
      if (next !== undefined) now.set(key, next);
    }
    this.#before.set(name, now);
    this.#outcomes.set(name, outcomeFrom(first, failures, worked));
  }
}

function textsOf(names: readonly string[], read: WatchedPlace["read"]): Files {
  return Object.fromEntries(names.map((name) => {
    const text = read(name);
    if (typeof text === "string") return [name, text];
    if (text instanceof Deno.errors.NotFound) {
      throw new AbsentError(`Cannot read "${name}": ${text.message}`);
    }
    throw text;
  }));
}

function outcomeFrom(first: Outcome | undefined, failures: number, worked: number): Outcome {
  if (first === undefined || (worked > 0 && failures === 0)) return { state: "working" };
  if (worked === 0) return first;
  const because = "because" in first ? first.because : "";
  return { state: "degraded", because: `${failures} not read, the first: ${because}` };
}
