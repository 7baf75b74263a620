/**
 * TCP connections by state, their queues, and how full the queues of listening sockets are; by
 * namespace.
 *
 * Counted by walking the kernel's tables of file descriptors (the BPF iterator `task`, and
 * `task_file` before Linux 5.17): every TCP socket that a process has, IPv4 and IPv6, once however
 * many descriptors and processes share it, in the socket's own namespace. Figures are as `ss`
 * prints them: the receive queue is what nobody has read yet, the send queue what has not been
 * acknowledged, and either counts a FIN (and a SYN) as a byte.
 *
 * What it misses has no descriptor: TIME_WAIT (see `sock`), orphans, which are closed and still
 * draining (`sock` too), and established connections that wait in a listening socket's queue,
 * which are in `tcpsummary_accept_backlog`. The state `syn_recv` is what listening sockets know
 * of, connections whose handshake is not over; SYN cookies leave no trace there. The state `close`
 * is sockets that never were connected, or whose connection is gone. Sockets that only a message
 * in flight (SCM_RIGHTS) or io_uring holds are missed, and so are subflows of MPTCP.
 *
 * @module
 */
import { defineProbe, totals } from "@agent/probe.ts";
import { netns, oneOf, struct, total } from "@agent/schema.ts";
import { TCP_STATES } from "@agent/tcp.ts";

/** The states of a connection that a process can have; TIME_WAIT is nobody's. */
const CONNECTED = [
  "established",
  "syn_sent",
  "syn_recv",
  "fin_wait1",
  "fin_wait2",
  "close",
  "close_wait",
  "last_ack",
  "closing",
] as const;

const LISTENING = ["listen"] as const;

const sockets = totals({
  map: "by_netns",
  key: struct("tcpsummary_key", { netns, state: oneOf(TCP_STATES) }),
  value: struct("tcpsummary_sockets", {
    connections: total,
    receive_queue: total,
    send_queue: total,
    backlog: total,
    backlog_limit: total,
  }),
  iterator: "scan",
  metrics: {
    tcpsummary_connections: {
      type: "gauge",
      help: "TCP connections that processes have",
      of: "connections",
      labels: ["state"],
      when: { state: CONNECTED },
      seriesMax: 16,
      alias: [
        {
          kubeskoop: ["tcpsummary_tcpestablishedconn"],
          inspector: ["tcpsummarytcpestablishedconn"],
          where: { state: "established" },
        },
        { kubeskoop: ["tcpsummary_tcpclosewaitconn"], where: { state: "close_wait" } },
        { kubeskoop: ["tcpsummary_tcpsynsentconn"], where: { state: "syn_sent" } },
        { kubeskoop: ["tcpsummary_tcpsynrecvconn"], where: { state: "syn_recv" } },
      ],
    },
    tcpsummary_receive_queue_bytes: {
      type: "gauge",
      unit: "bytes",
      help: "Bytes that TCP has received and no process has read",
      of: "receive_queue",
      alias: { kubeskoop: ["tcpsummary_tcprxqueue"], inspector: ["tcpsummarytcprxqueue"] },
    },
    tcpsummary_send_queue_bytes: {
      type: "gauge",
      unit: "bytes",
      help: "Bytes that processes have sent and the other end has not acknowledged",
      of: "send_queue",
      alias: { kubeskoop: ["tcpsummary_tcptxqueue"], inspector: ["tcpsummarytcptxqueue"] },
    },
    tcpsummary_listeners: {
      type: "gauge",
      help: "TCP sockets that listen",
      of: "connections",
      when: { state: LISTENING },
    },
    tcpsummary_accept_backlog: {
      type: "gauge",
      help: "Established connections that wait to be accepted, of all listening sockets",
      of: "backlog",
    },
    tcpsummary_accept_backlog_limit: {
      type: "gauge",
      help: "Connections that may wait to be accepted, of all listening sockets",
      of: "backlog_limit",
    },
  },
});

export default defineProbe({
  name: "tcpsummary",
  summary: "TCP connections by state, their queues, and connections waiting to be accepted",
  byDefault: { metrics: true, events: false },
  hooks: [
    { object: "tcpsummary", needs: [{ iterator: "task" }, { function: "bpf_loop" }] },
    { object: "tcpsummary_file", needs: [{ iterator: "task_file" }] },
  ],
  totals: [
    sockets,
    totals({
      map: "counts",
      key: struct("tcpsummary_count_key", { what: oneOf({ 1: "refused" }) }),
      value: struct("tcpsummary_count", { times: total }),
      metrics: {
        tcpsummary_refused_total: {
          type: "counter",
          help: "Sockets that are in no other figure, as the table of namespaces was full, " +
            "and processes with more than 8 million descriptors",
          of: "times",
        },
      },
    }),
  ],
});
