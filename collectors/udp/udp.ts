/**
 * Datagrams of UDP and UDP-Lite. A socket of IPv6 counts in the tables of IPv6 even when it talks
 * to an IPv4 address. The predecessor read UDP over IPv4 alone, so that is what its names show.
 *
 * Source: `Udp` and `UdpLite` of `net/snmp` (net/ipv4/proc.c), `Udp6` and `UdpLite6` of `net/snmp6`
 * (net/ipv6/proc.c). Cost: two files and 18 µs of parsing for each namespace.
 *
 * @module
 */
import { defineCollector, Mib, netnsFiles, readLines, readTables } from "@agent/collector.ts";

const PREDECESSOR = new Set(
  ("indatagrams noports inerrors outdatagrams rcvbuferrors sndbuferrors incsumerrors " +
    "ignoredmulti").split(" "),
);

const udp = new Mib({
  collector: "udp",
  tables: {
    Udp: { family: "ipv4", protocol: "udp" },
    UdpLite: { family: "ipv4", protocol: "udplite" },
    Udp6: { family: "ipv6", protocol: "udp" },
    UdpLite6: { family: "ipv6", protocol: "udplite" },
  },
  labels: ["family", "protocol"],
  predecessor: { names: PREDECESSOR, where: { family: "ipv4", protocol: "udp" } },
  metrics: {
    udp_in_datagrams_total: {
      fields: ["InDatagrams"],
      help: "Datagrams that sockets took from their receive queues",
    },
    udp_no_ports_total: {
      fields: ["NoPorts"],
      help: "Datagrams received for a port that no socket listens on",
    },
    udp_in_errors_total: {
      fields: ["InErrors"],
      help: "Datagrams dropped on receipt: a full buffer, no memory or a wrong checksum",
    },
    udp_out_datagrams_total: {
      fields: ["OutDatagrams"],
      help: "Datagrams sent",
    },
    udp_rcvbuf_errors_total: {
      fields: ["RcvbufErrors"],
      help: "Datagrams dropped because the socket's receive buffer was full",
    },
    udp_sndbuf_errors_total: {
      fields: ["SndbufErrors"],
      help: "Datagrams not sent because the socket's send buffer, or a queue below it, was full",
    },
    udp_in_csum_errors_total: {
      fields: ["InCsumErrors"],
      help: "Datagrams dropped because of a wrong checksum",
    },
    udp_ignored_multi_total: {
      fields: ["IgnoredMulti"],
      help: "Multicast datagrams that no socket wanted",
    },
    udp_mem_errors_total: {
      fields: ["MemErrors"],
      help: "Datagrams dropped because all of UDP's memory was used",
    },
  },
});

export default defineCollector({
  name: "udp",
  summary: "UDP datagrams sent and received, and those dropped for a full buffer or a closed port",
  byDefault: true,
  source: netnsFiles("net/snmp", "net/snmp6"),
  metrics: udp.metrics,
  parse: (files) => [
    ...udp.samplesOf(
      readTables("net/snmp", files["net/snmp"], { required: ["Udp"], optional: ["UdpLite"] }),
    ),
    ...udp.samplesOf(readLines("net/snmp6", files["net/snmp6"])),
  ],
});
