/** What the kernel side reports of one retransmit, and what that says. */
import { type EventOf, type Occurrence, records } from "@agent/probe.ts";
import {
  address,
  be16,
  bootTime,
  cgroupId,
  netns,
  oneOf,
  struct,
  u16,
  u32,
} from "@agent/schema.ts";
import { TCP_STATES } from "@agent/tcp.ts";

export const kind = oneOf({
  1: "fast",
  2: "timeout",
  3: "tail_loss_probe",
  4: "syn",
  5: "synack",
});

const event = struct("tcpretrans_event", {
  at: bootTime,
  cgroup: cgroupId,
  netns,
  local_address: address,
  remote_address: address,
  length: u32,
  segments: u16,
  local_port: be16,
  remote_port: be16,
  kind,
  state: oneOf(TCP_STATES),
});

/** What a person makes of each kind. Asking for a lost tail and mending a gap are TCP at work. */
const KINDS = {
  fast: { severity: "info", said: "Sent again, as the remote end's acknowledgements show a gap" },
  timeout: { severity: "warning", said: "Sent again, as no acknowledgement came in time" },
  tail_loss_probe: {
    severity: "info",
    said: "Sent again to ask, as the last packet has no answer",
  },
  syn: { severity: "warning", said: "SYN sent again, as the remote end does not answer" },
  synack: { severity: "warning", said: "SYN-ACK sent again, as the remote end does not confirm" },
  unknown: { severity: "warning", said: "Sent again for a cause that this version does not know" },
} as const;

function occurrence(sent: EventOf<typeof event.fields>): Occurrence {
  const { severity, said } = KINDS[sent.kind];
  return {
    type: "TCPRETRANS",
    severity,
    at: sent.at,
    netns: sent.netns,
    ...(sent.cgroup === 0n ? {} : { cgroup: sent.cgroup }),
    source: { address: sent.local_address, port: sent.local_port },
    destination: { address: sent.remote_address, port: sent.remote_port },
    transport: "tcp",
    attributes: {
      kind: sent.kind,
      state: sent.state,
      segments: sent.segments,
      length_bytes: sent.length,
    },
    message: said,
  };
}

export default records({ record: event, types: ["TCPRETRANS"], occurrence });
