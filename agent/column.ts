/**
 * One label set of one metric, for all owners: a column of numbers. Eight bytes a series where
 * nearly every owner has one, some fifty where few do; an object for each would take two hundred.
 *
 * @module
 */
import type { Histogram } from "./metric.ts";

/** Values of a metric's own labels, in the order of its card. */
export interface LabelSet {
  readonly values: readonly string[];
  /** The labels as text and what follows them, made when they are first exposed. */
  bytes: Uint8Array | undefined;
}

/** What `neverLess` has last seen of one owner, and what it adds. */
interface Floor {
  sum: number;
  offset: number;
}

const DENSE_FIRST = 64;
/**
 * A label set that as many owners have, and no fewer than this part of all, is as good as one that
 * all have.
 */
const DENSE_OWNERS = 16;
const DENSE_PART = 4;

/** Values by owner; an owner is a small number. */
export class Column {
  readonly labels: LabelSet;
  /** NaN is no value. Metrics without labels are dense from the start. */
  #dense: Float64Array | undefined;
  #denseUsed = 0;
  readonly #sparse = new Map<number, number>();
  #histograms: Map<number, Histogram> | undefined;
  #floors: Map<number, Floor> | undefined;
  /** Owners that have this label set, and the collection that saw it last; densely, 0 is none. */
  readonly #admitted = new Map<number, number>();
  #seen: Uint32Array | undefined;
  #admittedCount = 0;

  constructor(labels: readonly string[], dense: boolean) {
    this.labels = { values: labels, bytes: undefined };
    if (dense) this.#dense = new Float64Array(DENSE_FIRST).fill(NaN);
  }

  /** Owners that have a value, or may have one in the next collection. */
  get owners(): number {
    return this.#admittedCount + this.#sparse.size + (this.#histograms?.size ?? 0);
  }

  admits(owner: number): boolean {
    return this.#lastSeen(owner) > 0;
  }

  /** Notes that an owner's label set is in a collection, whose number is above 0. */
  seen(owner: number, collection: number): void {
    if (this.#seen === undefined) {
      const before = this.#admitted.size;
      this.#admitted.set(owner, collection);
      if (this.#admitted.size === before) return;
      this.#admittedCount++;
      if (this.#admittedCount >= DENSE_OWNERS) this.#condense();
      return;
    }
    if (owner >= this.#seen.length) {
      const larger = new Uint32Array(Math.max(owner + 1, this.#seen.length * 2));
      larger.set(this.#seen);
      this.#seen = larger;
    }
    if (this.#seen[owner] === 0) this.#admittedCount++;
    this.#seen[owner] = collection;
  }

  /** Collections since the label set was last seen. */
  unseen(owner: number, collection: number): number {
    const last = this.#lastSeen(owner);
    return last === 0 ? 0 : collection - last;
  }

  #lastSeen(owner: number): number {
    return (this.#seen === undefined ? this.#admitted.get(owner) : this.#seen[owner]) ?? 0;
  }

  /** Turns maps into arrays, if the owners are close enough together. */
  #condense(): void {
    let last = 0;
    for (const owner of this.#admitted.keys()) if (owner > last) last = owner;
    if (last >= this.#admittedCount * DENSE_PART) return;
    const length = Math.max(DENSE_FIRST, last + 1);
    this.#seen = new Uint32Array(length);
    for (const [owner, collection] of this.#admitted) this.#seen[owner] = collection;
    this.#dense = new Float64Array(length).fill(NaN);
    for (const [owner, value] of this.#sparse) this.#addDense(this.#dense, owner, value);
    this.#admitted.clear();
    this.#sparse.clear();
  }

  /** Adds to an owner's value; whether it had none. */
  add(owner: number, value: number): boolean {
    if (this.#dense !== undefined) {
      return this.#addDense(this.#grown(this.#dense, owner), owner, value);
    }
    const before = this.#sparse.get(owner);
    this.#sparse.set(owner, before === undefined ? value : before + value);
    return before === undefined;
  }

  #addDense(values: Float64Array, owner: number, value: number): boolean {
    const before = values[owner] ?? NaN;
    const isNew = Number.isNaN(before);
    values[owner] = isNew ? value : before + value;
    if (owner >= this.#denseUsed) this.#denseUsed = owner + 1;
    return isNew;
  }

  #grown(values: Float64Array, owner: number): Float64Array {
    if (owner < values.length) return values;
    const larger = new Float64Array(Math.max(owner + 1, values.length * 2)).fill(NaN);
    larger.set(values);
    this.#dense = larger;
    return larger;
  }

  /** Adds to an owner's histogram; whether it had none. */
  observe(owner: number, more: Histogram): boolean {
    this.#histograms ??= new Map();
    const before = this.#histograms.get(owner);
    this.#histograms.set(
      owner,
      before === undefined ? more : {
        counts: before.counts.map((count, index) => count + (more.counts[index] ?? 0)),
        sum: before.sum + more.sum,
      },
    );
    return before === undefined;
  }

  /** Keeps each owner's value from going down. */
  neverLess(): void {
    const floors = this.#floors ??= new Map();
    this.forEach((owner, _labels, value) => {
      const floor = floors.get(owner);
      if (floor === undefined) {
        floors.set(owner, { sum: value, offset: 0 });
        return;
      }
      if (value < floor.sum) floor.offset += floor.sum - value;
      floor.sum = value;
      if (floor.offset > 0) this.add(owner, floor.offset);
    });
  }

  /** Removes the values, for the next collection, but those of `kept`; how many these are. */
  clear(kept: readonly number[] = []): number {
    const values = kept.map((owner) => this.#dense?.[owner] ?? this.#sparse.get(owner) ?? NaN);
    const histograms = kept.map((owner) => this.#histograms?.get(owner));
    this.#dense?.fill(NaN, 0, this.#denseUsed);
    this.#denseUsed = 0;
    this.#sparse.clear();
    this.#histograms?.clear();
    let count = 0;
    for (const [index, owner] of kept.entries()) {
      const value = values[index] ?? NaN;
      if (!Number.isNaN(value) && this.add(owner, value)) count++;
      const histogram = histograms[index];
      if (histogram !== undefined && this.observe(owner, histogram)) count++;
    }
    return count;
  }

  forget(owner: number): void {
    if (this.#dense !== undefined && owner < this.#dense.length) this.#dense[owner] = NaN;
    this.#sparse.delete(owner);
    this.#histograms?.delete(owner);
    this.#floors?.delete(owner);
    if (this.admits(owner)) this.#admittedCount--;
    this.#admitted.delete(owner);
    if (this.#seen !== undefined && owner < this.#seen.length) this.#seen[owner] = 0;
  }

  forEach(visit: (owner: number, labels: LabelSet, value: number, h?: Histogram) => void): void {
    for (let owner = 0; owner < this.#denseUsed; owner++) {
      const value = this.#dense?.[owner] ?? NaN;
      if (!Number.isNaN(value)) visit(owner, this.labels, value);
    }
    for (const [owner, value] of this.#sparse) visit(owner, this.labels, value);
    for (const [owner, histogram] of this.#histograms ?? []) {
      visit(owner, this.labels, NaN, histogram);
    }
  }
}
