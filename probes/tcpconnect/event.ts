/** What the kernel side reports of one connection, and what that says. */
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
  u32,
} from "@agent/schema.ts";
import { error, reason, role } from "./words.ts";

const event = struct("tcpconnect_event", {
  at: bootTime,
  cgroup: cgroupId,
  latency_ns: total,
  netns,
  local_address: address,
  remote_address: address,
  retransmits: u32,
  tgid,
  comm: shortName,
  local_port: be16,
  remote_port: be16,
  role,
  reason,
  error,
});

type Connection = EventOf<typeof event.fields>;

/** Why a connection was not made. */
const REASONS = {
  refused: "the remote end refused it",
  timeout: "nobody answered",
  unreachable: "the remote end cannot be reached",
  no_port: "no local port was free",
  abandoned: "the process gave it up",
  other: "the kernel gave it up",
} as const;

const SLOW = {
  connect: "The handshake of a connection to the remote end was slow",
  accept: "The handshake of a connection from the remote end was slow",
  unknown: "The handshake of a connection was slow",
} as const;

function occurrence(made: Connection): Occurrence {
  return {
    ...wordsOf(made),
    at: made.at,
    netns: made.netns,
    ...(made.cgroup === 0n ? {} : { cgroup: made.cgroup }),
    source: { address: made.local_address, port: made.local_port },
    destination: { address: made.remote_address, port: made.remote_port },
    transport: "tcp",
    ...(made.tgid === 0 ? {} : { process: { pid: made.tgid, comm: made.comm } }),
  };
}

/** A record without a reason is of a connection that was made. */
function wordsOf(
  made: Connection,
): Pick<Occurrence, "type" | "severity" | "message" | "attributes"> {
  const attributes = {
    role: made.role,
    latency_ms: milliseconds(made.latency_ns),
    retransmits: made.retransmits,
  };
  if (made.reason === "unknown") {
    return { type: "TCPCONNECT_SLOW", severity: "warning", message: SLOW[made.role], attributes };
  }
  return {
    type: "TCPCONNECT_FAILED",
    // A process that gives up itself may have found another way.
    severity: made.reason === "abandoned" ? "info" : "warning",
    message: `No connection: ${REASONS[made.reason]}`,
    attributes: {
      ...attributes,
      reason: made.reason,
      ...(made.error === "none" ? {} : { error: made.error }),
    },
  };
}

export default records({
  record: event,
  types: ["TCPCONNECT_SLOW", "TCPCONNECT_FAILED"],
  occurrence,
});
