/**
 * Connections and segments of TCP, of IPv4 and IPv6 together: the kernel counts both in one table.
 *
 * Source: `Tcp` of `net/snmp` (net/ipv4/proc.c, RFC 1213). Cost: one file and 3 µs of parsing for
 * each namespace.
 *
 * @module
 */
import { defineCollector, Mib, netnsFiles, readTables } from "@agent/collector.ts";

const PREDECESSOR = new Set(
  ("activeopens passiveopens retranssegs attemptfails estabresets currestab insegs outsegs " +
    "inerrs outrsts").split(" "),
);

const tcp = new Mib({
  collector: "tcp",
  tables: { Tcp: {} },
  labels: [],
  predecessor: { names: PREDECESSOR },
  metrics: {
    tcp_rto_algorithm: {
      fields: ["RtoAlgorithm"],
      help:
        "How the retransmission timeout is found: 1 other, 2 constant, 3 MIL-STD-1778, 4 Jacobson",
    },
    tcp_rto_min_seconds: {
      fields: ["RtoMin"],
      help: "Least retransmission timeout that the kernel states, not the one of a route or socket",
      divisor: 1_000,
    },
    tcp_rto_max_seconds: {
      fields: ["RtoMax"],
      help: "Greatest retransmission timeout that the kernel states",
      divisor: 1_000,
    },
    tcp_max_conn: {
      fields: ["MaxConn"],
      help: "Most connections there can be, -1 where there is no fixed limit",
    },
    tcp_active_opens_total: {
      fields: ["ActiveOpens"],
      help: "Connections opened from here: a SYN was sent",
    },
    tcp_passive_opens_total: {
      fields: ["PassiveOpens"],
      help: "Connections opened from elsewhere and established here",
    },
    tcp_attempt_fails_total: {
      fields: ["AttemptFails"],
      help: "Connections that failed before they were established",
    },
    tcp_estab_resets_total: {
      fields: ["EstabResets"],
      help: "Connections that a reset ended in ESTABLISHED or CLOSE_WAIT",
    },
    tcp_curr_estab: {
      fields: ["CurrEstab"],
      help: "Connections in ESTABLISHED or CLOSE_WAIT now",
    },
    tcp_in_segs_total: {
      fields: ["InSegs"],
      help: "Segments received, broken ones included; what GRO merged counts once",
    },
    tcp_out_segs_total: {
      fields: ["OutSegs"],
      help: "Segments sent, without retransmissions",
    },
    tcp_retrans_segs_total: {
      fields: ["RetransSegs"],
      help: "Segments sent again",
    },
    tcp_in_errs_total: {
      fields: ["InErrs"],
      help: "Segments dropped as they were broken, such as by a wrong checksum",
    },
    tcp_out_rsts_total: {
      fields: ["OutRsts"],
      help: "Resets that the kernel set out to send",
    },
    tcp_in_csum_errors_total: {
      fields: ["InCsumErrors"],
      help: "Segments dropped because of a wrong checksum",
    },
  },
});

export default defineCollector({
  name: "tcp",
  summary: "TCP connections opened, failed and reset, and segments sent, received and sent again",
  byDefault: true,
  source: netnsFiles("net/snmp"),
  metrics: tcp.metrics,
  parse: (files) => tcp.samplesOf(readTables("net/snmp", files["net/snmp"], { required: ["Tcp"] })),
});
