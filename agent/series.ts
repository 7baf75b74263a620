/**
 * The series of one agent: every metric's label sets and values, bounded, added up, and never
 * counting backwards.
 *
 * A node of 600 pods has a quarter of a million series, so they are no objects: a metric's label
 * set is a column, and a pod is a number in it. Columns live from one collection to the next; their
 * values are of the last one.
 *
 * @module
 */
import { Column, type LabelSet } from "./column.ts";
import type { Histogram, Metric, Metrics } from "./metric.ts";

/** Label sets of one pod that a metric may have when its card does not say. */
const SERIES_MAX_DEFAULT = 1;
/** The bound on a card's `seriesMax`. */
export const SERIES_MAX = 1_024;
/**
 * A label set that this many collections did not see makes room for another: a device that is gone,
 * say.
 */
const UNSEEN_MAX = 3;

/** Whose figure it is: the values of the labels `namespace` and `pod`. */
export interface Owner {
  /** Unique for each owner. */
  readonly key: string;
  readonly namespace: string;
  readonly pod: string;
  /** Labels of the pod. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What made the pod: `Deployment/web`. */
  readonly workload?: string;
}

/** The owner of the node's own figures. */
export const HOST: Owner = { key: "host", namespace: "", pod: "" };

/** Gets one series; `histogram` is there instead of the value for a metric of that type. */
export type SeriesVisitor = (
  owner: Owner,
  labels: LabelSet,
  value: number,
  histogram: Histogram | undefined,
) => void;

/** Owners as numbers, which are used again when an owner has gone. */
class Owners {
  readonly #numbers = new Map<string, number>();
  readonly #byNumber: (Owner | undefined)[] = [];
  readonly #free: number[] = [];

  numberOf(owner: Owner): number {
    const known = this.#numbers.get(owner.key);
    if (known !== undefined) {
      // Of the same pod, with labels as they are now.
      this.#byNumber[known] = owner;
      return known;
    }
    const number = this.#free.pop() ?? this.#byNumber.length;
    this.#numbers.set(owner.key, number);
    this.#byNumber[number] = owner;
    return number;
  }

  byNumber(number: number): Owner | undefined {
    return this.#byNumber[number];
  }

  /** Forgets the owners that are not in `keys`; their numbers. */
  keepOnly(keys: ReadonlySet<string>): readonly number[] {
    const gone: number[] = [];
    for (const [key, number] of this.#numbers) {
      if (keys.has(key)) continue;
      this.#numbers.delete(key);
      this.#byNumber[number] = undefined;
      gone.push(number);
    }
    this.#free.push(...gone);
    return gone;
  }
}

/** All series of one metric. */
export class Family {
  readonly name: string;
  readonly unit: string;
  readonly card: Metric;
  readonly #plain: Column;
  readonly #labelled = new Map<string, Column>();
  /** By owner, how many label sets it has, and which went to `other`. */
  readonly #own = new Map<number, number>();
  readonly #foldedSets = new Map<number, Set<string>>();
  #collection = 0;
  /** Samples that went to `other` instead of to a series of their own. */
  folded = 0;
  /** Series of the collection under way. */
  size = 0;

  constructor(name: string, unit: string, card: Metric) {
    this.name = name;
    this.unit = unit;
    this.card = card;
    this.#plain = new Column([], true);
  }

  /**
   * Begins a collection. The owners in `late` keep the values of the one before, if the metric was
   * in it.
   */
  begin(collection: number, late: readonly number[]): void {
    if (this.#collection === collection) return;
    const kept = this.#collection === collection - 1 ? late : [];
    this.#collection = collection;
    this.size = this.#plain.clear(kept);
    for (const [key, column] of this.#labelled) {
      if (column.owners === 0) this.#labelled.delete(key);
      else this.size += column.clear(kept);
    }
  }

  add(owner: number, labels: readonly string[], value: number): void {
    if (this.#column(owner, labels).add(owner, value)) this.size++;
  }

  observe(owner: number, labels: readonly string[], histogram: Histogram): void {
    if (this.#column(owner, labels).observe(owner, histogram)) this.size++;
  }

  /** Keeps what members that have left had counted. */
  neverLess(): void {
    this.#plain.neverLess();
    for (const column of this.#labelled.values()) column.neverLess();
  }

  forEach(visit: (owner: number, labels: LabelSet, value: number, h?: Histogram) => void): void {
    this.#plain.forEach(visit);
    for (const column of this.#labelled.values()) column.forEach(visit);
  }

  /** Forgets an owner that is gone. */
  forget(owner: number): void {
    this.#plain.forget(owner);
    this.#own.delete(owner);
    this.#foldedSets.delete(owner);
    for (const column of this.#labelled.values()) column.forget(owner);
  }

  #column(owner: number, labels: readonly string[]): Column {
    if (labels.length === 0) return this.#plain;
    const key = keyOf(labels);
    const column = this.#labelled.get(key);
    if (column?.admits(owner) === true) {
      column.seen(owner, this.#collection);
      return column;
    }
    if (this.#isFolded(owner, key)) {
      this.folded++;
      return this.#columnFor(labels.map(() => "other"));
    }
    const admitting = column ?? this.#columnFor(labels);
    admitting.seen(owner, this.#collection);
    this.#own.set(owner, (this.#own.get(owner) ?? 0) + 1);
    return admitting;
  }

  #columnFor(labels: readonly string[]): Column {
    const key = keyOf(labels);
    let column = this.#labelled.get(key);
    if (column === undefined) {
      column = new Column(labels, false);
      this.#labelled.set(key, column);
    }
    return column;
  }

  /**
   * Whether a label set must go to `other`. What once did stays so: moving out would look like a
   * reset.
   */
  #isFolded(owner: number, key: string): boolean {
    const folded = this.#foldedSets.get(owner);
    if (folded?.has(key) === true) return true;
    const max = this.card.seriesMax ?? SERIES_MAX_DEFAULT;
    if ((this.#own.get(owner) ?? 0) < max || this.#makeRoom(owner) < max) return false;
    if (folded === undefined) this.#foldedSets.set(owner, new Set([key]));
    else if (folded.size < SERIES_MAX) folded.add(key);
    return true;
  }

  /** Forgets an owner's label sets that have not been seen for a while; how many it has then. */
  #makeRoom(owner: number): number {
    let left = 0;
    for (const column of this.#labelled.values()) {
      if (!column.admits(owner)) continue;
      if (column.unseen(owner, this.#collection) > UNSEEN_MAX) column.forget(owner);
      else left++;
    }
    this.#own.set(owner, left);
    return left;
  }
}

/** Joins label values; the separator cannot be in UTF-8 text from the kernel's names. */
function keyOf(labels: readonly string[]): string {
  const [first = ""] = labels;
  return labels.length === 1 ? first : labels.join("\u0000");
}

/** All metrics of an agent, from one collection to the next. */
export class Registry {
  readonly #families = new Map<string, Family>();
  readonly #owners = new Owners();
  #collection = 0;

  /** Begins a collection; what the one before had is no longer valid. */
  begin(): Collection {
    return new Collection(this.#families, this.#owners, ++this.#collection);
  }

  /** Forgets owners that are gone, so that memory does not grow with every pod there ever was. */
  keepOnly(owners: ReadonlySet<string>): void {
    for (const number of this.#owners.keepOnly(owners)) {
      for (const family of this.#families.values()) family.forget(number);
    }
  }

  /** Samples folded into `other` so far, by metric. */
  *folded(): Iterable<readonly [metric: string, samples: number]> {
    for (const { name, folded } of this.#families.values()) if (folded > 0) yield [name, folded];
  }
}

/** One collection's view of the series. */
export class Collection {
  readonly #families: Map<string, Family>;
  readonly #owners: Owners;
  readonly #number: number;
  readonly #declared = new Map<string, Family>();
  /** Samples come owner by owner. */
  #lastOwner: Owner | undefined;
  #lastNumber = 0;

  constructor(families: Map<string, Family>, owners: Owners, number: number) {
    this.#families = families;
    this.#owners = owners;
    this.#number = number;
  }

  /** Makes the metrics of a unit known. The owners in `late` keep the values they last had. */
  declare(unit: string, metrics: Metrics, late: Iterable<Owner> = []): void {
    const kept = Array.from(late, (owner) => this.#numberOf(owner));
    for (const [name, card] of Object.entries(metrics)) {
      let family = this.#families.get(name);
      if (family?.card !== card) {
        family = new Family(name, unit, card);
        this.#families.set(name, family);
      }
      family.begin(this.#number, kept);
      this.#declared.set(name, family);
    }
  }

  /** Adds a value to the series; two values for one series add up. */
  add(name: string, owner: Owner, labels: readonly string[], value: number): void {
    this.#family(name).add(this.#numberOf(owner), labels, value);
  }

  /** Adds observations to a histogram. */
  observe(name: string, owner: Owner, labels: readonly string[], histogram: Histogram): void {
    this.#family(name).observe(this.#numberOf(owner), labels, histogram);
  }

  /**
   * Makes a sum over members that come and go, such as a pod's processes, a counter: when it is
   * less than it was, members have left, and what they had counted is kept. To be called once all
   * samples are added.
   */
  neverLess(name: string): void {
    this.#family(name).neverLess();
  }

  /** Visits a metric's series. */
  forEach(name: string, visit: SeriesVisitor): void {
    this.#family(name).forEach((number, labels, value, histogram) => {
      const owner = this.#owners.byNumber(number);
      if (owner !== undefined) visit(owner, labels, value, histogram);
    });
  }

  /** How many series each unit has. */
  sizes(): ReadonlyMap<string, number> {
    const sizes = new Map<string, number>();
    for (const { unit, size } of this.#declared.values()) {
      sizes.set(unit, (sizes.get(unit) ?? 0) + size);
    }
    return sizes;
  }

  /** The metrics that were declared, by name. */
  families(): readonly Family[] {
    return Array.from(this.#declared.values()).sort((a, b) => a.name < b.name ? -1 : 1);
  }

  #numberOf(owner: Owner): number {
    if (owner !== this.#lastOwner) {
      this.#lastOwner = owner;
      this.#lastNumber = this.#owners.numberOf(owner);
    }
    return this.#lastNumber;
  }

  #family(name: string): Family {
    const family = this.#declared.get(name);
    if (family === undefined) {
      throw new RangeError(`Cannot add to the metric "${name}": no unit declares it`);
    }
    return family;
  }
}
