/** What the kernel side counts, and the metrics that it is. */
import { totals } from "@agent/probe.ts";
import {
  latencies as codec,
  LATENCY_BUCKETS,
  oneOf,
  shortName,
  struct,
  total,
  u8,
} from "@agent/schema.ts";
import { operation } from "./words.ts";

const LABELS = ["device", "operation"] as const;
/** 204 disks with all operations. */
const SERIES_MAX = 1_024;

/** A histogram of one stretch of a request's life. */
function histogram<const F extends "request" | "driver">(of: F, help: string) {
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
  key: struct("biolatency_key", { device: shortName, operation }),
  value: struct("biolatency_latencies", {
    request: codec,
    driver: codec,
    untimed: total,
    unended: total,
  }),
  metrics: {
    biolatency_request_seconds: histogram(
      "request",
      "From the start of a request to a disk until its completion",
    ),
    biolatency_driver_seconds: histogram(
      "driver",
      "From when the disk's driver got a request until its completion",
    ),
    biolatency_untimed_total: {
      type: "counter",
      help: "Requests whose start the kernel does not note, as the queue keeps no statistics",
      of: "untimed",
      labels: LABELS,
      seriesMax: SERIES_MAX,
    },
    biolatency_unended_total: {
      type: "counter",
      help: "Requests whose completion the kernel did not show, and which have no latency",
      of: "unended",
      labels: LABELS,
      seriesMax: SERIES_MAX,
    },
  },
});

export const counts = totals({
  map: "counts",
  key: struct("biolatency_count_key", {
    what: oneOf({ 1: "refused", 2: "unnoted" }),
  }),
  value: struct("biolatency_count", { times: total }),
  metrics: {
    biolatency_refused_total: {
      type: "counter",
      help: "Requests that are in no total, as the kernel's table of them was full",
      of: "times",
      when: { what: ["refused"] },
    },
    biolatency_unnoted_total: {
      type: "counter",
      help: "Requests that are in no figure, as the kernel's table of those under way was full",
      of: "times",
      when: { what: ["unnoted"] },
    },
  },
});

export const all = totals({
  map: "all",
  key: struct("biolatency_all_key", { zero: u8 }),
  value: struct("biolatency_all", { under_way: total }),
  metrics: {
    biolatency_under_way: {
      type: "gauge",
      help: "Requests in the kernel's table of those under way, which has room for 16384",
      of: "under_way",
    },
  },
});
