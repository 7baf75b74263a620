/** What the numbers in the probe's structs stand for. */
import { kernelEnum, oneOf } from "@agent/schema.ts";

export const REASON_PREFIX = "SKB_DROP_REASON_";

/** The kernel's reason, or ours (`enum packetloss_reason`) where it gives none. */
export const reason = kernelEnum("drop_reason", "skb_drop_reason", REASON_PREFIX, {
  0xffff0001: "NOT_SPECIFIED",
  0xffff0002: "NETFILTER_DROP",
});

/** By their numbers in IP; those not told apart are one. */
export const protocol = oneOf({
  1: "icmp",
  6: "tcp",
  17: "udp",
  58: "icmpv6",
  132: "sctp",
  255: "other",
});

export const family = oneOf({ 1: "ipv4", 2: "ipv6", 3: "arp", 4: "other" });

export const dropClass = oneOf({ 1: "abnormal", 2: "policy", 3: "expected" });
