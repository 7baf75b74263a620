/** What the kernel side reports of one slow command, and what that says. */
import { type EventOf, type Occurrence, records } from "@agent/probe.ts";
import { bootTime, netns, shortName, struct, tgid, total, u8 } from "@agent/schema.ts";
import { commandClass } from "./words.ts";

const event = struct("virtcmdlatency_event", {
  at: bootTime,
  netns,
  latency_ns: total,
  tgid,
  comm: shortName,
  device: shortName,
  class: commandClass,
  command: u8,
  is_long: u8,
});

function occurrence(slow: EventOf<typeof event.fields>): Occurrence {
  return {
    type: slow.is_long === 0 ? "VIRTCMDEXCUTE" : "VIRTCMDEXCUTE_100MS",
    severity: "warning",
    at: slow.at,
    netns: slow.netns,
    interface: slow.device,
    process: { pid: slow.tgid, comm: slow.comm },
    attributes: {
      class: slow.class,
      command: slow.command,
      latency_ms: Math.round(slow.latency_ns / 1_000) / 1_000,
    },
    message: `A virtio network device was slow to answer a command: ${slow.class}`,
  };
}

export default records({
  record: event,
  types: ["VIRTCMDEXCUTE", "VIRTCMDEXCUTE_100MS"],
  occurrence,
});
