/**
 * Which units a name in a configuration means: ours, a card's alias, or what a predecessor called
 * it.
 *
 * @module
 */
import type { UnitCard } from "./config.ts";
import { nearest, suggestion } from "./nearest.ts";

/**
 * Names that the predecessor's documents and `/status` have used, in lower case, and what they are
 * called today.
 */
const RENAMED: ReadonlyMap<string, readonly string[]> = new Map([
  ["procfd", ["fd"]],
  ["procio", ["io"]],
  ["procnetdev", ["netdev"]],
  ["procnetstat", ["tcpext"]],
  ["procsnmp", ["tcp", "udp", "ip"]],
  ["procsock", ["sock"]],
  ["procsoftnet", ["softnet"]],
  ["proctcpsummary", ["tcpsummary"]],
  ["net_softirq", ["softirq"]],
  ["netsoftirq", ["softirq"]],
  ["netiftxlatency", ["netiftxlat"]],
  ["netif_txlatency", ["netiftxlat"]],
  ["netif_txlat", ["netiftxlat"]],
  ["biolatancy", ["biolatency"]],
  ["socketlatancy", ["socketlatency"]],
  ["tcp_reset", ["tcpreset"]],
]);

/** Every probe that a predecessor had, by its last name. */
const PREDECESSORS: ReadonlySet<string> = new Set([
  ...["biolatency", "conntrack", "fd", "flow", "io", "ip", "ipvs", "kernellatency", "netdev"],
  ...["netiftxlat", "packetloss", "qdisc", "rdma", "sock", "socketlatency", "softirq", "softnet"],
  ...["tcp", "tcpext", "tcpreset", "tcpretrans", "tcpsummary", "udp", "virtcmdlatency"],
]);

/** What a name means. */
export interface Meaning {
  /** Units of this build. */
  readonly units: readonly UnitCard[];
  /** Probes of a predecessor that this build does not have. */
  readonly absent: readonly string[];
  /** Set when the name means nothing at all: what to write instead. */
  readonly unknown?: string;
}

/** Looks a name up. Case does not matter: the documents write `Procfd` and `virtcmdLatency`. */
export function meaningOf(name: string, units: readonly UnitCard[]): Meaning {
  const own = find(name, units);
  if (own !== undefined) return { units: [own], absent: [] };
  const word = name.toLowerCase().replace(/^insp_/, "");
  const found: UnitCard[] = [];
  const absent: string[] = [];
  for (const today of RENAMED.get(word) ?? [word]) {
    const unit = find(today, units);
    if (unit !== undefined) found.push(unit);
    else if (PREDECESSORS.has(today)) absent.push(today);
  }
  if (found.length > 0 || absent.length > 0) return { units: found, absent };
  return { units: [], absent: [], unknown: instead(name, units) };
}

function find(name: string, units: readonly UnitCard[]): UnitCard | undefined {
  const word = name.toLowerCase();
  return units.find((unit) =>
    unit.name === word || unit.aliases.some((alias) => alias.toLowerCase() === word)
  );
}

function instead(name: string, units: readonly UnitCard[]): string {
  const names = units.map((unit) => unit.name).sort();
  const others = units.flatMap((unit) => unit.aliases);
  const meant = nearest(name, names) ?? nearest(name, [...others, ...RENAMED.keys()]);
  return meant === undefined ? suggestion(name, names) : `did you mean ${JSON.stringify(meant)}?`;
}
