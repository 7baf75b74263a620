/** What the kernel side counts, and the metrics that it is. */
import { totals } from "@agent/probe.ts";
import { netns, oneOf, struct, total } from "@agent/schema.ts";
import { dropClass, family, protocol, reason } from "./words.ts";

export const drops = totals({
  map: "drops",
  key: struct("packetloss_key", { netns, reason, protocol, family, class: dropClass }),
  value: struct("packetloss_drops", { packets: total, bytes: total }),
  metrics: {
    packetloss_packets_total: {
      type: "counter",
      help: "Packets dropped by the kernel",
      of: "packets",
      labels: ["reason", "class", "protocol", "family"],
      seriesMax: 512,
      alias: { kubeskoop: ["packetloss_total"], inspector: ["packetloss_total"] },
    },
    packetloss_bytes_total: {
      type: "counter",
      unit: "bytes",
      help: "Bytes in packets dropped by the kernel, from the header that was next",
      of: "bytes",
      labels: ["reason", "class", "protocol", "family"],
      seriesMax: 512,
    },
    packetloss_netfilter_packets_total: {
      type: "counter",
      help: "Packets dropped by a netfilter rule",
      of: "packets",
      when: { reason: ["NETFILTER_DROP"] },
      alias: { kubeskoop: ["packetloss_netfilter"], inspector: ["packetloss_netfilter"] },
    },
    packetloss_abnormal_packets_total: {
      type: "counter",
      help: "Packets dropped although neither a rule nor the packet itself asked for it",
      of: "packets",
      when: { class: ["abnormal"] },
      alias: { inspector: ["packetloss_abnormal"] },
    },
  },
});

export const counts = totals({
  map: "counts",
  key: struct("packetloss_count_key", { what: oneOf({ 1: "ignored", 2: "refused" }) }),
  value: struct("packetloss_count", { times: total }),
  metrics: {
    packetloss_ignored_total: {
      type: "counter",
      help: "Buffers freed like dropped packets that were none, such as netlink messages",
      of: "times",
      when: { what: ["ignored"] },
    },
    packetloss_refused_total: {
      type: "counter",
      help: "Drops that are in no other figure, as the kernel's table of them was full",
      of: "times",
      when: { what: ["refused"] },
    },
  },
});
