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

/** Sums by namespace, which are forgotten with it. */
export class Retired {
  readonly #namespaces = new Map<string, { netns: NetnsKey; sums: Map<string, Sum> }>();
  #count = 0;

  /** Whether there is room for what one more entry has counted. */
  get hasRoom(): boolean {
    return this.#count < SUMS_MAX;
  }

  add(netns: NetnsKey, metric: string, labels: readonly string[], value: number): void {
    const name = `${netns.cookie} ${netns.inum}`;
    let namespace = this.#namespaces.get(name);
    if (namespace === undefined) {
      namespace = { netns, sums: new Map() };
      this.#namespaces.set(name, namespace);
    }
    const key = [metric, ...labels].join("\u0000");
    const sum = namespace.sums.get(key);
    if (sum !== undefined) {
      sum.value += value;
      return;
    }
    namespace.sums.set(key, { metric, labels, value });
    this.#count++;
  }

  /** Adds the sums of the namespaces that are still there, and forgets the others. */
  addTo(collection: Collection, ownerOf: (netns: NetnsKey) => Owner | undefined): void {
    for (const [name, { netns, sums }] of this.#namespaces) {
      const owner = ownerOf(netns);
      if (owner === undefined) {
        this.#namespaces.delete(name);
        this.#count -= sums.size;
        continue;
      }
      for (const { metric, labels, value } of sums.values()) {
        collection.add(metric, owner, labels, value);
      }
    }
  }
}
