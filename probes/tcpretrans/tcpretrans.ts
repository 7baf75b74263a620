/**
 * What TCP sends again, by the reason it has for that.
 *
 * | kind | what it is | of `tcpext` |
 * |---|---|---|
 * | `fast` | acknowledgements show a gap (SACK, RACK, duplicates) | `fast_retrans` |
 * | `timeout` | none came in time; and all that is then taken for lost | |
 * | `tail_loss_probe` | the last packet again, before the timeout (RFC 8985 §7) | |
 * | `syn` | a connection that nobody answers | with `synack`, `syn_retrans` |
 * | `synack` | one whose last part of the handshake is missing | likewise |
 *
 * The kinds are told apart as `net/ipv4/tcp_output.c` does it: by the connection's state, the state
 * of its congestion control, and the timer that is pending. After the path's MTU has shrunk, TCP
 * counts what was too large as `timeout` too. All kinds together are `RetransSegs` of `tcp`, less
 * what the node could not send: a firewall's rule for outgoing packets, a full queue. That is no
 * retransmit here; Linux 6.17 and later show it, and there it is `tcpretrans_failed_total`.
 *
 * A packet is a buffer of the kernel's, cut into several segments where it is large. The source is
 * the end that sends again. The event `TCPRETRANS` is `TCPRetrans` in the predecessor's code.
 *
 * @module
 */
import { defineProbe, totals } from "@agent/probe.ts";
import { netns, oneOf, struct, total } from "@agent/schema.ts";
import event, { kind } from "./event.ts";

export default defineProbe({
  name: "tcpretrans",
  summary: "What TCP had to send again: whose, to whom, and how TCP found out",
  byDefault: { metrics: true, events: true },
  hooks: [
    {
      object: "tcpretrans",
      needs: [
        { tracepoint: "tcp_retransmit_skb", arguments: 2 },
        { tracepoint: "tcp_retransmit_synack", arguments: 2 },
      ],
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
      map: "sent",
      key: struct("tcpretrans_key", { netns, kind }),
      value: struct("tcpretrans_sent", { packets: total, segments: total, failed: total }),
      metrics: {
        tcpretrans_packets_total: {
          type: "counter",
          help: "Packets that TCP sent again",
          of: "packets",
          labels: ["kind"],
          seriesMax: 8,
          alias: { kubeskoop: ["tcpretrans_total"] },
        },
        tcpretrans_segments_total: {
          type: "counter",
          help: "Segments in packets that TCP sent again",
          of: "segments",
          labels: ["kind"],
          seriesMax: 8,
        },
        tcpretrans_failed_total: {
          type: "counter",
          help: "Packets that TCP tried to send again, and that did not leave the node",
          of: "failed",
          labels: ["kind"],
          seriesMax: 8,
        },
      },
    }),
    totals({
      map: "counts",
      key: struct("tcpretrans_count_key", { what: oneOf({ 1: "refused" }) }),
      value: struct("tcpretrans_count", { times: total }),
      metrics: {
        tcpretrans_refused_total: {
          type: "counter",
          help: "Retransmits that are in no other figure, as the kernel's table of them was full",
          of: "times",
        },
      },
    }),
  ],
  records: event,
});
