/** What the kernel side counts, and the metrics that it is. */
import { totals } from "@agent/probe.ts";
import { address, bootTime, cgroupId, netns, oneOf, struct, total, u32 } from "@agent/schema.ts";

const direction = oneOf({ 1: "sent", 2: "received" });

/** By their numbers in IP; those not told apart are one. */
const protocol = oneOf({
  1: "icmp",
  6: "tcp",
  17: "udp",
  58: "icmpv6",
  132: "sctp",
  255: "other",
});

const LABELS = [
  "direction",
  "protocol",
  "remote_kind",
  "remote_namespace",
  "remote_name",
  "port",
] as const;

export const flows = totals({
  map: "flows",
  key: struct("flow_key", {
    netns,
    cgroup: cgroupId,
    remote: address,
    port: u32,
    direction,
    protocol,
  }),
  value: struct("flow_traffic", { packets: total, bytes: total, seen: bootTime }),
  remote: "remote",
  expires: { seen: "seen", after: "idle_seconds" },
  metrics: {
    flow_packets_total: {
      type: "counter",
      help: "Packets that sockets exchanged with a far end, as segments on the wire",
      of: "packets",
      labels: LABELS,
      seriesMax: 512,
      alias: { kubeskoop: ["flow_packets"] },
    },
    flow_bytes_total: {
      type: "counter",
      unit: "bytes",
      help: "Bytes that sockets exchanged with a far end, IP headers included",
      of: "bytes",
      labels: LABELS,
      seriesMax: 512,
      alias: { kubeskoop: ["flow_bytes"] },
    },
  },
});

export const others = totals({
  map: "others",
  key: struct("flow_other_key", { netns, cgroup: cgroupId, direction }),
  value: struct("flow_other", { packets: total, bytes: total }),
  metrics: {
    flow_other_packets_total: {
      type: "counter",
      help: "Packets for whose far end the kernel's table had no room",
      of: "packets",
      labels: ["direction"],
      seriesMax: 2,
    },
    flow_other_bytes_total: {
      type: "counter",
      unit: "bytes",
      help: "Bytes in packets for whose far end the kernel's table had no room",
      of: "bytes",
      labels: ["direction"],
      seriesMax: 2,
    },
  },
});

export const counts = totals({
  map: "counts",
  key: struct("flow_count_key", { what: oneOf({ 1: "refused" }) }),
  value: struct("flow_count", { times: total }),
  metrics: {
    flow_refused_total: {
      type: "counter",
      help: "Packets that are in no other figure, as both of the kernel's tables were full",
      of: "times",
    },
  },
});
