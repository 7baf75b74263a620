/**
 * What IP virtual servers (IPVS, as kube-proxy may use them) pass on, over all services of a
 * namespace, for each service, and for each real server behind it. Absent where the module `ip_vs`
 * is not loaded. The predecessor showed bytes for incoming packets; here each figure is its own.
 *
 * Source: `net/ip_vs_stats` (ip_vs_stats_show in net/netfilter/ipvs/ip_vs_ctl.c), whose figures are
 * hexadecimal; the rates below them have no metric. `net/ip_vs` lists servers without packets and
 * bytes; where it lists any, IPVS_CMD_GET_SERVICE and IPVS_CMD_GET_DEST of generic netlink tell
 * those, as `ipvsadm -Ln --stats` shows them. The kernel adds up what its processors count each two
 * seconds, so figures may be as old. Beyond 1,024 label sets, servers are summed as `other`; what
 * has one firewall mark in IPv4 and in IPv6 is one series. Cost: two files and 5 µs for each
 * namespace, and 10 µs a virtual or real server besides the kernel's own time.
 *
 * @module
 */
import { defineCollector, linesOf, netnsFiles, nonsense, quoted } from "@agent/collector.ts";
import { serversIn, SERVICE_METRICS, serviceSamples } from "./services.ts";
import { TRAFFIC, TRAFFIC_METRICS, trafficSamples } from "./traffic.ts";

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
  source: netnsFiles(FILE, "net/ip_vs", TRAFFIC),

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
    ...TRAFFIC_METRICS,
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
    const listed = files["net/ip_vs"];
    yield* serviceSamples(listed);
    yield* trafficSamples(files[TRAFFIC], serversIn(listed));
  },
});

function hexadecimal(word: string, line: number): number {
  if (!/^[0-9A-F]{1,16}$/.test(word)) {
    throw nonsense(FILE, line, `expected hexadecimal digits, found ${quoted(word)}`);
  }
  return Number.parseInt(word, 16);
}
