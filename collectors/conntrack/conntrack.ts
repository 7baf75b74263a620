/**
 * The table of tracked connections: how full it is, and what could not be put into it. Each network
 * namespace has a table and counters of its own, and the limit counts for each; where nothing is
 * tracked, all are 0. Whether a counter is there depends on the kernel: `ignore` went in
 * 5.10, when `clash_resolve` came.
 *
 * Source: IPCTNL_MSG_CT_GET_STATS and IPCTNL_MSG_CT_GET_STATS_CPU of nfnetlink
 * (net/netfilter/nf_conntrack_netlink.c), what `conntrack -C` and `conntrack -S` print, summed over
 * the CPUs; the kernel counts each in 32 bits. Cost: 45 µs for each namespace.
 *
 * @module
 */
import {
  count,
  defineCollector,
  type LabelledMetric,
  type LabelledSample,
  linesOf,
  netnsTables,
  nonsense,
  quoted,
} from "@agent/collector.ts";

const FILE = "netlink/conntrack";

/** Fields, the metrics they become, and what they mean. */
const COUNTERS: readonly (readonly [string, string, string])[] = [
  ["found", "found", "Lookups that found the connection, of which newer kernels count few"],
  ["invalid", "invalid", "Packets that belong to no connection and can begin none"],
  ["ignore", "ignored", "Packets that were tracked already"],
  ["insert", "inserted", "Connections put into the table, of which newer kernels count few"],
  ["insert_failed", "insert_failed", "Connections that could not be put into the table"],
  ["drop", "dropped", "Packets dropped because the connection could not be tracked"],
  ["early_drop", "early_dropped", "Connections thrown out of the full table for new ones"],
  ["error", "errors", "Packets that could not be tracked because they are broken"],
  ["search_restart", "search_restarts", "Lookups begun anew because the table was resized"],
  ["clash_resolve", "clashes_resolved", "Insertions that met the same connection and gave way"],
  ["chaintoolong", "chain_too_long", "Connections not put in because their bucket was too full"],
];
/** Fields of old kernels that are always 0 in newer ones, and have no metric. */
const UNUSED = ["searched", "new", "delete", "delete_list"] as const;
const KNOWN: ReadonlySet<string> = new Set(
  ["entries", "maxentries", ...UNUSED, ...COUNTERS.map(([field]) => field)],
);

/** Names that the predecessor had; the others are ours alone. */
const PREDECESSOR = new Set(
  "found invalid ignore insert insert_failed drop early_drop error search_restart".split(" "),
);

const metrics: Record<string, LabelledMetric> = {
  conntrack_entries: {
    type: "gauge",
    help: "Connections in the namespace's table",
    labels: [],
    alias: { kubeskoop: ["conntrack_entries"], inspector: ["conntrackentries"] },
  },
  conntrack_entries_max: {
    type: "gauge",
    help: "Connections that the namespace's table holds at most, 0 for no limit",
    labels: [],
    alias: { kubeskoop: ["conntrack_maxentries"], inspector: ["conntrackmaxentries"] },
  },
  conntrack_fullness_ratio: {
    type: "gauge",
    help: "Connections in the namespace's table, of those that it holds at most",
    unit: "ratio",
    labels: [],
  },
};
for (const [field, name, help] of COUNTERS) {
  const word = field.replaceAll("_", "");
  metrics[`conntrack_${name}_total`] = {
    ...{ type: "counter", help, labels: [] },
    ...(PREDECESSOR.has(field)
      ? { alias: { kubeskoop: [`conntrack_${word}`], inspector: [`conntrack${word}`] } }
      : {}),
  };
}

export default defineCollector({
  name: "conntrack",
  summary: "How full the table of tracked connections is, and what it had no place for",
  byDefault: true,
  source: netnsTables(FILE),
  metrics,
  parse(files) {
    const figures = figuresOf(files[FILE]);
    const samples: LabelledSample[] = [];
    const add = (metric: string, value: number | undefined) => {
      if (value !== undefined) samples.push({ metric, value, labels: {} });
    };
    const entries = figures.get("entries");
    const most = figures.get("maxentries");
    add("conntrack_entries", entries);
    add("conntrack_entries_max", most);
    if (entries !== undefined && most) add("conntrack_fullness_ratio", entries / most);
    for (const [field, name] of COUNTERS) add(`conntrack_${name}_total`, figures.get(field));
    return samples;
  },
});

function figuresOf(text: string): ReadonlyMap<string, number> {
  const figures = new Map<string, number>();
  for (const [index, line] of linesOf(FILE, text).entries()) {
    const [name = "", word, ...rest] = line.split(" ");
    if (!KNOWN.has(name) || rest.length > 0) {
      throw nonsense(FILE, index + 1, `expected a name and a figure, found ${quoted(line)}`);
    }
    if (figures.has(name)) throw nonsense(FILE, index + 1, `${name} is there twice`);
    figures.set(name, count(word, FILE, index + 1));
  }
  return figures;
}
