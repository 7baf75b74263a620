/** What the kernel side counts, and the metrics that it is. */
import { totals } from "@agent/probe.ts";
import { latencies, LATENCY_BUCKETS, netns, oneOf, struct, total } from "@agent/schema.ts";
import { error, reason, role } from "./words.ts";

export const handshakes = totals({
  map: "handshakes",
  key: struct("tcpconnect_key", { netns, role }),
  value: struct("tcpconnect_handshakes", { latency: latencies, connections: total }),
  metrics: {
    tcpconnect_handshake_seconds: {
      type: "histogram",
      unit: "seconds",
      buckets: LATENCY_BUCKETS,
      help: "How long the handshakes of connections took that were made",
      of: "latency",
      labels: ["role"],
      seriesMax: 2,
    },
    tcpconnect_slow_total: {
      type: "counter",
      help: "Connections whose handshake took more than 100 ms",
      of: "latency",
      above: 0.1,
      labels: ["role"],
      seriesMax: 2,
    },
    tcpconnect_connections_total: {
      type: "counter",
      help: "Connections made, those without a known handshake time included",
      of: "connections",
      labels: ["role"],
      seriesMax: 2,
    },
  },
});

export const sockets = totals({
  map: "sockets",
  key: struct("tcpconnect_netns_key", { netns }),
  value: struct("tcpconnect_sockets", { srtt: latencies, attempts: total }),
  metrics: {
    tcpconnect_srtt_seconds: {
      type: "histogram",
      unit: "seconds",
      buckets: LATENCY_BUCKETS,
      help: "Smoothed round-trip time of each connection when it began to close",
      of: "srtt",
    },
    tcpconnect_attempts_total: {
      type: "counter",
      help: "Connections begun by this end",
      of: "attempts",
    },
  },
});

export const failures = totals({
  map: "failures",
  key: struct("tcpconnect_failure_key", { netns, reason, error }),
  value: struct("tcpconnect_failures", { failures: total }),
  metrics: {
    tcpconnect_failures_total: {
      type: "counter",
      help: "Connections begun by this end that were not made",
      of: "failures",
      labels: ["reason", "error"],
      seriesMax: 128,
    },
  },
});

export const counts = totals({
  map: "counts",
  key: struct("tcpconnect_count_key", { what: oneOf({ 1: "refused", 2: "untimed" }) }),
  value: struct("tcpconnect_count", { times: total }),
  metrics: {
    tcpconnect_refused_total: {
      type: "counter",
      help: "Figures that are in no total, as the kernel's table of them was full",
      of: "times",
      when: { what: ["refused"] },
    },
    tcpconnect_untimed_total: {
      type: "counter",
      help: "Connections, made or not, whose handshake has no time",
      of: "times",
      when: { what: ["untimed"] },
    },
  },
});
