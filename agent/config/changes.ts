/**
 * Tells what another configuration means for a running agent.
 *
 * @module
 */
import type { Config } from "./config.ts";

/** What only the next start can change. */
export const AT_START = [
  "dataDir",
  "pinDir",
  "nodeName",
  "btf",
  "runtimeEndpoint",
  "kubernetes",
  "sidecar",
] as const;

/** A key of these. */
export type AtStart = typeof AT_START[number];

/** What differs between two configurations, by what it takes to follow. */
export interface Changes {
  /** Units of which a half is switched on or off: these start or stop. */
  readonly units: readonly string[];
  /** Units of which only parameters differ: these go on, with the new values. */
  readonly parameters: readonly string[];
  /** `listen`, `socket`, `access`: these listeners open anew. */
  readonly listeners: readonly ("listen" | "socket" | "access")[];
  /** The sinks close and open. */
  readonly sinks: boolean;
  /** Take effect at once, without anything to restart. */
  readonly live: readonly ("logLevel" | "metrics" | "events")[];
  /** Take effect at the agent's next start. */
  readonly atStart: readonly AtStart[];
}

/** What differs. */
export function changes(before: Config, after: Config): Changes {
  const differs = <K extends keyof Config>(key: K) => !equal(before[key], after[key]);
  const names = [...new Set([...Object.keys(before.units), ...Object.keys(after.units)])];
  const units = names.filter((name) => {
    const [old, young] = [before.units[name], after.units[name]];
    return old?.metrics !== young?.metrics || old?.events !== young?.events;
  });
  const parameters = names.filter((name) =>
    !units.includes(name) && !equal(before.units[name], after.units[name])
  );
  const { sinks: sinksBefore, ...eventsBefore } = before.events;
  const { sinks: sinksAfter, ...eventsAfter } = after.events;
  return {
    units,
    parameters,
    listeners: (["listen", "socket", "access"] as const).filter(differs),
    sinks: !equal(sinksBefore, sinksAfter),
    live: [
      ...(["logLevel", "metrics"] as const).filter(differs),
      ...equal(eventsBefore, eventsAfter) ? [] : ["events" as const],
    ],
    atStart: AT_START.filter(differs),
  };
}

/** The same as words, for an answer or a log: empty when nothing differs. */
export function changedNames(found: Changes): readonly string[] {
  return [
    ...found.units.map((name) => `probes.${name}`),
    ...found.parameters.map((name) => `probes.${name} (parameters)`),
    ...found.listeners,
    ...found.sinks ? ["events.sinks"] : [],
    ...found.live,
    ...found.atStart.map((name) => `${name} (at the next start)`),
  ];
}

/** Equality of plain data; the order of keys does not matter. */
function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}
