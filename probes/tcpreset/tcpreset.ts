/**
 * TCP resets, sent and received: which end gave up, and why.
 *
 * | type | what it is |
 * |---|---|
 * | `TCPRESET_NOSOCK` | sent, as no socket was there for a packet: a closed port, lost NAT state |
 * | `TCPRESET_PROCESS` | sent, as a socket could not take a packet: data for a closed connection |
 * | `TCPRESET_ACTIVE` | sent, as this end gave up: closed with unread data or linger 0, timed out |
 * | `TCPRESET_RECEIVE` | received on a socket |
 *
 * The source is always the local end, and the destination the remote one, whichever sent the
 * reset. The namespace is the local end's. The state is the socket's when the reset was sent or
 * came (mostly `close` for an active one: the kernel closes first); the reason is the kernel's
 * (`enum sk_rst_reason`, Linux 6.10 and later), for resets sent.
 *
 * No hook of the kernel shows: resets that a firewall rule sends (REJECT), which are not TCP's
 * own; a reset received by a connection still in the handshake of a listening socket, by one in
 * TIME_WAIT, or by no socket (then it is a drop with NO_SOCKET). The sets on functions, before
 * 6.10, also count an attempt that fails for lack of memory, and an answer that a key of TCP-MD5
 * or an address that is not ours forbids.
 *
 * @module
 */
import { defineProbe, totals } from "@agent/probe.ts";
import { netns, oneOf, struct, total } from "@agent/schema.ts";
import event, { kind } from "./event.ts";

const RECEIVED = { tracepoint: "tcp_receive_reset", arguments: 1 } as const;

export default defineProbe({
  name: "tcpreset",
  summary: "Connections that ended in a TCP reset: whose, which end gave up, and why",
  byDefault: { metrics: true, events: true },
  hooks: [
    { object: "tcpreset", needs: [{ tracepoint: "tcp_send_reset", arguments: 3 }, RECEIVED] },
    {
      object: "tcpreset_fentry",
      needs: [
        { fentry: "tcp_v4_send_reset" },
        { fentry: "tcp_v6_send_reset" },
        { fentry: "tcp_send_active_reset" },
        RECEIVED,
      ],
    },
    {
      object: "tcpreset_kprobe",
      needs: [
        { kprobe: "tcp_v4_send_reset" },
        { kprobe: "tcp_v6_send_reset" },
        { kprobe: "tcp_send_active_reset" },
        RECEIVED,
      ],
    },
    {
      object: "tcpreset_tracepoint",
      needs: [{ tracepoint: "tcp_send_reset", arguments: 2 }, RECEIVED],
      misses:
        "Resets that belong to no socket (TCPRESET_NOSOCK): this kernel's tracepoint leaves " +
        "them out, and it allows neither fentry nor kprobes",
    },
  ],
  parameters: {
    events_per_second: {
      summary: "Most events a second of each kind; the others are counted as limited",
      default: 50,
      min: 1,
      max: 10_000,
      unit: "events/s",
    },
  },
  totals: [
    totals({
      map: "resets",
      key: struct("tcpreset_key", { netns, kind }),
      value: struct("tcpreset_resets", { resets: total }),
      metrics: {
        tcpreset_resets_total: {
          type: "counter",
          help: "TCP resets sent and received",
          of: "resets",
          labels: ["kind"],
          seriesMax: 8,
        },
      },
    }),
    totals({
      map: "counts",
      key: struct("tcpreset_count_key", { what: oneOf({ 1: "refused" }) }),
      value: struct("tcpreset_count", { times: total }),
      metrics: {
        tcpreset_refused_total: {
          type: "counter",
          help: "Resets that are in no other figure, as the kernel's table of them was full",
          of: "times",
        },
      },
    }),
  ],
  records: event,
});
