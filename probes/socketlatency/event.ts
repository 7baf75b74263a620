/** What the kernel side reports of one slow call, and what that says. */
import { type EventOf, milliseconds, type Occurrence, records } from "@agent/probe.ts";
import {
  address,
  be16,
  bootTime,
  cgroupId,
  netns,
  shortName,
  struct,
  tgid,
  total,
} from "@agent/schema.ts";
import { operation, protocol } from "./words.ts";

const event = struct("socketlatency_event", {
  at: bootTime,
  cgroup: cgroupId,
  latency_ns: total,
  netns,
  local_address: address,
  remote_address: address,
  tgid,
  comm: shortName,
  local_port: be16,
  remote_port: be16,
  operation,
  protocol,
});

type Slow = EventOf<typeof event.fields>;

function occurrence(slow: Slow): Occurrence {
  const isWrite = slow.operation === "write";
  return {
    type: isWrite ? "SOCKETLAT_SENDSLOW" : "SOCKETLAT_READSLOW",
    severity: "warning",
    at: slow.at,
    netns: slow.netns,
    ...(slow.cgroup === 0n ? {} : { cgroup: slow.cgroup }),
    source: { address: slow.local_address, port: slow.local_port },
    // A socket that takes from anybody has no remote end.
    ...(slow.remote_port === 0
      ? {}
      : { destination: { address: slow.remote_address, port: slow.remote_port } }),
    ...(slow.protocol === "unknown" ? {} : { transport: slow.protocol }),
    process: { pid: slow.tgid, comm: slow.comm },
    attributes: { latency_ms: milliseconds(slow.latency_ns) },
    message: isWrite
      ? "What a process sent was slow to leave"
      : "What had arrived was slow to be read",
  };
}

export default records({
  record: event,
  types: ["SOCKETLAT_READSLOW", "SOCKETLAT_SENDSLOW"],
  occurrence,
});
