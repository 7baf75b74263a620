/** What the kernel side counts, and the metrics that it is. */
import { totals } from "@agent/probe.ts";
import { latencies, LATENCY_BUCKETS, netns, oneOf, struct, total } from "@agent/schema.ts";
import { operation, protocol } from "./words.ts";

export const calls = totals({
  map: "calls",
  key: struct("socketlatency_key", { netns, operation, protocol }),
  value: struct("socketlatency_calls", { latency: latencies, untimed: total }),
  metrics: {
    socketlatency_wait_seconds: {
      type: "histogram",
      unit: "seconds",
      buckets: LATENCY_BUCKETS,
      help: "How long what a read takes had waited, and what a call sends waited to leave",
      of: "latency",
      labels: ["operation", "protocol"],
      seriesMax: 4,
    },
    socketlatency_above_1ms_total: {
      type: "counter",
      help: "Calls that read or send, with a wait of more than 1 ms",
      of: "latency",
      above: 0.001,
      labels: ["operation"],
      seriesMax: 2,
      alias: [
        {
          kubeskoop: ["socketlatency_read1ms"],
          inspector: ["socketlatencyread1ms"],
          where: { operation: "read" },
        },
        {
          kubeskoop: ["socketlatency_write1ms"],
          inspector: ["socketlatencywrite1ms"],
          where: { operation: "write" },
        },
      ],
    },
    socketlatency_above_100ms_total: {
      type: "counter",
      help: "Calls that read or send, with a wait of more than 100 ms",
      of: "latency",
      above: 0.1,
      labels: ["operation"],
      seriesMax: 2,
      alias: [
        {
          kubeskoop: ["socketlatency_read100ms"],
          inspector: ["socketlatencyread100ms"],
          where: { operation: "read" },
        },
        {
          kubeskoop: ["socketlatency_write100ms"],
          inspector: ["socketlatencywrite100ms"],
          where: { operation: "write" },
        },
      ],
    },
    socketlatency_untimed_total: {
      type: "counter",
      help: "Calls that read or send, whose wait is not known",
      of: "untimed",
      labels: ["operation", "protocol"],
      seriesMax: 4,
    },
  },
});

export const counts = totals({
  map: "counts",
  key: struct("socketlatency_count_key", {
    what: oneOf({ 1: "refused", 2: "sockets", 3: "untracked" }),
  }),
  value: struct("socketlatency_count", { times: total }),
  metrics: {
    socketlatency_refused_total: {
      type: "counter",
      help: "Calls that are in no other figure, as the kernel's table of them was full",
      of: "times",
      when: { what: ["refused"] },
    },
    socketlatency_sockets_total: {
      type: "counter",
      help: "Sockets that the probe began to follow; one that a full table forgot begins again",
      of: "times",
      when: { what: ["sockets"] },
    },
    socketlatency_untracked_total: {
      type: "counter",
      help: "How often a socket could not be followed, as it had no memory left for that",
      of: "times",
      when: { what: ["untracked"] },
    },
  },
});
