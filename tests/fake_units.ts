/**
 * Units of a build, as the configuration knows them.
 *
 * @module
 */
import type { UnitCard } from "@agent/config/config.ts";

function unit(name: string, part: Partial<UnitCard> = {}): UnitCard {
  return {
    name,
    aliases: [],
    gives: { metrics: true, events: false },
    byDefault: { metrics: true, events: false },
    parameters: {},
    ...part,
  };
}

/** Two probes, and collectors. */
export const UNITS: readonly UnitCard[] = [
  unit("packetloss", {
    gives: { metrics: true, events: true },
    byDefault: { metrics: true, events: true },
    parameters: { stack: { default: false }, rate: { default: 100, min: 1, max: 10_000 } },
  }),
  unit("tcpreset", {
    aliases: ["reset"],
    gives: { metrics: true, events: true },
    byDefault: { metrics: true, events: true },
  }),
  unit("tcpsummary", { byDefault: { metrics: false, events: false } }),
  ...["netdev", "io", "fd", "tcp", "udp", "ip", "tcpext", "sock", "softnet"].map((name) =>
    unit(name)
  ),
];
