// deno-lint-ignore-file camelcase -- these are names of metrics
/**
 * What the fields of ICMP are called here, and what they mean.
 *
 * Sources: RFC 1213, RFC 4443; net/ipv4/proc.c, net/ipv6/proc.c.
 *
 * @module
 */
import type { MibMetric } from "@agent/collector.ts";

/**
 * Each kind of message: its fields in IPv4 and IPv6 where they differ, without `In` or `Out`, and
 * its name.
 */
const MESSAGES: Readonly<Record<string, readonly [fields: readonly string[], name: string]>> = {
  dest_unreachs: [["DestUnreachs"], "destination unreachable"],
  pkt_too_bigs: [["PktTooBigs"], "packet too big"],
  time_excds: [["TimeExcds"], "time exceeded"],
  parm_probs: [["ParmProbs", "ParmProblems"], "parameter problem"],
  src_quenchs: [["SrcQuenchs"], "source quench"],
  redirects: [["Redirects"], "redirect"],
  echos: [["Echos"], "echo request"],
  echo_reps: [["EchoReps", "EchoReplies"], "echo reply"],
  timestamps: [["Timestamps"], "timestamp request"],
  timestamp_reps: [["TimestampReps"], "timestamp reply"],
  addr_masks: [["AddrMasks"], "address mask request"],
  addr_mask_reps: [["AddrMaskReps"], "address mask reply"],
  group_memb_queries: [["GroupMembQueries"], "multicast listener query"],
  group_memb_responses: [["GroupMembResponses"], "multicast listener report"],
  group_memb_reductions: [["GroupMembReductions"], "multicast listener done"],
  router_solicits: [["RouterSolicits"], "router solicitation"],
  router_advertisements: [["RouterAdvertisements"], "router advertisement"],
  neighbor_solicits: [["NeighborSolicits"], "neighbor solicitation"],
  neighbor_advertisements: [["NeighborAdvertisements"], "neighbor advertisement"],
  mldv2_reports: [["MLDv2Reports"], "multicast listener report, version 2"],
};

/** Fields of `Icmp` and `Icmp6`. */
export const ICMP: Readonly<Record<string, MibMetric>> = {
  ip_icmp_in_msgs_total: {
    fields: ["InMsgs"],
    help: "ICMP messages received, broken ones included",
  },
  ip_icmp_in_errors_total: {
    fields: ["InErrors"],
    help: "ICMP messages received that were broken or could not be acted on",
  },
  ip_icmp_in_csum_errors_total: {
    fields: ["InCsumErrors"],
    help: "ICMP messages dropped because of a wrong checksum",
  },
  ip_icmp_out_msgs_total: {
    fields: ["OutMsgs"],
    help: "ICMP messages sent",
  },
  ip_icmp_out_errors_total: {
    fields: ["OutErrors"],
    help: "ICMP messages that could not be sent",
  },
  ip_icmp_out_rate_limit_global_total: {
    fields: ["OutRateLimitGlobal"],
    help: "ICMP messages not sent because of the limit for the whole host",
  },
  ip_icmp_out_rate_limit_host_total: {
    fields: ["OutRateLimitHost"],
    help: "ICMP messages not sent because of the limit for one destination",
  },
  ...messages("in", "received"),
  ...messages("out", "sent"),
};

function messages(direction: "in" | "out", what: string): Readonly<Record<string, MibMetric>> {
  const prefix = direction === "in" ? "In" : "Out";
  return Object.fromEntries(
    Object.entries(MESSAGES).map(([message, [fields, name]]) => [
      `ip_icmp_${direction}_${message}_total`,
      { fields: fields.map((field) => prefix + field), help: `ICMP messages ${what}: ${name}` },
    ]),
  );
}
