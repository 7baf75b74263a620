/** What the kernel side reports of one slow request, and what that says. */
import { type EventOf, milliseconds, type Occurrence, records } from "@agent/probe.ts";
import {
  bootTime,
  cgroupId,
  netns,
  shortName,
  struct,
  tgid,
  total,
  u32,
  u8,
} from "@agent/schema.ts";
import { operation } from "./words.ts";

const event = struct("biolatency_event", {
  at: bootTime,
  cgroup: cgroupId,
  netns,
  latency_ns: total,
  driver_ns: total,
  length: u32,
  tgid,
  comm: shortName,
  device: shortName,
  operation,
  is_long: u8,
});

type Slow = EventOf<typeof event.fields>;

function occurrence(slow: Slow): Occurrence {
  return {
    type: slow.is_long === 0 ? "BIOLAT" : "BIOLAT_100MS",
    severity: "warning",
    at: slow.at,
    netns: slow.netns,
    ...(slow.cgroup === 0n ? {} : { cgroup: slow.cgroup }),
    owner: slow.tgid,
    process: { pid: slow.tgid, comm: slow.comm },
    attributes: {
      device: slow.device,
      operation: slow.operation,
      latency_ms: milliseconds(slow.latency_ns),
      driver_ms: milliseconds(slow.driver_ns),
      length_bytes: slow.length,
    },
    message: `A request to a disk took long: ${slow.operation}`,
  };
}

export default records({ record: event, types: ["BIOLAT", "BIOLAT_100MS"], occurrence });
