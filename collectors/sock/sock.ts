/**
 * Sockets in use. The kernel counts some of them for each namespace, and some for the whole node in
 * every namespace's file alike: orphans, allocated TCP sockets and memory. The latter are given for
 * the host alone.
 *
 * Memory is in pages, as their size is the machine's; and each CPU keeps a reserve of up to 1 MiB,
 * so that small amounts show late or not at all. Sockets in TIME_WAIT are of IPv4 and IPv6
 * together.
 *
 * Sources: `net/sockstat` (net/ipv4/proc.c), `net/sockstat6` (net/ipv6/proc.c). Cost: two files and
 * 6 µs of parsing for each namespace.
 *
 * @module
 */
import { defineCollector, netnsFiles } from "@agent/collector.ts";
import { figuresOf } from "./figures.ts";

const FAMILY = ["family"] as const;

/** Figures of the namespace that IPv4 and IPv6 both have. */
const TWINS = [
  ["TCP.inuse", "sock_tcp_inuse"],
  ["UDP.inuse", "sock_udp_inuse"],
  ["UDPLITE.inuse", "sock_udplite_inuse"],
  ["RAW.inuse", "sock_raw_inuse"],
  ["FRAG.inuse", "sock_frag_inuse"],
  ["FRAG.memory", "sock_frag_memory_bytes"],
] as const;
/** Figures of the whole node, the same in each namespace. */
const SHARED = [
  ["TCP.orphan", "sock_tcp_orphan"],
  ["TCP.alloc", "sock_tcp_alloc"],
  ["TCP.mem", "sock_tcp_memory_pages"],
  ["UDP.mem", "sock_udp_memory_pages"],
] as const;

const twins = new Map<string, typeof TWINS[number][1]>(TWINS);
const shared = new Map<string, typeof SHARED[number][1]>(SHARED);

export default defineCollector({
  name: "sock",
  summary: "Sockets in use by protocol, orphans, TIME_WAIT, and the memory they hold",
  byDefault: true,
  source: netnsFiles("net/sockstat", "net/sockstat6"),

  metrics: {
    sock_used: {
      type: "gauge",
      help: "Sockets of any kind that the namespace's processes have",
    },
    sock_tcp_inuse: {
      type: "gauge",
      help: "TCP sockets in the namespace that listen, connect or are connected",
      labels: FAMILY,
      seriesMax: 2,
      alias: { kubeskoop: ["sock_inuse"], inspector: ["sockinuse"] },
    },
    sock_tcp_tw: {
      type: "gauge",
      help: "TCP connections of the namespace in TIME_WAIT",
      // TIME_WAIT has no descriptor, so `tcpsummary` cannot see it; its name for this figure is
      // here.
      alias: {
        kubeskoop: ["sock_tw", "tcpsummary_tcptimewaitconn"],
        inspector: ["socktw", "tcpsummarytcptimewaitconn"],
      },
    },
    sock_tcp_orphan: {
      type: "gauge",
      help: "TCP sockets of the whole node that no process has any more",
      alias: { kubeskoop: ["sock_orphan"], inspector: ["sockorphan"] },
    },
    sock_tcp_alloc: {
      type: "gauge",
      help: "TCP sockets of the whole node that exist, in whatever state",
      alias: { kubeskoop: ["sock_alloc"], inspector: ["sockalloc"] },
    },
    sock_tcp_memory_pages: {
      type: "gauge",
      help: "Memory of the whole node's TCP sockets, in pages of the machine's size",
      alias: { kubeskoop: ["sock_mem"], inspector: ["sockmem"] },
    },
    sock_udp_inuse: {
      type: "gauge",
      help: "UDP sockets in the namespace that have a port",
      labels: FAMILY,
      seriesMax: 2,
    },
    sock_udp_memory_pages: {
      type: "gauge",
      help: "Memory of the whole node's UDP sockets, in pages of the machine's size",
    },
    sock_udplite_inuse: {
      type: "gauge",
      help: "UDP-Lite sockets in the namespace that have a port",
      labels: FAMILY,
      seriesMax: 2,
    },
    sock_raw_inuse: {
      type: "gauge",
      help: "Raw sockets in the namespace",
      labels: FAMILY,
      seriesMax: 2,
    },
    sock_frag_inuse: {
      type: "gauge",
      help: "Packets of the namespace that wait for fragments",
      labels: FAMILY,
      seriesMax: 2,
    },
    sock_frag_memory_bytes: {
      type: "gauge",
      help: "Memory of fragments that wait for others in the namespace",
      unit: "bytes",
      labels: FAMILY,
      seriesMax: 2,
    },
    sock_unlisted: {
      type: "unknown",
      help: "Figures of the host's files that this version has no name for, by protocol and name",
      labels: ["field"],
      seriesMax: 32,
    },
  },

  *parse(files, { host }) {
    const figures = [
      ...figuresOf("net/sockstat", files["net/sockstat"]),
      ...(files["net/sockstat6"] === "" ? [] : figuresOf("net/sockstat6", files["net/sockstat6"])),
    ];
    for (const { field, value, labels } of figures) {
      const twin = twins.get(field);
      const ofNode = shared.get(field);
      if (twin !== undefined) yield { metric: twin, value, labels };
      else if (field === "sockets.used") yield { metric: "sock_used", value };
      else if (field === "TCP.tw") yield { metric: "sock_tcp_tw", value };
      else if (!host) continue;
      else if (ofNode !== undefined) yield { metric: ofNode, value };
      else yield { metric: "sock_unlisted", value, labels: { field: field.replace(/\W/g, "_") } };
    }
  },
});
