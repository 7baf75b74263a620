/**
 * What IP virtual servers (IPVS, as kube-proxy may use them) pass on, over all services of a
 * namespace, and which real servers are behind each, with their connections. Absent where the
 * module `ip_vs` is not loaded. The predecessor showed bytes for incoming packets; here each figure
 * is its own.
 *
 * Source: `net/ip_vs_stats` (ip_vs_stats_show in net/netfilter/ipvs/ip_vs_ctl.c), whose figures are
 * hexadecimal; the rates below them have no metric. `net/ip_vs` lists servers without packets and
 * bytes; beyond 1,024 label sets, servers are summed as `other`. Cost: two files and 5 µs for each
 * namespace, and 2 µs a real server.
 *
 * @module
 */
import { defineCollector, linesOf, netnsFiles, nonsense, quoted } from "@agent/collector.ts";
import { SERVICE_METRICS, serviceSamples } from "./services.ts";

const FILE = "net/ip_vs_stats";
/** What the text begins with; the figures follow. */
const HEADINGS = [
  "   Total Incoming Outgoing         Incoming         Outgoing",
  "   Conns  Packets  Packets            Bytes            Bytes",
] as const;
/** In the order of the columns. */
const METRICS = [
  "ipvs_connections_total",
  "ipvs_incoming_packets_total",
  "ipvs_outgoing_packets_total",
  "ipvs_incoming_bytes_total",
  "ipvs_outgoing_bytes_total",
] as const;

export default defineCollector({
  name: "ipvs",
  summary: "Connections, packets and bytes that IP virtual servers pass on",
  byDefault: true,
  source: netnsFiles(FILE, "net/ip_vs"),

  metrics: {
    ipvs_connections_total: {
      type: "counter",
      help: "Connections to virtual servers",
      alias: { kubeskoop: ["ipvs_connections"], inspector: ["ipvsconnections"] },
    },
    ipvs_incoming_packets_total: {
      type: "counter",
      help: "Packets from clients to virtual servers",
      alias: {
        kubeskoop: ["ipvs_incomingpackets"],
        inspector: ["ipvsincomingpackets", "incomingpackages"],
      },
    },
    ipvs_outgoing_packets_total: {
      type: "counter",
      help: "Packets from virtual servers to clients that came back this way",
      alias: {
        kubeskoop: ["ipvs_outgoingpackets"],
        inspector: ["ipvsoutgoingpackets", "outgoingpackages"],
      },
    },
    ipvs_incoming_bytes_total: {
      type: "counter",
      help: "Bytes from clients to virtual servers",
      unit: "bytes",
      alias: {
        kubeskoop: ["ipvs_incomingbytes"],
        inspector: ["ipvsincomingbytes", "incomingbytes"],
      },
    },
    ipvs_outgoing_bytes_total: {
      type: "counter",
      help: "Bytes from virtual servers to clients that came back this way",
      unit: "bytes",
      alias: {
        kubeskoop: ["ipvs_outgoingbytes"],
        inspector: ["ipvsoutgoingbytes", "outgoingbytes"],
      },
    },
    ...SERVICE_METRICS,
  },

  *parse(files) {
    const lines = linesOf(FILE, files[FILE]);
    for (const [index, heading] of HEADINGS.entries()) {
      if (lines[index] === heading) continue;
      throw nonsense(FILE, index + 1, `expected the heading, found ${quoted(lines[index])}`);
    }
    const row = HEADINGS.length;
    const words = (lines[row] ?? "").split(" ").filter((word) => word !== "");
    if (words.length !== METRICS.length) {
      throw nonsense(FILE, row + 1, `${words.length} figures for ${METRICS.length} columns`);
    }
    for (const [index, metric] of METRICS.entries()) {
      yield { metric, value: hexadecimal(words[index] ?? "", row + 1) };
    }
    yield* serviceSamples(files["net/ip_vs"]);
  },
});

function hexadecimal(word: string, line: number): number {
  if (!/^[0-9A-F]{1,16}$/.test(word)) {
    throw nonsense(FILE, line, `expected hexadecimal digits, found ${quoted(word)}`);
  }
  return Number.parseInt(word, 16);
}
