/** What the kernel side reports of one slow packet, and what that says. */
import { endsOf, type EventOf, milliseconds, type Occurrence, records } from "@agent/probe.ts";
import {
  address,
  be16,
  bootTime,
  cgroupId,
  netns,
  oneOf,
  shortName,
  struct,
  total,
  u32,
  u8,
} from "@agent/schema.ts";

const event = struct("netiftxlat_event", {
  at: bootTime,
  latency_ns: total,
  cgroup: cgroupId,
  netns,
  source: address,
  destination: address,
  ifindex: u32,
  length: u32,
  source_port: be16,
  destination_port: be16,
  interface: shortName,
  qdisc: shortName,
  stage: oneOf({ 1: "qdisc", 2: "driver" }),
  /** By their numbers in IP. */
  protocol: oneOf({ 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp" }),
  has_header: u8,
});

type Slow = EventOf<typeof event.fields>;

function occurrence(slow: Slow): Occurrence {
  const isDriver = slow.stage === "driver";
  return {
    type: isDriver ? "TXLAT_NETDEV_100MS" : "TXLAT_QDISC_100MS",
    severity: "warning",
    at: slow.at,
    netns: slow.netns,
    ...(slow.cgroup === 0n ? {} : { cgroup: slow.cgroup }),
    ...endsOf(slow),
    ifindex: slow.ifindex,
    ...(slow.interface === "" ? {} : { interface: slow.interface }),
    attributes: {
      latency_ms: milliseconds(slow.latency_ns),
      length_bytes: slow.length,
      ...(slow.qdisc === "" ? {} : { qdisc: slow.qdisc }),
    },
    message: isDriver
      ? "A device's driver took long for a packet"
      : "A packet waited long in a device's qdisc",
  };
}

export default records({
  record: event,
  types: ["TXLAT_QDISC_100MS", "TXLAT_NETDEV_100MS"],
  occurrence,
});
