/** What the kernel side counts, and the metrics that it is. */
import { totals } from "@agent/probe.ts";
import {
  latencies as codec,
  LATENCY_BUCKETS,
  netns,
  oneOf,
  shortName,
  struct,
  total,
} from "@agent/schema.ts";
import { commandClass } from "./words.ts";

const LABELS = ["device", "class"] as const;
/** 16 devices of one namespace with all classes. */
const SERIES_MAX = 128;

/** A counter of what took longer than `above` seconds, and what the seeds call it. */
function slower(above: number, help: string, kubeskoop: string, inspector: string) {
  return {
    type: "counter",
    help,
    of: "command",
    above,
    labels: LABELS,
    seriesMax: SERIES_MAX,
    alias: { kubeskoop: [kubeskoop], inspector: [inspector] },
  } as const;
}

export const latencies = totals({
  map: "latencies",
  key: struct("virtcmdlatency_key", { netns, device: shortName, class: commandClass }),
  value: struct("virtcmdlatency_latencies", { command: codec }),
  metrics: {
    virtcmdlatency_command_seconds: {
      type: "histogram",
      unit: "seconds",
      buckets: LATENCY_BUCKETS,
      help: "From when a virtio network device was sent a command until it has answered",
      of: "command",
      labels: LABELS,
      seriesMax: SERIES_MAX,
    },
    virtcmdlatency_slow_total: slower(
      0.01,
      "Commands that took more than 10 ms",
      "virtcmdlatency_latency",
      "virtcmdlatency",
    ),
    virtcmdlatency_slow_100ms_total: slower(
      0.1,
      "Commands that took more than 100 ms",
      "virtcmdlatency_latency100ms",
      "virtcmdlatency100ms",
    ),
  },
});

export const counts = totals({
  map: "counts",
  key: struct("virtcmdlatency_count_key", { what: oneOf({ 1: "refused", 2: "unnoted" }) }),
  value: struct("virtcmdlatency_count", { times: total }),
  metrics: {
    virtcmdlatency_refused_total: {
      type: "counter",
      help: "Commands that are in no total, as the kernel's table of them was full",
      of: "times",
      when: { what: ["refused"] },
    },
    virtcmdlatency_unnoted_total: {
      type: "counter",
      help: "Commands that are in no figure, as the kernel's table of those under way was full",
      of: "times",
      when: { what: ["unnoted"] },
    },
  },
});
