// deno-lint-ignore-file camelcase -- these are names of metrics
/**
 * How much there was of which kind: what the kernel's fields are called here, and what they mean.
 *
 * Source: Documentation/networking/snmp_counter.rst.
 *
 * @module
 */
import type { MibMetric } from "@agent/collector.ts";

/** Fields of `IpExt` and `Ip6` that say how much, to how many, and with which congestion mark. */
export const TRAFFIC: Readonly<Record<string, MibMetric>> = {
  ip_in_bytes_total: {
    fields: ["InOctets"],
    help: "Bytes received, IP headers included and link headers not",
  },
  ip_out_bytes_total: {
    fields: ["OutOctets"],
    help: "Bytes sent, IP headers included and link headers not",
  },
  ip_in_mcast_pkts_total: {
    fields: ["InMcastPkts"],
    help: "Multicast packets received",
  },
  ip_out_mcast_pkts_total: {
    fields: ["OutMcastPkts"],
    help: "Multicast packets sent",
  },
  ip_in_mcast_bytes_total: {
    fields: ["InMcastOctets"],
    help: "Bytes of multicast packets received",
  },
  ip_out_mcast_bytes_total: {
    fields: ["OutMcastOctets"],
    help: "Bytes of multicast packets sent",
  },
  ip_in_bcast_pkts_total: {
    fields: ["InBcastPkts"],
    help: "Broadcast packets received",
  },
  ip_out_bcast_pkts_total: {
    fields: ["OutBcastPkts"],
    help: "Broadcast packets sent",
  },
  ip_in_bcast_bytes_total: {
    fields: ["InBcastOctets"],
    help: "Bytes of broadcast packets received",
  },
  ip_out_bcast_bytes_total: {
    fields: ["OutBcastOctets"],
    help: "Bytes of broadcast packets sent",
  },
  ip_in_csum_errors_total: {
    fields: ["InCsumErrors"],
    help: "Packets dropped because of a wrong checksum in the header",
  },
  ip_in_no_ect_pkts_total: {
    fields: ["InNoECTPkts"],
    help: "Packets received whose sender does not take part in congestion notification",
  },
  ip_in_ect1_pkts_total: {
    fields: ["InECT1Pkts"],
    help: "Packets received with the congestion notification code ECT(1)",
  },
  ip_in_ect0_pkts_total: {
    fields: ["InECT0Pkts"],
    help: "Packets received with the congestion notification code ECT(0)",
  },
  ip_in_ce_pkts_total: {
    fields: ["InCEPkts"],
    help: "Packets received that a router marked, having met congestion",
  },
};
