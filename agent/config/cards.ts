/**
 * What the configuration must know of each unit, taken from the cards of probes and collectors.
 *
 * @module
 */
import type { Collector } from "../collector.ts";
import type { Probe } from "../probe.ts";
import type { UnitCard } from "./config.ts";

/** The cards of all units, probes first. */
export function unitCards(
  probes: readonly Probe[],
  collectors: readonly Collector[],
): readonly UnitCard[] {
  return [...probes.map(cardOfProbe), ...collectors.map(cardOfCollector)];
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
  return {
    name: collector.name,
    aliases: collector.aliases ?? [],
    gives: { metrics: true, events: false },
    byDefault: { metrics: collector.byDefault, events: false },
    parameters: {},
  };
}
