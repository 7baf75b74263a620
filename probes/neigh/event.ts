/** What the kernel side reports of one neighbour that could not be found, and what that says. */
import { type EventOf, type Occurrence, records } from "@agent/probe.ts";
import { address, bootTime, netns, oneOf, shortName, struct, u32 } from "@agent/schema.ts";

export const cause = oneOf({ 1: "unanswered", 2: "removed", 3: "table_full" });
export const family = oneOf({ 1: "ipv4", 2: "ipv6" });

const event = struct("neigh_event", {
  at: bootTime,
  netns,
  address,
  ifindex: u32,
  entries: u32,
  interface: shortName,
  cause,
  family,
});

/** What a person makes of each cause; an entry that was taken away was so on purpose. */
const CAUSES = {
  unanswered: {
    severity: "warning",
    said: "No neighbour answered for the address: packets to it are dropped",
  },
  removed: {
    severity: "info",
    said: "The neighbour's entry was removed while the kernel was asking for the address",
  },
  table_full: {
    severity: "error",
    said: "The node's neighbour table is full: packets to the address are dropped",
  },
  unknown: {
    severity: "warning",
    said: "No neighbour, for a cause that this version does not know",
  },
} as const;

function occurrence(failed: EventOf<typeof event.fields>): Occurrence {
  const { severity, said } = CAUSES[failed.cause];
  return {
    type: failed.cause === "table_full" ? "NEIGH_OVERFLOW" : "NEIGH_FAILED",
    severity,
    at: failed.at,
    netns: failed.netns,
    destination: { address: failed.address },
    ifindex: failed.ifindex,
    interface: failed.interface,
    attributes: {
      cause: failed.cause,
      protocol: failed.family === "ipv6" ? "ndp" : "arp",
      ...(failed.cause === "table_full" ? { entries: failed.entries } : {}),
    },
    message: said,
  };
}

export default records({
  record: event,
  types: ["NEIGH_FAILED", "NEIGH_OVERFLOW"],
  occurrence,
});
