/**
 * Reading libnftables' JSON, of which nothing is certain.
 *
 * @module
 */

/** An object with any keys. */
export type Json = Readonly<Record<string, unknown>>;

/** The value, if it is an object and no list. */
export function objectOf(value: unknown): Json | undefined {
  return isObject(value) ? value : undefined;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value, if it is a list. */
export function listOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

/** The value, if it is a text. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The value, if it is a whole number. */
export function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) ? value : undefined;
}

/** The only key of an object, and its value: what kind of statement or expression it is. */
export function kindOf(value: unknown): readonly [string, unknown] | undefined {
  const object = objectOf(value);
  if (object === undefined) return undefined;
  for (const key in object) return [key, object[key]];
  return undefined;
}

/** An element without its timeout, counter and comment. */
export function bare(value: unknown): unknown {
  const element = objectOf(objectOf(value)?.elem);
  return element === undefined ? value : element.val;
}

/** How deep nft puts expressions into each other, and more. */
const DEPTH_MAX = 64;

/** Whether values are in each other deeper than any rule's. */
export function tooDeep(value: unknown): boolean {
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next.value !== "object" || next.value === null) continue;
    if (next.depth > DEPTH_MAX) return true;
    for (const inner of Object.values(next.value)) {
      if (typeof inner === "object") open.push({ value: inner, depth: next.depth + 1 });
    }
  }
  return false;
}
