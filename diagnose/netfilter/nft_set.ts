/**
 * Sets and maps of nftables, named ones and those that stand in a rule.
 *
 * @module
 */
import { bare, listOf, objectOf, tooDeep } from "./nft_json.ts";
import type { ValueType } from "./nft_symbols.ts";
import { type Atom, fits, type Pattern, patternOf } from "./nft_value.ts";

/** An element that is found; a map's has data. */
export interface Found {
  readonly data: unknown;
}

interface Ranged {
  readonly patterns: readonly Pattern[];
  readonly found: Found;
}

/** The elements, ready to be looked up. */
export class NftSet {
  readonly #exact = new Map<string, Found>();
  readonly #ranged: Ranged[] = [];
  #rest: Found | undefined;
  /** Whether an element makes no sense, so that what is not found may be in it all the same. */
  readonly damaged: boolean;

  constructor(elements: readonly unknown[], types: readonly ValueType[], mapped: boolean) {
    let damaged = false;
    for (const element of elements) {
      const pair = mapped ? listOf(element) : undefined;
      if (tooDeep(element)) damaged = true;
      else if (mapped && pair?.length !== 2) damaged = true;
      else if (!this.#add(bare(mapped ? pair?.[0] : element), pair?.[1], types)) damaged = true;
    }
    this.damaged = damaged;
  }

  #add(key: unknown, data: unknown, types: readonly ValueType[]): boolean {
    const found = { data };
    if (key === "*" && types.length === 1) {
      this.#rest = found;
      return true;
    }
    const parts = types.length === 1 ? [key] : listOf(objectOf(key)?.concat);
    if (parts?.length !== types.length) return false;
    const patterns: Pattern[] = [];
    for (const [at, part] of parts.entries()) {
      const pattern = patternOf(bare(part), types[at] ?? "number");
      if (pattern === undefined) return false;
      patterns.push(pattern);
    }
    const exact = patterns.map(exactKey);
    if (exact.includes(undefined)) this.#ranged.push({ patterns, found });
    else this.#exact.set(exact.join(), found);
    return true;
  }

  /** The element that has the values. */
  find(values: readonly Atom[]): Found | undefined {
    const exact = this.#exact.get(values.map(keyOf).join());
    if (exact !== undefined) return exact;
    for (const { patterns, found } of this.#ranged) {
      const all = patterns.every((pattern, at) => {
        const value = values[at];
        return value !== undefined && fits(value, pattern);
      });
      if (all && patterns.length === values.length) return found;
    }
    return this.#rest;
  }
}

function keyOf(value: Atom): string {
  return typeof value === "bigint" ? value.toString(36) : `"${value}"`;
}

function exactKey(pattern: Pattern): string | undefined {
  if ("text" in pattern) return pattern.begins ? undefined : keyOf(pattern.text);
  return pattern.low === pattern.high ? keyOf(pattern.low) : undefined;
}
