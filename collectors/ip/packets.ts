// deno-lint-ignore-file camelcase -- these are names of metrics
/**
 * What became of packets: what the kernel's fields are called here, and what they mean.
 *
 * Sources: RFC 4293; Documentation/networking/snmp_counter.rst.
 *
 * @module
 */
import type { MibMetric } from "@agent/collector.ts";

/** Fields of `Ip`, `IpExt` and `Ip6` that say what became of a packet. */
export const PACKETS: Readonly<Record<string, MibMetric>> = {
  ip_forwarding: {
    fields: ["Forwarding"],
    help: "Whether packets for others are forwarded: 1 yes, 2 no",
  },
  ip_default_ttl: {
    fields: ["DefaultTTL"],
    help: "Hops that packets sent from here may take unless the sender says otherwise",
  },
  ip_in_receives_total: {
    fields: ["InReceives"],
    help: "Packets received, broken ones included; what GRO merged counts once",
  },
  ip_in_hdr_errors_total: {
    fields: ["InHdrErrors"],
    help: "Packets dropped because of their header, or because their hops were used up",
  },
  ip_in_too_big_errors_total: {
    fields: ["InTooBigErrors"],
    help: "Packets not forwarded as they were too big for the next link",
  },
  ip_in_no_routes_total: {
    fields: ["InNoRoutes"],
    help: "Packets received that no route leads on",
  },
  ip_in_addr_errors_total: {
    fields: ["InAddrErrors"],
    help: "Packets dropped for an invalid address, or one that is not ours without forwarding",
  },
  ip_in_unknown_protos_total: {
    fields: ["InUnknownProtos"],
    help: "Packets dropped because nothing here speaks their protocol",
  },
  ip_in_truncated_pkts_total: {
    fields: ["InTruncatedPkts"],
    help: "Packets dropped as they were shorter than their header says",
  },
  ip_in_discards_total: {
    fields: ["InDiscards"],
    help: "Sound packets dropped on receipt, such as for want of memory",
  },
  ip_in_delivers_total: {
    fields: ["InDelivers"],
    help: "Packets handed to a protocol above, such as TCP",
  },
  ip_forw_datagrams_total: {
    fields: ["ForwDatagrams", "OutForwDatagrams"],
    help: "Packets forwarded",
  },
  ip_out_requests_total: {
    fields: ["OutRequests"],
    help: "Packets that protocols here asked to send",
  },
  ip_out_transmits_total: {
    fields: ["OutTransmits"],
    help: "Packets handed to a device for sending, forwarded ones included",
  },
  ip_out_discards_total: {
    fields: ["OutDiscards"],
    help: "Sound packets dropped instead of sent",
  },
  ip_out_no_routes_total: {
    fields: ["OutNoRoutes"],
    help: "Packets not sent as no route leads to their destination",
  },
  ip_reasm_timeout_total: {
    fields: ["ReasmTimeout"],
    help: "Reassemblies given up as fragments were still missing after the time limit",
  },
  ip_reasm_reqds_total: {
    fields: ["ReasmReqds"],
    help: "Fragments received that need reassembly",
  },
  ip_reasm_oks_total: {
    fields: ["ReasmOKs"],
    help: "Packets reassembled",
  },
  ip_reasm_fails_total: {
    fields: ["ReasmFails"],
    help: "Failures to reassemble, such as for time or memory",
  },
  ip_reasm_overlaps_total: {
    fields: ["ReasmOverlaps"],
    help: "Fragments that overlapped others",
  },
  ip_frag_oks_total: {
    fields: ["FragOKs"],
    help: "Packets cut into fragments",
  },
  ip_frag_fails_total: {
    fields: ["FragFails"],
    help: "Packets that had to be fragmented and could not be",
  },
  ip_frag_creates_total: {
    fields: ["FragCreates"],
    help: "Fragments made",
  },
};
