/** What the kernel side reports of one slow softirq, and what that says. */
import { type EventOf, milliseconds, type Occurrence, records } from "@agent/probe.ts";
import { bootTime, oneOf, shortName, struct, tgid, total, u32, u8 } from "@agent/schema.ts";
import { vector } from "./words.ts";

const event = struct("softirq_event", {
  at: bootTime,
  latency_ns: total,
  behind_ns: total,
  tgid,
  cpu: u32,
  comm: shortName,
  vector,
  stage: oneOf({ 1: "wait", 2: "run" }),
  is_long: u8,
  behind: vector,
  ksoftirqd: u8,
});

type Slow = EventOf<typeof event.fields>;

/** The node's: a softirq works for whoever's packets are there. */
const NOBODYS = { inum: 0, cookie: 0n };

function occurrence(slow: Slow): Occurrence {
  const isRun = slow.stage === "run";
  const type = isRun
    ? (slow.is_long === 0 ? "NETSOFTIRQ_EXCUTE_SLOW" : "NETSOFTIRQ_EXCUTE_100MS")
    : (slow.is_long === 0 ? "NETSOFTIRQ_SCHED_SLOW" : "NETSOFTIRQ_SCHED_100MS");
  return {
    type,
    severity: "warning",
    at: slow.at,
    netns: NOBODYS,
    process: { pid: slow.tgid, comm: slow.comm },
    attributes: {
      vector: slow.vector,
      cpu: slow.cpu,
      latency_ms: milliseconds(slow.latency_ns),
      ksoftirqd: slow.ksoftirqd !== 0,
      ...(slow.behind === "unknown"
        ? {}
        : { behind: slow.behind, behind_ms: milliseconds(slow.behind_ns) }),
    },
    message: isRun
      ? `A softirq ran for long: ${slow.vector}`
      : `A softirq waited for the CPU: ${slow.vector}`,
  };
}

export default records({
  record: event,
  types: [
    "NETSOFTIRQ_SCHED_SLOW",
    "NETSOFTIRQ_SCHED_100MS",
    "NETSOFTIRQ_EXCUTE_SLOW",
    "NETSOFTIRQ_EXCUTE_100MS",
  ],
  occurrence,
});
