/** What the kernel side counts, and the metrics that it is. */
import { totals } from "@agent/probe.ts";
import { latencies, LATENCY_BUCKETS, netns, oneOf, struct, total } from "@agent/schema.ts";
import { protocol, rcode } from "./words.ts";

export const answers = totals({
  map: "answers",
  key: struct("dns_answer_key", { netns, rcode, protocol }),
  value: struct("dns_answers", { latency: latencies }),
  metrics: {
    dns_answer_seconds: {
      type: "histogram",
      unit: "seconds",
      buckets: LATENCY_BUCKETS,
      help: "How long DNS queries took to be answered",
      of: "latency",
      labels: ["rcode", "protocol"],
      seriesMax: 24,
    },
  },
});

export const queries = totals({
  map: "queries",
  key: struct("dns_query_key", { netns, protocol }),
  value: struct("dns_queries", { queries: total, repeats: total, timeouts: total }),
  metrics: {
    dns_queries_total: {
      type: "counter",
      help: "DNS queries sent",
      of: "queries",
      labels: ["protocol"],
      seriesMax: 2,
    },
    dns_repeats_total: {
      type: "counter",
      help: "DNS queries sent again while the first one waits for its answer",
      of: "repeats",
      labels: ["protocol"],
      seriesMax: 2,
    },
    dns_timeouts_total: {
      type: "counter",
      help: "DNS queries without an answer in time",
      of: "timeouts",
      labels: ["protocol"],
      seriesMax: 2,
    },
  },
});

export const counts = totals({
  map: "counts",
  key: struct("dns_count_key", { what: oneOf({ 1: "refused", 2: "untracked" }) }),
  value: struct("dns_count", { times: total }),
  metrics: {
    dns_refused_total: {
      type: "counter",
      help: "DNS queries and answers that are in no total, as the kernel's table of them was full",
      of: "times",
      when: { what: ["refused"] },
    },
    dns_untracked_total: {
      type: "counter",
      help: "DNS queries whose answer or timeout may be missed, as too many waited",
      of: "times",
      when: { what: ["untracked"] },
    },
  },
});
