/**
 * How long requests to disks take, by disk and operation. A request's time goes from its start,
 * which the kernel notes itself, to its completion: the same requests and times as in
 * `/proc/diskstats`. The driver's part of it goes from when the driver got the request, for the
 * last time if it has sent it back; what is left is the time in the kernel's queues.
 *
 * Metrics are the node's, and know no pods. An event says which process made the request, and whose
 * it was: by the process's network namespace; on the host's network by the cgroup that the request
 * is charged to (version 2), which tells whose data a thread of the kernel writes back, else by the
 * process's cgroup (version 2, or version 1 while the process is there). What the page cache takes
 * is no request: with version 1, or where the controller `io` is off, the kernel's threads write it
 * back later as their own.
 *
 * Operations are `read`, `write`, `flush`, `discard` and `other`. A write that is to be flushed as
 * well is timed until its data are written, and the flush by itself. Disks are those that have
 * requests: device mapper, md and other devices that only pass on what they get have none, the
 * disks below them do. Commands to the driver itself (SCSI's inquiries, NVMe's administration)
 * count nowhere.
 *
 * Missed are requests that are under way when the probe is started. A queue without statistics
 * (`queue/iostats` is 0) lets the kernel note no start: such requests are in the driver's times
 * alone, and counted as untimed. On a machine with far more work than CPUs the kernel was seen to
 * show no completion of one request in a thousand or so: these are counted as unended, under the
 * operation of the request that came next in their place. The types of events are the documents';
 * the predecessor itself said `BIOLAT_10MS`.
 *
 * @module
 */
import { defineProbe } from "@agent/probe.ts";
import event from "./event.ts";
import { all, counts, latencies } from "./totals.ts";

const OTHERS = ["block_rq_issue", "block_rq_requeue", "block_rq_merge"] as const;

/** What is needed of a kernel whose tracepoints have the request as their argument `request`. */
function needs(first: string, request: number) {
  return [
    ...[first, ...OTHERS].map((tracepoint) => ({ tracepoint, arguments: request })),
    { tracepoint: "block_rq_complete", arguments: 3 },
  ];
}

export default defineProbe({
  name: "biolatency",
  aliases: ["biolatancy"],
  summary: "How long requests to disks take, and whose the slow ones were",
  byDefault: { metrics: false, events: false },
  hooks: [
    { object: "biolatency", needs: needs("block_io_start", 1) },
    { object: "biolatency_queue", needs: needs("block_rq_insert", 2) },
    { object: "biolatency_insert", needs: needs("block_rq_insert", 1) },
  ],
  parameters: {
    slow_ns: {
      summary: "A request that takes longer is an event",
      default: 10_000_000,
      min: 1_000,
      max: 1_000_000_000_000,
      unit: "ns",
    },
    long_ns: {
      summary: "A request that takes longer is an event of the type that ends in 100MS",
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
  totals: [latencies, all, counts],
  records: event,
});
