/**
 * Objects of one kind that have addresses, found by either; a bounded number of them.
 *
 * @module
 */
import type { Holder } from "../../kubernetes/objects.ts";
import type { Store } from "../../kubernetes/reflector.ts";

/** What is held of one kind. */
export class Held<T extends Holder> implements Store<T> {
  readonly #max: number;
  readonly #byUid = new Map<string, T>();
  /** Most addresses have one holder; lists would take more memory than all else. */
  readonly #byAddress = new Map<string, T | readonly T[]>();
  #refused = 0;
  #missing = 0;
  #generation = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Objects above the bound, summed over all lists and events; it only grows. */
  get refused(): number {
    return this.#refused;
  }

  /** Objects that were above the bound since the last list. */
  get missing(): number {
    return this.#missing;
  }

  /** Goes up with every change. */
  get generation(): number {
    return this.#generation;
  }

  get size(): number {
    return this.#byUid.size;
  }

  all(): Iterable<T> {
    return this.#byUid.values();
  }

  byUid(uid: string): T | undefined {
    return this.#byUid.get(uid);
  }

  /**
   * The one that has an address; undefined if several have it. One that is being deleted has it
   * only while no other does.
   */
  byAddress(address: string): T | undefined {
    const found = this.#byAddress.get(address);
    if (found === undefined || !isList(found)) return found;
    const staying = found.filter(({ leaving }) => leaving !== true);
    return staying.length === 1 ? staying[0] : undefined;
  }

  replace(items: readonly T[]): void {
    this.#byUid.clear();
    this.#byAddress.clear();
    this.#missing = 0;
    for (const item of items) this.put(item);
    this.#generation++;
  }

  put(item: T): void {
    const before = this.#byUid.get(item.uid);
    if (before === undefined && this.#byUid.size >= this.#max) {
      this.#refused++;
      this.#missing++;
      return;
    }
    if (before !== undefined) this.#unlink(before);
    this.#byUid.set(item.uid, item);
    for (const address of item.addresses) {
      const others = this.#byAddress.get(address);
      const held = others === undefined ? item : [...isList(others) ? others : [others], item];
      this.#byAddress.set(address, held);
    }
    this.#generation++;
  }

  remove(uid: string): void {
    const before = this.#byUid.get(uid);
    if (before === undefined) return;
    this.#unlink(before);
    this.#byUid.delete(uid);
    this.#generation++;
  }

  #unlink(item: T): void {
    for (const address of item.addresses) {
      const held = this.#byAddress.get(address);
      if (held === undefined) continue;
      const others = isList(held) ? held.filter((each) => each !== item) : [];
      const [first] = others;
      if (first === undefined) this.#byAddress.delete(address);
      else this.#byAddress.set(address, others.length === 1 ? first : others);
    }
  }
}

function isList<T>(held: T | readonly T[]): held is readonly T[] {
  return Array.isArray(held);
}
