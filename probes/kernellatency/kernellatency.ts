/**
 * How long packets take through the kernel's IP layer, in all and by stage: those received, those
 * sent, and those forwarded.
 *
 * | direction | from | to |
 * |---|---|---|
 * | `receive` | the driver hands it over | the socket takes it |
 * | `transmit` | TCP hands it to IP; of others, local out | the device's queue |
 * | `forward` | the driver hands it over | the other device's queue |
 *
 * | direction | stages |
 * |---|---|
 * | `receive` | `device` `prerouting` `route` `local_in` `socket` |
 * | `transmit` | `output` `local_out` `postrouting` `egress` |
 * | `forward` | `device` `prerouting` `route` `forward` `postrouting` `egress` |
 *
 * `device` is the wait for the CPU (GRO, RPS, the backlog) and what is done before IP; `socket` has
 * TCP's backlog in it, where a packet waits while a process has the socket; `egress` the wait for a
 * neighbour's address. What a queue of netfilter (NFQUEUE) holds back is in its hook's stage. Of
 * packets that are received as a batch, and of those that no rule of prerouting looks at, routing
 * may be in the stage before. A bridged packet is a forwarded one. The namespace is the socket's or
 * the device's; a packet that goes through several is measured in each. Events of forwarded packets
 * are RXKERNEL_SLOW too; `direction` tells.
 *
 * Without fentry only the ends and `device` are known: the total of what TCP gets on established
 * connections, of what UDP gets, of what is forwarded, and of what TCP sends.
 *
 * Missed is what has no end here: packets for TIME_WAIT and for requests of a connection, those
 * that IP splits or puts together, protocols other than TCP, UDP and ICMP, copies of multicast
 * packets but the last. A packet that is dropped has no time (see `packetloss`). The kernel's table
 * has 16,384 places: where four whose addresses go together are under way, or had no end, the next
 * one takes the place of the first (`displaced`). One that had no end for five minutes
 * (`timeout_ns`) is given up (`given_up`). The time in the device's queue and driver is
 * `netiftxlat`'s.
 *
 * @module
 */
import { defineProbe } from "@agent/probe.ts";
import event from "./event.ts";
import { FUNCTIONS, TRACEPOINTS } from "./hooks.ts";
import { counts, latencies } from "./totals.ts";

export default defineProbe({
  name: "kernellatency",
  summary: "How long packets took through the kernel, received, sent and forwarded, by stage",
  byDefault: { metrics: false, events: false },
  hooks: [
    {
      object: "kernellatency",
      needs: [...TRACEPOINTS, ...FUNCTIONS.map((name) => ({ fentry: name }))],
    },
    {
      object: "kernellatency_tracepoint",
      needs: [
        ...TRACEPOINTS,
        { tracepoint: "netif_receive_skb", arguments: 1 },
        { tracepoint: "tcp_probe", arguments: 2 },
        { tracepoint: "sk_data_ready", arguments: 1 },
      ],
      misses: "The stages within IP, what others than TCP send, and handshakes: this kernel " +
        "allows no fentry, and its tracepoints show only where packets come from and get to",
    },
  ],
  parameters: {
    slow_ns: {
      summary: "A packet that takes longer is an event",
      default: 10_000_000,
      min: 1_000,
      max: 1_000_000_000_000,
      unit: "ns",
    },
    timeout_ns: {
      summary: "A packet that had no end for so long is given up",
      default: 300_000_000_000,
      min: 1_000_000_000,
      max: 1_000_000_000_000,
      unit: "ns",
    },
    events_per_second: {
      summary: "Most events a second of each direction; the others are counted as limited",
      default: 50,
      min: 1,
      max: 10_000,
      unit: "events/s",
    },
  },
  places: { moving: { struct: "place", owner: "skb" } },
  totals: [latencies, counts],
  records: event,
});
