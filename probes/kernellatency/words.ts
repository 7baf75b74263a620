/** What the numbers in the probe's structs stand for. */
import { oneOf } from "@agent/schema.ts";

export const direction = oneOf({ 1: "receive", 2: "transmit", 3: "forward" });

/** By their numbers in IP. */
export const protocol = oneOf({ 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp" });

/** The stages a packet can be in; the total is none of them. */
export const STAGES = [
  "device",
  "prerouting",
  "route",
  "local_in",
  "socket",
  "forward",
  "output",
  "local_out",
  "postrouting",
  "egress",
] as const;

export const stage = oneOf({
  0: "total",
  1: "device",
  2: "prerouting",
  3: "route",
  4: "local_in",
  5: "socket",
  6: "forward",
  7: "output",
  8: "local_out",
  9: "postrouting",
  10: "egress",
});
