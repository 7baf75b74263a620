/**
 * How long connections take to be made, at the end that connects and at the end that accepts; those
 * that are not made, and why; and the round-trip time they had.
 *
 * | role | what the handshake's time is |
 * |---|---|
 * | `connect` | from connect() until the SYN-ACK, however many SYNs it takes |
 * | `accept` | from the first SYN-ACK until an answer, however many SYN-ACKs it takes |
 *
 * | reason | of a connection that was not made |
 * |---|---|
 * | `refused` | a reset, or an ICMP error that says the same |
 * | `timeout` | no answer to any SYN |
 * | `unreachable` | an ICMP error; or no answer, and an ICMP error before |
 * | `no_port` | no local port was free, or not the one that was asked for (`EADDRNOTAVAIL`) |
 * | `abandoned` | the process closed the socket first |
 *
 * `error` is the socket's error number, `none` where the socket has none. Attempts less those made
 * and those not made are under way. The process is the one that called connect().
 *
 * Missed is what never gets as far as a SYN: no route to the remote end, a rule on connect().
 * Missed too is what a listening socket does not accept (`ListenDrops` of `tcpext`). No time, and
 * counted as untimed, have connections that were under way when the probe began or were pushed out
 * (16,384 being made fit, and 4,096 whose SYN-ACK was sent again), and most accepted by SYN cookie.
 *
 * @module
 */
import { defineProbe } from "@agent/probe.ts";
import event from "./event.ts";
import { counts, failures, handshakes, sockets } from "./totals.ts";

export default defineProbe({
  name: "tcpconnect",
  summary: "How long TCP connections took to be made, at either end, and which were not, and why",
  byDefault: { metrics: true, events: true },
  hooks: [
    {
      object: "tcpconnect",
      needs: [
        { tracepoint: "inet_sock_set_state", arguments: 3 },
        { tracepoint: "tcp_retransmit_synack", arguments: 2 },
      ],
    },
  ],
  parameters: {
    slow_ns: {
      summary: "A handshake that takes longer is an event",
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
  totals: [handshakes, sockets, failures, counts],
  records: event,
});
