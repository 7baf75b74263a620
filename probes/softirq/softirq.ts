/**
 * How long softirqs wait for their CPU, and how long they run, by vector and CPU. A wait goes from
 * the first raise to the entry, a run from the entry to the exit. Packets are received in `net_rx`;
 * the other vectors are looked at if asked for: bit N of the parameter `vectors` is the vector in
 * line N, counted from 0, of `hi timer net_tx net_rx block irq_poll tasklet sched hrtimer rcu`.
 *
 * An event says who had the CPU: the process that the softirq interrupted, or, if it was left to
 * ksoftirqd, the one that ran when it was raised. `behind` is the vector that ran longest on that
 * CPU while the softirq waited, `behind_ms` for how long. Events and metrics are the node's.
 *
 * The types of events are the predecessor's first ones; it later said `SOFTIRQ_SCHED_SLOW`,
 * `SOFTIRQ_SCHED_100MS`, `SOFTIRQ_EXCUTE_SLOW` and `SOFTIRQ_EXCUTE_100MS`. One latency is one
 * event.
 *
 * Missed is the wait of a softirq that is raised again after the kernel has begun on the vectors
 * that are due and before it has come to this one: that run is counted as untimed. A wait of one
 * that another CPU asked for begins when this CPU raises it.
 *
 * @module
 */
import { defineProbe } from "@agent/probe.ts";
import event from "./event.ts";
import { counts, latencies } from "./totals.ts";

/** net_tx and net_rx */
const NETWORK = (1 << 2) | (1 << 3);

export default defineProbe({
  name: "softirq",
  aliases: ["net_softirq", "netsoftirq", "insp_netsoftirq"],
  summary: "How long softirqs waited for their CPU and how long they ran, and who had the CPU",
  byDefault: { metrics: false, events: false },
  hooks: [
    {
      object: "softirq",
      needs: [
        { tracepoint: "softirq_raise", arguments: 1 },
        { tracepoint: "softirq_entry", arguments: 1 },
        { tracepoint: "softirq_exit", arguments: 1 },
      ],
    },
  ],
  parameters: {
    vectors: {
      summary: "Which vectors are looked at, one bit for each: 12 is net_tx and net_rx",
      default: NETWORK,
      min: 1,
      max: 1_023,
    },
    slow_ns: {
      summary: "A wait or run that takes longer is an event",
      default: 10_000_000,
      min: 1_000,
      max: 1_000_000_000_000,
      unit: "ns",
    },
    long_ns: {
      summary: "A wait or run that takes longer is an event of the type that ends in 100MS",
      default: 100_000_000,
      min: 1_000,
      max: 1_000_000_000_000,
      unit: "ns",
    },
    events_per_second: {
      summary: "Most events a second of each type; the others are counted as limited",
      default: 50,
      min: 1,
      max: 10_000,
      unit: "events/s",
    },
  },
  totals: [latencies, counts],
  records: event,
});
