/**
 * What this program knows of its probes and collectors without a running agent.
 *
 * @module
 */
import { unitCards } from "../config/cards.ts";
import type { UnitCard } from "../config/config.ts";
import { discoverCollectors, discoverProbes } from "../discover.ts";

/** A probe or a collector, for a person. */
export interface UnitLine {
  readonly card: UnitCard;
  readonly kind: "probe" | "collector";
  readonly summary: string;
  /** Names of its metrics, without the prefix. */
  readonly metrics: readonly string[];
  /** Types of its events. */
  readonly types: readonly string[];
}

/** All units of this build, by name. */
export async function unitLines(): Promise<readonly UnitLine[]> {
  const [probes, collectors] = await Promise.all([discoverProbes(), discoverCollectors()]);
  const cards = new Map(unitCards(probes, collectors).map((card) => [card.name, card]));
  const line = (name: string, rest: Omit<UnitLine, "card">): UnitLine[] => {
    const card = cards.get(name);
    return card === undefined ? [] : [{ card, ...rest }];
  };
  const lines = [
    ...probes.flatMap((probe) =>
      line(probe.name, {
        kind: "probe",
        summary: probe.summary,
        metrics: (probe.totals ?? []).flatMap(({ metrics }) => Object.keys(metrics)),
        types: probe.records?.types ?? [],
      })
    ),
    ...collectors.flatMap((collector) =>
      line(collector.name, {
        kind: "collector",
        summary: collector.summary,
        metrics: Object.keys(collector.metrics),
        types: [...new Set(collector.watch?.examples.map(({ type }) => type))],
      })
    ),
  ];
  const units = new Map<string, UnitLine>();
  for (const line of lines) {
    const other = units.get(line.card.name);
    units.set(line.card.name, other === undefined ? line : together(other, line));
  }
  return [...units.values()].sort((a, b) => a.card.name < b.card.name ? -1 : 1);
}

/** A probe and the collector of its name are one unit. */
function together(probe: UnitLine, collector: UnitLine): UnitLine {
  const [first = "", ...rest] = probe.summary;
  return {
    card: probe.card,
    kind: probe.kind,
    summary: `${collector.summary}; ${first.toLowerCase()}${rest.join("")}`,
    metrics: [...collector.metrics, ...probe.metrics],
    types: [...collector.types, ...probe.types],
  };
}
