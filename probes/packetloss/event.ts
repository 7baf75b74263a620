/** What the kernel side reports of one drop, and what that says. */
import { type Attribute, type EventOf, type Occurrence, records } from "@agent/probe.ts";
import {
  address,
  be16,
  bootTime,
  cgroupId,
  kernelAddress,
  netns,
  shortName,
  stack,
  struct,
  u32,
  u8,
} from "@agent/schema.ts";
import { dropClass, family, protocol, reason } from "./words.ts";

const event = struct("packetloss_event", {
  at: bootTime,
  location: kernelAddress,
  cgroup: cgroupId,
  netns,
  source: address,
  destination: address,
  reason,
  length: u32,
  ifindex: u32,
  source_port: be16,
  destination_port: be16,
  interface: shortName,
  family,
  protocol,
  ip_protocol: u8,
  class: dropClass,
  tcp_flags: u8,
  icmp_type: u8,
  icmp_code: u8,
  is_fragment: u8,
  stack,
});

type Drop = EventOf<typeof event.fields>;

/** Bits of byte 13 of a TCP header, RFC 9293 §3.1. */
const TCP_FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"] as const;

/** The address of a packet that has none, or whose header could not be read. */
const NO_ADDRESS = "::";

export default records({
  record: event,
  types: ["PACKETLOSS"],
  occurrence(drop) {
    const said = drop.class === "policy"
      ? "A rule dropped a packet"
      : "The kernel dropped a packet";
    return {
      type: "PACKETLOSS",
      severity: drop.class === "policy" ? "info" : "warning",
      at: drop.at,
      netns: drop.netns,
      ...(drop.cgroup === 0n ? {} : { cgroup: drop.cgroup }),
      ...endsOf(drop),
      ...transportOf(drop),
      ifindex: drop.ifindex,
      ...(drop.interface === "" ? {} : { interface: drop.interface }),
      attributes: attributesOf(drop),
      stack: fromLocation(drop.stack, drop.location),
      location: drop.location,
      message: `${said}: ${drop.reason}`,
    };
  },
});

function endsOf(drop: Drop): Pick<Occurrence, "source" | "destination"> {
  if (drop.source === NO_ADDRESS && drop.destination === NO_ADDRESS) return {};
  return {
    source: { address: drop.source, port: drop.source_port },
    destination: { address: drop.destination, port: drop.destination_port },
  };
}

function transportOf({ protocol }: Drop): Pick<Occurrence, "transport"> {
  return protocol === "other" || protocol === "unknown" ? {} : { transport: protocol };
}

function attributesOf(drop: Drop): Readonly<Record<string, Attribute>> {
  const flags = TCP_FLAGS.filter((_, bit) => drop.tcp_flags & (1 << bit)).join(",");
  const isIcmp = drop.protocol === "icmp" || drop.protocol === "icmpv6";
  const isIp = drop.family === "ipv4" || drop.family === "ipv6";
  return {
    reason: drop.reason,
    class: drop.class,
    length_bytes: drop.length,
    ...(isIp ? {} : { family: drop.family }),
    ...(isIp && drop.protocol === "other" ? { ip_protocol: drop.ip_protocol } : {}),
    ...(flags === "" ? {} : { tcp_flags: flags }),
    ...(isIcmp ? { icmp_type: drop.icmp_type, icmp_code: drop.icmp_code } : {}),
    ...(drop.is_fragment ? { fragment: true } : {}),
  };
}

/** Leaves out what lies between the drop and this probe: the tracepoint, and the program itself. */
function fromLocation(frames: readonly bigint[], location: bigint): readonly bigint[] {
  const first = frames.indexOf(location);
  return first < 0 ? frames : frames.slice(first);
}
