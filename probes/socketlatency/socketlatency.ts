/**
 * How long data waits in sockets, TCP and UDP.
 *
 * | operation | from | to |
 * |---|---|---|
 * | `read` | the oldest unread byte or datagram arrives in the socket | a read takes it |
 * | `write` | a process calls send() or the like | its first byte is first given to a device |
 *
 * A wait is of one call, so time in which nothing waits is never in it, however long a process sits
 * in a read. A look at data that stays (MSG_PEEK) is no read. What is sent again counts once. The
 * `write` of TCP holds the wait for the remote end's window, for congestion control, and for
 * Nagle's algorithm; of UDP, for the sender's own buffer and the neighbour's address.
 *
 * A socket has room for eight times of arrival. Where TCP's data comes in more pieces than that
 * before any is read, those closest in time are put together, the later time for both; so what was
 * not oldest may have waited a little longer than said. The queue of UDP has the exact times of its
 * newest 16 datagrams, and beyond, of each 16th. Both give a wait that is never too long.
 *
 * Untimed are: what was there before the probe; calls that send on a connection where eight wait
 * already; one of two threads that send datagrams on one socket at once; and the next call on a
 * socket that was quiet longest, when more than 16,384 of TCP or 4,096 of UDP were in use. Of a
 * call that sends more than the connection takes, the rest is not looked at. Missed are reads by
 * splice(2) and by the kernel itself (kTLS, sockmap), though not what a later read then takes.
 *
 * The process of `SOCKETLAT_SENDSLOW` is the one that last sent on that socket. Where only
 * tracepoints can be hooked, what UDP sends has no time, and a datagram read on a socket that is
 * not connected no remote end.
 *
 * @module
 */
import { defineProbe } from "@agent/probe.ts";
import event from "./event.ts";
import { calls, counts } from "./totals.ts";

export default defineProbe({
  name: "socketlatency",
  aliases: ["insp_socketlatency", "socketlatancy"],
  summary: "How long data waited in sockets: for a process to read it, or to leave the node",
  byDefault: { metrics: false, events: false },
  hooks: [
    {
      object: "socketlatency",
      needs: [
        { fentry: "sock_def_readable" },
        { fentry: "tcp_recvmsg" },
        { tracepoint: "tcp_rcv_space_adjust", arguments: 1 },
        { fentry: "tcp_sendmsg_locked" },
        { fentry: "skb_consume_udp" },
        { fentry: "udp_sendmsg" },
        { fentry: "udpv6_sendmsg" },
        { fexit: "udp_sendmsg" },
        { fexit: "udpv6_sendmsg" },
        { tracepoint: "net_dev_queue", arguments: 1 },
        { tracepoint: "kfree_skb", arguments: 1 },
        { fentry: "inet_sock_destruct" },
      ],
    },
    {
      object: "socketlatency_tracepoint",
      needs: [
        { tracepoint: "sk_data_ready", arguments: 1 },
        { tracepoint: "tcp_rcv_space_adjust", arguments: 1 },
        { tracepoint: "sock_recv_length", arguments: 3 },
        { tracepoint: "tcp_sendmsg_locked", arguments: 1 },
        { tracepoint: "sock_send_length", arguments: 2 },
        { tracepoint: "net_dev_queue", arguments: 1 },
        { function: "bpf_sk_storage_get_tracing" },
      ],
      misses: "No tracepoint tells when a process begins to send a datagram: what UDP sends is " +
        "untimed",
    },
  ],
  parameters: {
    slow_ns: {
      summary: "A wait that is longer is an event",
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
  totals: [calls, counts],
  records: event,
});
