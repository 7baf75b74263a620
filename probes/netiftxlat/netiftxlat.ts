/**
 * How long packets wait in a device's qdisc, and how long its driver takes for them.
 *
 * | stage | what it is |
 * |---|---|
 * | `qdisc` | from the device's queue, through all qdiscs below it, until the driver takes it |
 * | `driver` | from the call of the driver's `ndo_start_xmit` until it returns |
 *
 * A packet is what the driver is called with. The segments of a large TCP packet that the kernel
 * splits, after the qdisc or in it (tbf, cake), have each waited for as long as the large one and
 * themselves. One that the driver refuses (`busy`), or that is queued again as the card is full,
 * waits on: the last call of the driver counts. The namespace is the device's. A device on top of
 * another (bridge, VLAN, macvlan, tunnel) has the other's work in its driver's time; a device
 * without a queue (`noqueue`, as veth has it) has no qdisc time. What a qdisc drops has none
 * either (see `packetloss`).
 *
 * An event has both ends, as the packet has them after NAT, and the kind of the root qdisc; the
 * process is not known, as a packet is sent from the queue by whoever comes by.
 *
 * Missed is how long the card takes: the driver's part is over when it has put the packet into the
 * card's ring. No time, and counted as untimed, have packets of a device with a queue that came by
 * another way (AF_PACKET with PACKET_QDISC_BYPASS, copies that netem made), segments that are not
 * TCP or are in a tunnel, those that were queued when the probe began, and those pushed out of the
 * kernel's table, which has 16,384 places.
 *
 * @module
 */
import { defineProbe } from "@agent/probe.ts";
import event from "./event.ts";
import { counts, latencies } from "./totals.ts";

export default defineProbe({
  name: "netiftxlat",
  summary: "How long packets waited in a device's qdisc, and how long its driver took",
  byDefault: { metrics: false, events: false },
  hooks: [
    {
      object: "netiftxlat",
      needs: [
        { tracepoint: "net_dev_queue", arguments: 1 },
        { tracepoint: "net_dev_start_xmit", arguments: 2 },
        { tracepoint: "net_dev_xmit", arguments: 4 },
        { tracepoint: "kfree_skb", arguments: 1 },
        { tracepoint: "consume_skb", arguments: 1 },
      ],
    },
  ],
  parameters: {
    slow_ns: {
      summary: "A stay in the qdisc or the driver that takes longer is an event",
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
  totals: [latencies, counts],
  records: event,
});
