/** What the kernel side reports of one missing route, and what that says. */
import { type EventOf, type Occurrence, records } from "@agent/probe.ts";
import {
  address,
  be16,
  bootTime,
  cgroupId,
  netns,
  oneOf,
  shortName,
  struct,
  tgid,
  u8,
} from "@agent/schema.ts";

export const result = oneOf({ 1: "no_route", 2: "unreachable", 3: "prohibit", 4: "blackhole" });
export const direction = oneOf({ 1: "sent", 2: "received" });
export const family = oneOf({ 1: "ipv4", 2: "ipv6" });

const event = struct("fib_event", {
  at: bootTime,
  cgroup: cgroupId,
  netns,
  source: address,
  destination: address,
  pid: tgid,
  source_port: be16,
  destination_port: be16,
  comm: shortName,
  result,
  direction,
  protocol: u8,
});

const SAID = {
  no_route: "No route leads to the destination",
  unreachable: "A route says that the destination is unreachable",
  prohibit: "A route prohibits the destination",
  blackhole: "A route throws away what goes to the destination",
  unknown: "No way to the destination, for a cause that this version does not know",
} as const;

/** Protocols by their numbers in IP. */
const TRANSPORTS: ReadonlyMap<number, string> = new Map([
  ...[[1, "icmp"], [6, "tcp"], [17, "udp"], [58, "icmpv6"], [132, "sctp"]] as const,
]);

/** The source that is not chosen yet when the route is looked for. */
const NO_ADDRESS = "::";

function occurrence(failed: EventOf<typeof event.fields>): Occurrence {
  const transport = TRANSPORTS.get(failed.protocol);
  return {
    type: "FIB_NOROUTE",
    severity: failed.result === "no_route" ? "warning" : "info",
    at: failed.at,
    netns: failed.netns,
    ...(failed.cgroup === 0n ? {} : { cgroup: failed.cgroup }),
    ...(failed.source === NO_ADDRESS
      ? {}
      : { source: { address: failed.source, port: failed.source_port } }),
    destination: { address: failed.destination, port: failed.destination_port },
    ...(transport === undefined ? {} : { transport }),
    ...(failed.pid === 0 ? {} : { process: { pid: failed.pid, comm: failed.comm } }),
    attributes: { result: failed.result, direction: failed.direction },
    message: SAID[failed.result],
  };
}

export default records({ record: event, types: ["FIB_NOROUTE"], occurrence });
