/**
 * The neighbour tables, ARP's for IPv4 and neighbour discovery's for IPv6: how full they are, and
 * what had no place. They are the node's: all namespaces share one table for each family, and its
 * limit, `gc_thresh3`; whose neighbours fail is told by the probe `neigh`. Entries that the kernel
 * never throws out by itself (permanent ones, those of a control plane) are counted, though the
 * limit leaves them out, so a ratio can be above 1 where a network plugin makes many of these.
 *
 * Source: `net/stat/arp_cache` and `net/stat/ndisc_cache` (neigh_stat_seq_show in
 * net/core/neighbour.c), a row for each CPU, and the limits below `/proc/sys/net`. Cost: four files
 * for the node, and 2 µs of parsing for each CPU.
 *
 * @module
 */
import { count, defineCollector, linesOf, nodeFiles, nonsense, quoted } from "@agent/collector.ts";

const ARP = "net/stat/arp_cache";
const NDISC = "net/stat/ndisc_cache";
const ARP_MAX = "sys/net/ipv4/neigh/default/gc_thresh3";
const NDISC_MAX = "sys/net/ipv6/neigh/default/gc_thresh3";

/** Columns that are summed over the CPUs. */
const COUNTERS = [
  ["res_failed", "neightable_resolution_failures_total"],
  ["unresolved_discards", "neightable_discarded_packets_total"],
  ["forced_gc_runs", "neightable_forced_collections_total"],
  ["table_fulls", "neightable_overflows_total"],
] as const;

const FAMILY = { labels: ["family"], seriesMax: 2 } as const;

export default defineCollector({
  name: "neightable",
  summary: "How full the node's neighbour tables are (ARP, neighbour discovery), and what failed",
  byDefault: true,
  source: nodeFiles(ARP, NDISC, ARP_MAX, NDISC_MAX),

  metrics: {
    neightable_entries: {
      ...FAMILY,
      type: "gauge",
      help: "Neighbours in the node's table, of all namespaces",
    },
    neightable_entries_max: {
      ...FAMILY,
      type: "gauge",
      help: "Neighbours that the node's table holds at most (gc_thresh3)",
    },
    neightable_fullness_ratio: {
      ...FAMILY,
      type: "gauge",
      unit: "ratio",
      help: "Neighbours in the node's table, as a part of those it holds at most",
    },
    neightable_resolution_failures_total: {
      ...FAMILY,
      type: "counter",
      help: "Neighbours that were asked for and not found, in all namespaces",
    },
    neightable_discarded_packets_total: {
      ...FAMILY,
      type: "counter",
      help: "Packets dropped as too many waited for the same neighbour",
    },
    neightable_forced_collections_total: {
      ...FAMILY,
      type: "counter",
      help: "Times the kernel looked for old neighbours to throw out, to make room for one more",
    },
    neightable_overflows_total: {
      ...FAMILY,
      type: "counter",
      help: "Neighbours that found no place in the full table",
    },
  },

  *parse(files) {
    yield* table(ARP, files[ARP], ARP_MAX, files[ARP_MAX], "ipv4");
    // A kernel without IPv6 has no such file.
    if (files[NDISC] !== "") yield* table(NDISC, files[NDISC], NDISC_MAX, files[NDISC_MAX], "ipv6");
  },
});

function* table(file: string, text: string, limitFile: string, limit: string, family: string) {
  const labels = { family };
  const [heading = "", ...rows] = linesOf(file, text);
  const names = heading.split(" ").filter((name) => name !== "");
  const column = (name: string) => {
    const index = names.indexOf(name);
    if (index < 0) throw nonsense(file, 1, `no "${name}" in ${quoted(heading)}`);
    return rows.map((row, line) => hexadecimal(row.split(" ").filter(isWord)[index], file, line));
  };
  // Each CPU's row has the number of the whole table.
  const [entries] = column("entries");
  if (entries === undefined) throw nonsense(file, 2, "there is no row");
  yield { metric: "neightable_entries", labels, value: entries } as const;
  for (const [name, metric] of COUNTERS) {
    yield { metric, labels, value: column(name).reduce((sum, value) => sum + value, 0) };
  }
  if (limit === "") return;
  const most = count(linesOf(limitFile, limit)[0], limitFile, 1);
  yield { metric: "neightable_entries_max", labels, value: most } as const;
  if (most === 0) return;
  yield { metric: "neightable_fullness_ratio", labels, value: entries / most } as const;
}

function isWord(word: string): boolean {
  return word !== "";
}

function hexadecimal(word: string | undefined, file: string, row: number): number {
  if (word === undefined || !/^[0-9a-f]{1,16}$/.test(word)) {
    throw nonsense(file, row + 2, `expected hexadecimal digits, found ${quoted(word)}`);
  }
  return Number.parseInt(word, 16);
}
