/**
 * What a check of the pre-flight finds.
 *
 * @module
 */
import type { Config } from "../../config/config.ts";
import type { Node } from "./node.ts";

/** One line of the pre-flight. */
export interface Finding {
  readonly name: string;
  /** `fail`: the agent, or all probes, cannot work; `warn`: something is missing. */
  readonly state: "ok" | "warn" | "fail";
  /** What is there. */
  readonly found: string;
  /** What does not work because of it. */
  readonly disables?: string;
  /** What to do about it. */
  readonly remedy?: string;
}

/** What the checks need to know of the configuration. */
export type Places = Pick<Config, "listen" | "socket" | "dataDir" | "pinDir" | "btf">;

/** Looks at one thing. */
export type Check = (node: Node, places: Places) => Promise<Finding | readonly Finding[]>;

/** All is well. */
export function ok(name: string, found: string): Finding {
  return { name, state: "ok", found };
}

/** Something is missing, which costs something. */
export function warn(name: string, found: string, disables: string, remedy: string): Finding {
  return { name, state: "warn", found, disables, remedy };
}

/** Something is missing, which costs the main thing. */
export function fail(name: string, found: string, disables: string, remedy: string): Finding {
  return { name, state: "fail", found, disables, remedy };
}

/**
 * Whether a version, such as `6.1.0-18-amd64` or `7.5.0`, is at least that; false for no version.
 */
export function atLeast(version: string, least: string): boolean {
  const numbers = (text: string) =>
    (/\d+(?:\.\d+)*/.exec(text)?.[0] ?? "").split(".").filter((part) => part !== "").map(Number);
  const have = numbers(version);
  if (have.length === 0) return false;
  for (const [index, need] of numbers(least).entries()) {
    const part = have[index] ?? 0;
    if (part !== need) return part > need;
  }
  return true;
}
