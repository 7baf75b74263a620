/**
 * Values of nftables' expressions, and the constants that they are compared with.
 *
 * @module
 */
import {
  type Address,
  type Family,
  parseAddress,
  parsePrefix,
  rangeOf,
} from "../packet/address.ts";
import type { Moment } from "./rules.ts";
import { bare, kindOf, listOf, objectOf, textOf } from "./nft_json.ts";
import { symbolOf, type ValueType } from "./nft_symbols.ts";
import { type Doubt, unknown } from "./truth.ts";

/** One value: a number, or the name of a device. */
export type Atom = bigint | string;

/** What an expression comes to for a packet. */
export type Seen =
  /** Several values where it is a concatenation. */
  | { readonly kind: "values"; readonly values: readonly Atom[] }
  /** The packet has no such thing: the rule ends here, and does not match. */
  | { readonly kind: "break" }
  | { readonly kind: "doubt"; readonly doubt: Doubt }
  /** One of several, by chance. */
  | { readonly kind: "spread"; readonly options: readonly SeenOption[] }
  /** What a map has for a key, not yet read. */
  | { readonly kind: "data"; readonly data: unknown };

/** One of several things that an expression can come to. */
export interface SeenOption {
  readonly chance?: number;
  readonly seen: Exclude<Seen, { kind: "spread" }>;
}

/** An expression, ready to be asked. */
export interface Expression {
  readonly types: readonly ValueType[];
  see(moment: Moment): Seen;
}

/** The packet has none. */
export const BREAK = { kind: "break" } as const;

/** A value. */
export function one(value: Atom | number | boolean | undefined): Seen {
  if (value === undefined) return BREAK;
  const atom = typeof value === "number" || typeof value === "boolean" ? BigInt(value) : value;
  return { kind: "values", values: [atom] };
}

/** Not to be known. */
export function unsure(because: string): Seen {
  return { kind: "doubt", doubt: unknown(because) };
}

/** All that an expression can come to. */
export function optionsOf(seen: Seen): readonly SeenOption[] {
  return seen.kind === "spread" ? seen.options : [{ seen }];
}

/** What constants match: a range of numbers, a name, or names that begin alike. */
export type Pattern =
  | { readonly low: bigint; readonly high: bigint }
  | { readonly text: string; readonly begins: boolean };

/** Whether a value is what the pattern says. */
export function fits(value: Atom, pattern: Pattern): boolean {
  if ("text" in pattern) {
    if (typeof value !== "string") return false;
    return pattern.begins ? value.startsWith(pattern.text) : value === pattern.text;
  }
  return typeof value === "bigint" && pattern.low <= value && value <= pattern.high;
}

/** The number that a constant is; undefined if it is not one number. */
export function constantOf(value: unknown, type: ValueType): bigint | undefined {
  const pattern = patternOf(value, type);
  if (pattern === undefined || "text" in pattern || pattern.low !== pattern.high) return undefined;
  return pattern.low;
}

/** A constant of nft's JSON as a pattern of the type that it is compared with. */
export function patternOf(value: unknown, type: ValueType): Pattern | undefined {
  const flags = listOf(value) ?? listOf(objectOf(value)?.["|"]);
  if (flags !== undefined) return allOf(flags, type);
  if (typeof value === "number" && Number.isSafeInteger(value)) return exactly(BigInt(value));
  if (typeof value === "boolean") return exactly(value ? 1n : 0n);
  if (typeof value === "string") return wordPattern(value, type);
  const kind = kindOf(bare(value));
  if (kind === undefined) return undefined;
  const [name, inner] = kind;
  if (name === "elem") return undefined;
  if (name === "prefix") return prefixPattern(inner);
  if (name === "range") {
    const [from, to] = listOf(inner) ?? [];
    const [low, high] = [constantOf(from, type), constantOf(to, type)];
    return low === undefined || high === undefined ? undefined : { low, high };
  }
  return value === bare(value) ? undefined : patternOf(bare(value), type);
}

function exactly(bits: bigint): Pattern {
  return { low: bits, high: bits };
}

function allOf(flags: readonly unknown[], type: ValueType): Pattern | undefined {
  let bits = 0n;
  for (const flag of flags) {
    const own = constantOf(flag, type);
    if (own === undefined) return undefined;
    bits |= own;
  }
  return exactly(bits);
}

function prefixPattern(inner: unknown): Pattern | undefined {
  const object = objectOf(inner);
  const prefix = parsePrefix(`${textOf(object?.addr) ?? ""}/${object?.len}`);
  if (prefix === undefined) return undefined;
  const [first, last] = rangeOf(prefix);
  return { low: first.bits, high: last.bits };
}

function wordPattern(word: string, type: ValueType): Pattern | undefined {
  if (type === "text") {
    if (/(^|[^\\])\*$/.test(word)) return { text: word.slice(0, -1), begins: true };
    return { text: word.replace(/\\\*$/, "*"), begins: false };
  }
  const symbol = symbolOf(type, word);
  if (symbol !== undefined) return exactly(BigInt(symbol));
  const bits = parseAddress(word)?.bits ?? macOf(word);
  if (bits !== undefined) return exactly(bits);
  return /^(\d{1,39}|0x[0-9a-f]{1,32})$/i.test(word) ? exactly(BigInt(word)) : undefined;
}

/** A hardware address as a number. */
export function macOf(text: string): bigint | undefined {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)
    ? BigInt(`0x${text.replaceAll(":", "")}`)
    : undefined;
}

/** The address that a constant is. */
export function addressConstant(value: unknown): Address | undefined {
  const text = textOf(bare(value));
  return text === undefined ? undefined : parseAddress(text);
}

/** A number as an address, if it can be one. */
export function addressFrom(value: Atom | undefined, family: Family): Address | undefined {
  if (typeof value !== "bigint") return undefined;
  return value >= 0n && value < 1n << (family === 4 ? 32n : 128n)
    ? { family, bits: value }
    : undefined;
}
