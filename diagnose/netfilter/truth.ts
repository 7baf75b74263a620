/**
 * Whether a rule matches: yes, no, by chance, or not to be known from a snapshot.
 *
 * @module
 */

/** Neither yes nor no. */
export type Doubt =
  /** Dice or a rate decide; `chance` is the probability of yes, where that is known. */
  | { readonly kind: "chance"; readonly chance?: number }
  | { readonly kind: "unknown"; readonly because: string };

/** Whether something holds. */
export type Truth = boolean | Doubt;

/** Decided by a rate, a counter or a memory: it can be either. */
export const EITHER: Doubt = { kind: "chance" };

/** Not to be known. */
export function unknown(because: string): Doubt {
  return { kind: "unknown", because };
}

/** Yes with this probability. */
export function chance(probability: number): Truth {
  if (probability <= 0) return false;
  return probability >= 1 ? true : { kind: "chance", chance: probability };
}

/** The opposite, if `negated`. */
export function negate(truth: Truth, negated = true): Truth {
  if (!negated) return truth;
  if (typeof truth === "boolean") return !truth;
  if (truth.kind === "unknown" || truth.chance === undefined) return truth;
  return chance(1 - truth.chance);
}

/** Whether both hold. */
export function both(one: Truth, other: Truth): Truth {
  if (one === false || other === false) return false;
  if (one === true) return other;
  if (other === true) return one;
  if (one.kind === "unknown") return one;
  if (other.kind === "unknown") return other;
  if (one.chance === undefined || other.chance === undefined) return EITHER;
  return chance(one.chance * other.chance);
}

/** Whether one of two holds. */
export function either(one: Truth, other: Truth): Truth {
  return negate(both(negate(one), negate(other)));
}
