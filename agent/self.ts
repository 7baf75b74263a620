/**
 * What the agent says of itself: outcomes, durations, losses, limits reached, and what it costs.
 *
 * @module
 */
import type { Late } from "./last_readings.ts";
import type { Metrics } from "./metric.ts";
import type { Occupancy } from "./occupancy.ts";
import { type Outcome } from "./outcome.ts";
import { type Collection, HOST, type Owner, type Registry } from "./series.ts";

/** Labels of what is said of a map. */
const OF_MAP = { labels: ["unit", "map"], seriesMax: 128 } as const;

/**
 * Metrics of the agent itself. `process_…` are the names that every Prometheus client library uses.
 */
export const SELF_METRICS = {
  build_info: {
    type: "gauge",
    help: "Always 1; the labels say which build this is",
    labels: ["version", "kernel"],
  },
  unit_state: {
    type: "gauge",
    help: "1 for the state that a probe or collector is in",
    labels: ["unit", "kind", "state"],
    seriesMax: 256,
  },
  unit_collection_seconds: {
    type: "gauge",
    unit: "seconds",
    help: "Time the last collection of a probe or collector took",
    labels: ["unit"],
    seriesMax: 128,
  },
  unit_series: {
    type: "gauge",
    help: "Series of a probe or collector in the last collection",
    labels: ["unit"],
    seriesMax: 128,
  },
  unit_failures_total: {
    type: "counter",
    help: "Namespaces or processes whose files could not be read or made no sense",
    labels: ["unit"],
    seriesMax: 128,
  },
  unit_late_total: {
    type: "counter",
    help: "Namespaces that were not read in time for a collection, which shows what was read last",
    labels: ["unit"],
    seriesMax: 128,
  },
  unit_age_seconds: {
    type: "gauge",
    unit: "seconds",
    help: "Age of the oldest values of late namespaces that are shown; 0 where all are of now",
    labels: ["unit"],
    seriesMax: 128,
  },
  collections_total: { type: "counter", help: "Collections made; parallel scrapes share one" },
  collection_read_seconds: {
    type: "gauge",
    unit: "seconds",
    help: "Time the last collection took to read files in every namespace",
  },
  series_folded_total: {
    type: "counter",
    help: "Samples folded into other because their metric had its most label sets",
    labels: ["metric"],
    seriesMax: 512,
  },
  bpf_run_seconds_total: {
    type: "counter",
    unit: "seconds",
    help: "Time spent in a BPF program while it was measured",
    labels: ["unit", "program"],
    seriesMax: 128,
  },
  bpf_runs_total: {
    type: "counter",
    help: "Runs of a BPF program while it was measured",
    labels: ["unit", "program"],
    seriesMax: 128,
  },
  bpf_recursion_misses_total: {
    type: "counter",
    help: "Runs that a BPF program missed as an interrupt came while it was running on that CPU",
    labels: ["unit", "program"],
    seriesMax: 128,
  },
  bpf_sampled_seconds_total: {
    type: "counter",
    unit: "seconds",
    help: "Time for which BPF programs were measured: 0.2 s of each 10 s",
  },
  bpf_map_entries: {
    ...OF_MAP,
    type: "gauge",
    help: "Entries in a map of a probe's kernel side, of totals or of what is under way",
  },
  bpf_map_max_entries: {
    ...OF_MAP,
    type: "gauge",
    help: "Most entries that such a map can have",
  },
  bpf_map_evictions_total: {
    ...OF_MAP,
    type: "counter",
    help: "Entries of what is under way that others pushed out, as the map was full",
  },
  bpf_map_refusals_total: {
    ...OF_MAP,
    type: "counter",
    help: "Entries of what is under way that a full map had no room for",
  },
  events_total: {
    type: "counter",
    help: "Events by the stage they came to and what became of them there",
    labels: ["probe", "stage", "result"],
    seriesMax: 1_024,
  },
  limit_reached_total: {
    type: "counter",
    help: "Times a named limit turned something away",
    labels: ["limit"],
    seriesMax: 64,
  },
  namespaces: {
    type: "gauge",
    help: "Network namespaces, by how they are named",
    labels: ["kind"],
    seriesMax: 8,
  },
  namespace_workers_hung: {
    type: "gauge",
    help: "Threads that hang in a network namespace; with 8 of them, tools read in the others",
  },
  http_requests_total: {
    type: "counter",
    help: "HTTP requests answered",
    labels: ["route", "code"],
    seriesMax: 128,
  },
  process_cpu_seconds_total: {
    type: "counter",
    unit: "seconds",
    help: "Total user and system CPU time spent in seconds",
  },
  process_resident_memory_bytes: {
    type: "gauge",
    unit: "bytes",
    help: "Resident memory size in bytes",
  },
  process_open_fds: { type: "gauge", help: "Number of open file descriptors" },
  process_start_time_seconds: {
    type: "gauge",
    unit: "seconds",
    help: "Start time of the process since unix epoch in seconds",
  },
} as const satisfies Metrics;

/** What the agent says of pods. */
export const SELF_POD_METRICS = {
  late_age_seconds: {
    type: "gauge",
    unit: "seconds",
    help: "Age of a late pod's values of what is read in its namespace; none while it is in time",
  },
} as const satisfies Metrics;

/** The name under which the agent's own metrics are declared. */
export const SELF = "agent";

/** One probe's or collector's part in the last collection. */
export interface UnitReport {
  readonly unit: string;
  readonly kind: "probe" | "collector";
  readonly outcome: Outcome;
  readonly seconds: number | undefined;
  readonly series: number;
  readonly failures: number;
  readonly late: number;
  readonly ageSeconds: number;
}

/** Adds each unit's outcome and cost. */
export function addUnits(collection: Collection, reports: Iterable<UnitReport>): void {
  for (const { unit, kind, outcome, seconds, series, failures, late, ageSeconds } of reports) {
    collection.add("unit_state", HOST, [unit, kind, outcome.state], 1);
    if (seconds === undefined) continue;
    collection.add("unit_collection_seconds", HOST, [unit], seconds);
    collection.add("unit_series", HOST, [unit], series);
    collection.add("unit_failures_total", HOST, [unit], failures);
    collection.add("unit_late_total", HOST, [unit], late);
    collection.add("unit_age_seconds", HOST, [unit], ageSeconds);
  }
}

/** Adds how old the values are that late namespaces show; of an owner's, the oldest. */
export function addAges(
  collection: Collection,
  places: Iterable<{ readonly owner: Owner; readonly late?: Late }>,
): void {
  const ages = new Map<string, { readonly owner: Owner; readonly age: number }>();
  for (const { owner, late } of places) {
    const age = late?.ageSeconds;
    if (age === undefined || age < (ages.get(owner.key)?.age ?? 0)) continue;
    ages.set(owner.key, { owner, age });
  }
  for (const { owner, age } of ages.values()) collection.add("late_age_seconds", owner, [], age);
}

/** Adds how full a unit's maps are. */
export function addOccupancy(
  collection: Collection,
  unit: string,
  occupancy: Iterable<Occupancy>,
): void {
  for (const { map, entries, entriesMax, evictions, refusals } of occupancy) {
    collection.add("bpf_map_entries", HOST, [unit, map], entries);
    collection.add("bpf_map_max_entries", HOST, [unit, map], entriesMax);
    if (evictions !== undefined) {
      collection.add("bpf_map_evictions_total", HOST, [unit, map], evictions);
    }
    if (refusals !== undefined) {
      collection.add("bpf_map_refusals_total", HOST, [unit, map], refusals);
    }
  }
}

/** Adds what folding and the process itself cost. Reads `/proc/self`. */
export function addProcess(
  collection: Collection,
  registry: Registry,
  startedSeconds: number,
): void {
  for (const [metric, count] of registry.folded()) {
    collection.add("series_folded_total", HOST, [metric], count);
  }
  collection.add("process_cpu_seconds_total", HOST, [], cpuSeconds());
  collection.add("process_resident_memory_bytes", HOST, [], Deno.memoryUsage().rss);
  collection.add("process_open_fds", HOST, [], [...Deno.readDirSync("/proc/self/fd")].length);
  collection.add("process_start_time_seconds", HOST, [], startedSeconds);
}

/**
 * Clock ticks per second in `/proc`; 100 on every architecture that Linux exports to user space
 * (`USER_HZ`).
 */
const USER_HZ = 100;

/**
 * proc_pid_stat(5), fields 14 and 15. The command name, field 2, may hold spaces and parentheses.
 */
function cpuSeconds(): number {
  const text = Deno.readTextFileSync("/proc/self/stat");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / USER_HZ;
}
