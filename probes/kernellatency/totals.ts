/** What the kernel side counts, and the metrics that it is. */
import { totals } from "@agent/probe.ts";
import { latencies as codec, LATENCY_BUCKETS, netns, oneOf, struct, total } from "@agent/schema.ts";
import { direction, stage, STAGES } from "./words.ts";

const HISTOGRAM = {
  type: "histogram",
  unit: "seconds",
  buckets: LATENCY_BUCKETS,
  of: "latency",
} as const;

/** A counter of packets that took longer than `above` seconds, and what the seeds call it. */
function slower<const D extends "receive" | "transmit" | "forward">(
  of: D,
  above: number,
  help: string,
  name?: string,
) {
  const alias = name === undefined ? {} : {
    alias: { kubeskoop: [`kernellatency_${name}`], inspector: [`kernellatency_${name}`] },
  };
  const when = { direction: [of], stage: ["total"] };
  return { type: "counter", help, of: "latency", above, when, ...alias } as const;
}

export const latencies = totals({
  map: "latencies",
  key: struct("kernellatency_key", { netns, direction, stage }),
  value: struct("kernellatency_latencies", { latency: codec }),
  metrics: {
    kernellatency_seconds: {
      ...HISTOGRAM,
      help: "Time of packets in the kernel, between a device and a socket or another device",
      labels: ["direction"],
      when: { stage: ["total"] },
      seriesMax: 3,
    },
    kernellatency_stage_seconds: {
      ...HISTOGRAM,
      help: "Time of packets in one stage of their way through the kernel",
      labels: ["direction", "stage"],
      when: { stage: STAGES },
      seriesMax: 30,
    },
    kernellatency_rx_slow_total: slower(
      "receive",
      0.01,
      "Packets received that took more than 10 ms from the device to the socket",
      "rxslow",
    ),
    kernellatency_rx_slow_100ms_total: slower(
      "receive",
      0.1,
      "Packets received that took more than 100 ms from the device to the socket",
      "rxslow100ms",
    ),
    kernellatency_tx_slow_total: slower(
      "transmit",
      0.01,
      "Packets sent that took more than 10 ms to the device's queue",
      "txslow",
    ),
    kernellatency_tx_slow_100ms_total: slower(
      "transmit",
      0.1,
      "Packets sent that took more than 100 ms to the device's queue",
      "txslow100ms",
    ),
    kernellatency_forward_slow_total: slower(
      "forward",
      0.01,
      "Packets forwarded that took more than 10 ms from one device to the other's queue",
    ),
    kernellatency_forward_slow_100ms_total: slower(
      "forward",
      0.1,
      "Packets forwarded that took more than 100 ms from one device to the other's queue",
    ),
  },
});

export const counts = totals({
  map: "counts",
  key: struct("kernellatency_count_key", {
    what: oneOf({ 1: "refused", 2: "displaced", 3: "given_up" }),
  }),
  value: struct("kernellatency_count", { times: total }),
  metrics: {
    kernellatency_refused_total: {
      type: "counter",
      help: "Figures that are in no total, as the kernel's table of them was full",
      of: "times",
      when: { what: ["refused"] },
    },
    kernellatency_displaced_total: {
      type: "counter",
      help: "Packets whose place in the kernel's table another took before they had an end",
      of: "times",
      when: { what: ["displaced"] },
    },
    kernellatency_given_up_total: {
      type: "counter",
      help: "Packets that were given up, as they had no end for as long as timeout_ns",
      of: "times",
      when: { what: ["given_up"] },
    },
  },
});
