/**
 * Reads a configuration: YAML in our own schema, or in one of the predecessors' two.
 *
 * @module
 */
import type { Config, UnitCard } from "./config.ts";
import { type Findings, type Mapping, readDocument } from "./document.ts";
import { suggestion } from "./nearest.ts";
import { OWN_KEYS, readOwn, TOP_KEYS } from "./own.ts";
import { INSPECTOR_KEYS, KUBESKOOP_KEYS, readInspector, readKubeskoop } from "./predecessors.ts";
import { isMapping } from "./document.ts";

/** What the command line says, which goes before any file. */
export type Overrides = Partial<
  Pick<
    Config,
    | "listen"
    | "socket"
    | "dataDir"
    | "pinDir"
    | "nodeName"
    | "btf"
    | "runtimeEndpoint"
    | "logLevel"
    | "sidecar"
  >
>;

/** What a text led to. */
export type ReadConfig =
  | {
    readonly config: Config;
    /** All that its author should know, `mistakes` included. */
    readonly warnings: readonly string[];
    /** Of one probe or sink each, and passed over; empty unless reading was lenient. */
    readonly mistakes: readonly string[];
  }
  | { readonly errors: readonly string[] };

/**
 * Reads a configuration. `origin` is the file, or `PUT`, for the words of errors.
 *
 * - `strict`, for a change at run time: anything wrong is an error, and nothing changes.
 * - `lenient`, for the start: a mistake in one probe or one sink costs that one (a probe keeps its
 *   default, a sink is left out); anything else that is wrong is an error, since an agent that
 *   listens elsewhere than it was told is worse than one that says why it does not start.
 */
export function readConfig(
  text: string,
  origin: string,
  units: readonly UnitCard[],
  overrides: Overrides = {},
  reading: "strict" | "lenient" = "strict",
): ReadConfig {
  const { top, empty, findings } = readDocument(text, origin);
  if (top === undefined) return { errors: findings.errors };
  strangeKeys(empty, findings);
  const config = readSchema(top, units, findings);
  const { errors, mistakes, warnings } = findings;
  if (config === undefined || errors.length > 0) return { errors: findings.wrong };
  if (reading === "strict" && mistakes.length > 0) return { errors: mistakes };
  return { config: { ...config, ...overrides }, warnings: [...mistakes, ...warnings], mistakes };
}

/** A key that has no value has its default, if there is such a key in anybody's schema. */
function strangeKeys(empty: readonly string[], findings: Findings): void {
  for (const key of empty) {
    if (TOP_KEYS.includes(key) || key in KUBESKOOP_KEYS || key in INSPECTOR_KEYS) continue;
    if (key in Object.prototype) continue;
    findings.error([key], `there is no such key: ${suggestion(key, TOP_KEYS)}`);
  }
}

function readSchema(
  top: Mapping,
  units: readonly UnitCard[],
  findings: Findings,
): Config | undefined {
  switch (schemaOf(top)) {
    case "inspector":
      return readInspector(top, units, findings);
    case "kubeskoop":
      return readKubeskoop(top, units, findings);
    case "podskoop":
      if (mixes(top, findings)) return undefined;
      return readOwn(top, units, findings);
  }
}

/** Whose schema a configuration is in. A key that only ours has decides. */
export function schemaOf(top: Mapping): "podskoop" | "kubeskoop" | "inspector" {
  const { metrics } = top;
  const old = isMapping(metrics) && "probes" in metrics;
  const own = isMapping(metrics) && "names" in metrics;
  if (own || OWN_KEYS.some((key) => key in top)) return "podskoop";
  if (Object.keys(INSPECTOR_KEYS).some((key) => key in top)) return "inspector";
  if (old || Object.keys(KUBESKOOP_KEYS).some((key) => key in top)) return "kubeskoop";
  return "podskoop";
}

/** Keys of a predecessor among ours: what they meant is said, rather than guessed. */
function mixes(top: Mapping, findings: Findings): boolean {
  const found = Object.keys(top).filter((key) => key in KUBESKOOP_KEYS || key in INSPECTOR_KEYS);
  for (const key of found) {
    const today = KUBESKOOP_KEYS[key] ?? INSPECTOR_KEYS[key];
    findings.error(
      [key],
      `it is a predecessor's key, and the file has keys of podskoop's own: write ${today} instead`,
    );
  }
  return found.length > 0;
}
