/**
 * Whom the kernel takes a packet to be for, by the frame that it came in: what `pkttype` asks.
 *
 * @module
 */
import type { Moment } from "./rules.ts";

/** What is sent, or goes on to someone else, is a host's, whatever its destination. */
export function packetType(
  { packet: { destination }, around, hook }: Pick<Moment, "packet" | "around" | "hook">,
): "unicast" | "broadcast" | "multicast" {
  if (hook !== "prerouting" && hook !== "input") return "unicast";
  const { bits, family } = destination;
  const multicast = family === 6 ? bits >> 120n === 0xffn : bits >> 28n === 0xen;
  if (multicast) return "multicast";
  return around.addressType(destination) === "broadcast" ? "broadcast" : "unicast";
}
