/**
 * What entries of a kernel's table had counted when they were taken out of it to make room, so that
 * the sums they were part of do not go down.
 *
 * @module
 */
import type { NetnsKey } from "./events/event.ts";
import type { Collection, Owner } from "./series.ts";

/** Sums of all namespaces that are kept; then entries stay in the kernel's table. */
const SUMS_MAX = 65_536;

interface Sum {
  readonly metric: string;
  readonly labels: readonly string[];
  value: number;
}

/** Who counted: a namespace, or in the host's one a cgroup of it, by its id; else that is 0. */
export interface Origin {
  readonly netns: NetnsKey;
  readonly cgroup: bigint;
}

/** Sums by namespace and cgroup, which are forgotten with it. */
export class Retired {
  readonly #origins = new Map<string, { origin: Origin; sums: Map<string, Sum> }>();
  #count = 0;

  /** Whether there is room for what one more entry has counted. */
  get hasRoom(): boolean {
    return this.#count < SUMS_MAX;
  }

  add(origin: Origin, metric: string, labels: readonly string[], value: number): void {
    const { netns, cgroup } = origin;
    const name = `${netns.cookie} ${netns.inum} ${cgroup}`;
    let known = this.#origins.get(name);
    if (known === undefined) {
      known = { origin, sums: new Map() };
      this.#origins.set(name, known);
    }
    const key = [metric, ...labels].join("\u0000");
    const sum = known.sums.get(key);
    if (sum !== undefined) {
      sum.value += value;
      return;
    }
    known.sums.set(key, { metric, labels, value });
    this.#count++;
  }

  /** Adds the sums of those that are still there, and forgets the others. */
  addTo(collection: Collection, ownerOf: (origin: Origin) => Owner | undefined): void {
    for (const [name, { origin, sums }] of this.#origins) {
      const owner = ownerOf(origin);
      if (owner === undefined) {
        this.#origins.delete(name);
        this.#count -= sums.size;
        continue;
      }
      for (const { metric, labels, value } of sums.values()) {
        collection.add(metric, owner, labels, value);
      }
    }
  }
}
