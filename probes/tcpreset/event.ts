/** What the kernel side reports of one reset, and what that says. */
import { type EventOf, type Occurrence, records } from "@agent/probe.ts";
import {
  address,
  be16,
  bootTime,
  cgroupId,
  kernelEnum,
  netns,
  oneOf,
  struct,
} from "@agent/schema.ts";
import { TCP_STATES } from "@agent/tcp.ts";

export const kind = oneOf({ 1: "nosock", 2: "active", 3: "process", 4: "receive" });

const event = struct("tcpreset_event", {
  at: bootTime,
  cgroup: cgroupId,
  netns,
  local_address: address,
  remote_address: address,
  reason: kernelEnum("reset_reason", "sk_rst_reason", "SK_RST_REASON_", { 0xffffffff: "" }),
  local_port: be16,
  remote_port: be16,
  kind,
  state: oneOf(TCP_STATES),
});

/** Each kind's type in the predecessors' words, and what a person makes of it. */
const KINDS = {
  nosock: { type: "TCPRESET_NOSOCK", said: "Reset sent, as no socket is there for the packet" },
  active: { type: "TCPRESET_ACTIVE", said: "Reset sent, as this end gave the connection up" },
  process: { type: "TCPRESET_PROCESS", said: "Reset sent, as the socket cannot take the packet" },
  receive: { type: "TCPRESET_RECEIVE", said: "Reset received from the remote end" },
  unknown: { type: "TCPRESET_UNKNOWN", said: "Reset of a kind that this version does not know" },
} as const;

function occurrence(reset: EventOf<typeof event.fields>): Occurrence {
  const { type, said } = KINDS[reset.kind];
  return {
    type,
    severity: "warning",
    at: reset.at,
    netns: reset.netns,
    ...(reset.cgroup === 0n ? {} : { cgroup: reset.cgroup }),
    source: { address: reset.local_address, port: reset.local_port },
    destination: { address: reset.remote_address, port: reset.remote_port },
    transport: "tcp",
    attributes: {
      ...(reset.state === "unknown" ? {} : { state: reset.state }),
      ...(reset.reason === "" ? {} : { reason: reset.reason }),
    },
    message: reset.reason === "" ? said : `${said}: ${reset.reason}`,
  };
}

export default records({
  record: event,
  types: Object.values(KINDS).map(({ type }) => type),
  occurrence,
});
