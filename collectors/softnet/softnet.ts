/**
 * How each CPU gets along with the packets it receives. The figures are the node's: every
 * namespace's file shows the same ones. The kernel counts in 32 bits, so a counter begins again at
 * 0 after 4,294,967,295, which Prometheus takes for a restart. The columns between time_squeeze and
 * cpu_collision are always 0 and have no metric.
 *
 * Source: `net/softnet_stat` (softnet_seq_show in net/core/net-procfs.c). Columns were added over
 * time: the CPU's number and the backlog in 5.10, the two queues of the backlog in 6.4. Cost: one
 * file for the node, and 3 µs of parsing for each CPU.
 *
 * @module
 */
import { defineCollector, linesOf, nodeFiles, nonsense, quoted } from "@agent/collector.ts";

const FILE = "net/softnet_stat";
const CPU = ["cpu"] as const;
/** CPUs that have series of their own. */
const CPUS_MAX = 1_024;
/**
 * Columns of the oldest kernel that podskoop runs on, and the one with the CPU's number, counted
 * from 0.
 */
const COLUMNS_MIN = 11;
const CPU_COLUMN = 12;

/**
 * Metrics of the columns, counted from 0; the others are the CPU's number and what has no meaning
 * any more.
 */
const COLUMN_METRICS = [
  [0, "softnet_processed_total"],
  [1, "softnet_dropped_total"],
  [2, "softnet_time_squeezed_total"],
  [8, "softnet_cpu_collision_total"],
  [9, "softnet_received_rps_total"],
  [10, "softnet_flow_limit_total"],
  [11, "softnet_backlog_packets"],
  [13, "softnet_input_queue_packets"],
  [14, "softnet_process_queue_packets"],
] as const;
const METRICS = new Map<number, typeof COLUMN_METRICS[number][1]>(COLUMN_METRICS);

export default defineCollector({
  name: "softnet",
  summary: "Packets a CPU dropped, or put off, before the protocol stack saw them",
  byDefault: true,
  source: nodeFiles(FILE),

  metrics: {
    softnet_processed_total: {
      type: "counter",
      help: "Packets that the CPU took from devices and queues, once for each time it took them",
      labels: CPU,
      seriesMax: CPUS_MAX,
      alias: { kubeskoop: ["softnet_processed"], inspector: ["softnetprocessed"] },
    },
    softnet_dropped_total: {
      type: "counter",
      help: "Packets dropped because the CPU's backlog was full",
      labels: CPU,
      seriesMax: CPUS_MAX,
      alias: { kubeskoop: ["softnet_dropped"], inspector: ["softnetdropped"] },
    },
    softnet_time_squeezed_total: {
      type: "counter",
      help: "Times the CPU ran out of budget or time with packets still waiting",
      labels: CPU,
      seriesMax: CPUS_MAX,
    },
    softnet_cpu_collision_total: {
      type: "counter",
      help: "Times two CPUs wanted to send on one device at once, always 0 on kernels of today",
      labels: CPU,
      seriesMax: CPUS_MAX,
    },
    softnet_received_rps_total: {
      type: "counter",
      help: "Times another CPU woke this one to handle packets for it (RPS)",
      labels: CPU,
      seriesMax: CPUS_MAX,
    },
    softnet_flow_limit_total: {
      type: "counter",
      help: "Packets dropped because one flow had too much of the CPU's backlog",
      labels: CPU,
      seriesMax: CPUS_MAX,
    },
    softnet_backlog_packets: {
      type: "gauge",
      help: "Packets waiting for the CPU, in both queues of its backlog",
      labels: CPU,
      seriesMax: CPUS_MAX,
    },
    softnet_input_queue_packets: {
      type: "gauge",
      help: "Packets waiting in the part of the CPU's backlog that is filled",
      labels: CPU,
      seriesMax: CPUS_MAX,
    },
    softnet_process_queue_packets: {
      type: "gauge",
      help: "Packets waiting in the part of the CPU's backlog that is emptied",
      labels: CPU,
      seriesMax: CPUS_MAX,
    },
  },

  *parse(files) {
    const seen = new Set<number>();
    let width: number | undefined;
    for (const [row, line] of linesOf(FILE, files[FILE]).entries()) {
      const words = line.split(" ");
      width ??= words.length;
      if (words.length < COLUMNS_MIN || words.length !== width) {
        throw nonsense(FILE, row + 1, `${words.length} columns, expected ${width} and at least 11`);
      }
      const columns = words.map((word) => hexadecimal(word, row + 1));
      // An offline CPU has no row, so only the column says whose row it is; before 5.10 there is
      // none.
      const number = columns[CPU_COLUMN] ?? row;
      if (seen.has(number)) throw nonsense(FILE, row + 1, `CPU ${number} is there twice`);
      seen.add(number);
      const labels = { cpu: String(number) };
      for (const [index, value] of columns.entries()) {
        const metric = METRICS.get(index);
        if (metric !== undefined) yield { metric, value, labels };
      }
    }
  },
});

function hexadecimal(word: string, line: number): number {
  if (!/^[0-9a-f]{8}$/.test(word)) {
    throw nonsense(FILE, line, `expected eight hexadecimal digits, found ${quoted(word)}`);
  }
  return Number.parseInt(word, 16);
}
