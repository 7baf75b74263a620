/** What the kernel side counts, and the metrics that it is. */
import { totals } from "@agent/probe.ts";
import { latencies as codec, LATENCY_BUCKETS, oneOf, struct, total, u32 } from "@agent/schema.ts";
import { vector } from "./words.ts";

const LABELS = ["vector", "cpu"] as const;
/** 102 CPUs with all vectors, 512 with the two that are looked at unless told otherwise. */
const SERIES_MAX = 1_024;

/** A counter of what took longer than `above` seconds, and what the seeds call it. */
function slower<const F extends "wait" | "run">(of: F, above: number, help: string, name: string) {
  return {
    type: "counter",
    help,
    of,
    above,
    labels: LABELS,
    seriesMax: SERIES_MAX,
    alias: { kubeskoop: [`softirq_${name}`], inspector: [`net_softirq_${name}`] },
  } as const;
}

/** A histogram of one stage. */
function histogram<const F extends "wait" | "run">(of: F, help: string) {
  return {
    type: "histogram",
    unit: "seconds",
    buckets: LATENCY_BUCKETS,
    help,
    of,
    labels: LABELS,
    seriesMax: SERIES_MAX,
  } as const;
}

export const latencies = totals({
  map: "latencies",
  key: struct("softirq_key", { cpu: u32, vector }),
  value: struct("softirq_latencies", { wait: codec, run: codec, untimed: total }),
  metrics: {
    softirq_wait_seconds: histogram("wait", "From a softirq's raise until it runs"),
    softirq_run_seconds: histogram("run", "From a softirq's entry until its exit"),
    softirq_wait_slow_total: slower("wait", 0.01, "Waits of more than 10 ms", "schedslow"),
    softirq_wait_slow_100ms_total: slower(
      "wait",
      0.1,
      "Waits of more than 100 ms",
      "schedslow100ms",
    ),
    softirq_run_slow_total: slower("run", 0.01, "Runs of more than 10 ms", "excuteslow"),
    softirq_run_slow_100ms_total: slower(
      "run",
      0.1,
      "Runs of more than 100 ms",
      "excuteslow100ms",
    ),
    softirq_untimed_total: {
      type: "counter",
      help: "Runs whose raise is not known, and which are in no wait",
      of: "untimed",
      labels: LABELS,
      seriesMax: SERIES_MAX,
    },
  },
});

export const counts = totals({
  map: "counts",
  key: struct("softirq_count_key", { what: oneOf({ 1: "refused" }) }),
  value: struct("softirq_count", { times: total }),
  metrics: {
    softirq_refused_total: {
      type: "counter",
      help: "Softirqs that are in no total, as the kernel's table of them was full",
      of: "times",
      when: { what: ["refused"] },
    },
  },
});
