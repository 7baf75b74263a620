/**
 * Words for what does not have the shape that a schema declares, without the value: of a kubeconfig
 * it may be a secret, and of any file it may be all of it.
 *
 * @module
 */
import * as v from "valibot";

/** What valibot's own words begin with; others are a schema's, and are taken as they are. */
const OWN_WORDS = "Invalid ";

/** The first issue as a part of a sentence: where it is, and what would be right. */
export function mistakeOf(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  return `${path === null ? "at its top" : `at "${path}"`}: ${wordsOf(issue)}`;
}

function wordsOf({ expected, received, message, type }: v.BaseIssue<unknown>): string {
  if (!message.startsWith(OWN_WORDS)) return message;
  if (expected === "never") return "there is no such key";
  if (received === "undefined") return "it is missing";
  if (expected === null) return `it is no valid ${type}`;
  return `it must be ${expected.replaceAll(/\bObject\b/g, "a mapping")}`;
}
