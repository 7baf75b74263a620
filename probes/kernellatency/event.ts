/** What the kernel side reports of one slow packet, and what that says. */
import {
  type Attribute,
  endsOf,
  type EventOf,
  milliseconds,
  type Occurrence,
  records,
} from "@agent/probe.ts";
import {
  address,
  be16,
  bootTime,
  cgroupId,
  netns,
  shortName,
  struct,
  total,
  u32,
  u8,
} from "@agent/schema.ts";
import { direction, protocol } from "./words.ts";

const event = struct("kernellatency_event", {
  at: bootTime,
  latency_ns: total,
  device_ns: total,
  prerouting_ns: total,
  route_ns: total,
  local_in_ns: total,
  socket_ns: total,
  forwarding_ns: total,
  output_ns: total,
  local_out_ns: total,
  postrouting_ns: total,
  egress_ns: total,
  cgroup: cgroupId,
  netns,
  source: address,
  destination: address,
  ifindex: u32,
  length: u32,
  source_port: be16,
  destination_port: be16,
  interface: shortName,
  direction,
  protocol,
  has_header: u8,
});

type Slow = EventOf<typeof event.fields>;

const SAID = {
  receive: "A packet took long from the device to the socket",
  transmit: "A packet took long from the socket to the device",
  forward: "A packet took long from one device to another",
  unknown: "A packet took long through the kernel",
} as const;

/** How long it was in each stage that took a microsecond at least. */
function stagesOf(slow: Slow): Readonly<Record<string, Attribute>> {
  const stages = {
    device_ms: slow.device_ns,
    prerouting_ms: slow.prerouting_ns,
    route_ms: slow.route_ns,
    local_in_ms: slow.local_in_ns,
    socket_ms: slow.socket_ns,
    forward_ms: slow.forwarding_ns,
    output_ms: slow.output_ns,
    local_out_ms: slow.local_out_ns,
    postrouting_ms: slow.postrouting_ns,
    egress_ms: slow.egress_ns,
  };
  const shown = Object.entries(stages).filter(([, ns]) => milliseconds(ns) > 0);
  return Object.fromEntries(shown.map(([name, ns]) => [name, milliseconds(ns)]));
}

function occurrence(slow: Slow): Occurrence {
  return {
    type: slow.direction === "transmit" ? "TXKERNEL_SLOW" : "RXKERNEL_SLOW",
    severity: "warning",
    at: slow.at,
    netns: slow.netns,
    ...(slow.cgroup === 0n ? {} : { cgroup: slow.cgroup }),
    ...endsOf(slow),
    ifindex: slow.ifindex,
    ...(slow.interface === "" ? {} : { interface: slow.interface }),
    attributes: {
      direction: slow.direction,
      latency_ms: milliseconds(slow.latency_ns),
      length_bytes: slow.length,
      ...stagesOf(slow),
    },
    message: SAID[slow.direction],
  };
}

export default records({ record: event, types: ["RXKERNEL_SLOW", "TXKERNEL_SLOW"], occurrence });
