/**
 * What the configuration must know of each unit, taken from the cards of probes and collectors.
 *
 * @module
 */
import type { Collector } from "../collector.ts";
import type { Probe } from "../probe.ts";
import type { UnitCard } from "./config.ts";

/** The cards of all units, probes first. A probe and a collector of one name are one unit. */
export function unitCards(
  probes: readonly Probe[],
  collectors: readonly Collector[],
): readonly UnitCard[] {
  const units = new Map<string, UnitCard>();
  for (const card of [...probes.map(cardOfProbe), ...collectors.map(cardOfCollector)]) {
    const other = units.get(card.name);
    units.set(card.name, other === undefined ? card : merged(other, card));
  }
  return [...units.values()];
}

function merged(one: UnitCard, other: UnitCard): UnitCard {
  const either = (key: "gives" | "byDefault") => ({
    metrics: one[key].metrics || other[key].metrics,
    events: one[key].events || other[key].events,
  });
  return {
    name: one.name,
    aliases: [...new Set([...one.aliases, ...other.aliases])],
    gives: either("gives"),
    byDefault: either("byDefault"),
    parameters: { ...other.parameters, ...one.parameters },
  };
}

function cardOfProbe(probe: Probe): UnitCard {
  return {
    name: probe.name,
    aliases: probe.aliases ?? [],
    gives: { metrics: (probe.totals ?? []).length > 0, events: probe.records !== undefined },
    byDefault: probe.byDefault,
    parameters: probe.parameters ?? {},
  };
}

function cardOfCollector(collector: Collector): UnitCard {
  const events = collector.watch !== undefined;
  const metrics = !events || Object.keys(collector.metrics).length > 0;
  return {
    name: collector.name,
    aliases: collector.aliases ?? [],
    gives: { metrics, events },
    byDefault: {
      metrics: metrics && collector.byDefault,
      events: events && collector.byDefault,
    },
    parameters: {},
  };
}
