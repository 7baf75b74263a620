/**
 * Whether labels are selected.
 *
 * @module
 */
import type { Selector } from "./objects.ts";

/** Labels of an object. */
export type Labels = Readonly<Record<string, string>>;

/**
 * Whether a selector selects these labels. An empty one selects all; with an operator that is not
 * known nothing can be said.
 */
export function selects(
  { matchLabels, matchExpressions }: Selector,
  labels: Labels,
): boolean | "unknown" {
  let unknown = false;
  for (const [key, value] of Object.entries(matchLabels ?? {})) {
    if (!Object.hasOwn(labels, key) || labels[key] !== value) return false;
  }
  for (const { key, operator, values } of matchExpressions ?? []) {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    const isAmong = value !== undefined && (values ?? []).includes(value);
    switch (operator) {
      case "In":
        if (!isAmong) return false;
        break;
      case "NotIn":
        // An object without the label is selected as well.
        if (isAmong) return false;
        break;
      case "Exists":
        if (value === undefined) return false;
        break;
      case "DoesNotExist":
        if (value !== undefined) return false;
        break;
      default:
        unknown = true;
    }
  }
  return unknown ? "unknown" : true;
}
