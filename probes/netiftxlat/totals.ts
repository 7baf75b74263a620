/** What the kernel side counts, and the metrics that it is. */
import { totals } from "@agent/probe.ts";
import { latencies as codec, LATENCY_BUCKETS, netns, oneOf, struct, total } from "@agent/schema.ts";

/** A histogram of one stage. */
function histogram<const F extends "qdisc" | "driver">(of: F, help: string) {
  return { type: "histogram", unit: "seconds", buckets: LATENCY_BUCKETS, help, of } as const;
}

/** A counter of what took more than 100 ms, and what the seeds call it, a misprint included. */
function slow<const F extends "qdisc" | "driver">(of: F, help: string, ...names: string[]) {
  const alias = {
    kubeskoop: names.map((name) => `netiftxlat_${name}`),
    inspector: names.map((name) => `netiftxlat_${name}`),
  };
  return { type: "counter", help, of, above: 0.1, alias } as const;
}

export const latencies = totals({
  map: "latencies",
  key: struct("netiftxlat_key", { netns }),
  value: struct("netiftxlat_latencies", {
    qdisc: codec,
    driver: codec,
    untimed: total,
    busy: total,
  }),
  metrics: {
    netiftxlat_qdisc_seconds: histogram(
      "qdisc",
      "From a packet's queueing at a device until the driver takes it",
    ),
    netiftxlat_driver_seconds: histogram(
      "driver",
      "From the call of a device's driver with a packet until it returns",
    ),
    netiftxlat_qdisc_slow_100ms_total: slow(
      "qdisc",
      "Packets that were queued at a device for more than 100 ms",
      "qdiscslow100ms",
    ),
    netiftxlat_driver_slow_100ms_total: slow(
      "driver",
      "Packets for which a device's driver took more than 100 ms",
      ...["netdevslow100ms", "netdevlow100ms"],
    ),
    netiftxlat_untimed_total: {
      type: "counter",
      help: "Packets taken from a qdisc, of which it is not known when they were queued",
      of: "untimed",
    },
    netiftxlat_busy_total: {
      type: "counter",
      help: "Packets that a driver refused and that were queued again",
      of: "busy",
    },
  },
});

export const counts = totals({
  map: "counts",
  key: struct("netiftxlat_count_key", { what: oneOf({ 1: "refused" }) }),
  value: struct("netiftxlat_count", { times: total }),
  metrics: {
    netiftxlat_refused_total: {
      type: "counter",
      help: "Packets that are in no total, as the kernel's table of them was full",
      of: "times",
      when: { what: ["refused"] },
    },
  },
});
