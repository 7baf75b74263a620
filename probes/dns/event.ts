/** What the kernel side reports of one query, and what that says. */
import { type EventOf, milliseconds, type Occurrence, records } from "@agent/probe.ts";
import { address, be16, bootTime, cgroupId, netns, struct, total, u32, u8 } from "@agent/schema.ts";
import { question, questionOf } from "./question.ts";
import { protocol, rcode } from "./words.ts";

const event = struct("dns_event", {
  at: bootTime,
  cgroup: cgroupId,
  latency_ns: total,
  netns,
  local_address: address,
  remote_address: address,
  question,
  repeats: u32,
  local_port: be16,
  remote_port: be16,
  protocol,
  rcode,
  is_timeout: u8,
  question_length: u8,
});

type Query = EventOf<typeof event.fields>;

function occurrence(query: Query): Occurrence {
  const isTimeout = query.is_timeout !== 0;
  const isFailed = isTimeout || (query.rcode !== "NOERROR" && query.rcode !== "unread");
  return {
    type: isFailed ? "DNS_FAILED" : "DNS_SLOW",
    severity: "warning",
    at: query.at,
    netns: query.netns,
    ...(query.cgroup === 0n ? {} : { cgroup: query.cgroup }),
    source: { address: query.local_address, port: query.local_port },
    destination: { address: query.remote_address, port: query.remote_port },
    ...(query.protocol === "unknown" ? {} : { transport: query.protocol }),
    attributes: {
      ...questionOf(query.question, query.question_length),
      ...(isTimeout ? {} : { rcode: query.rcode }),
      latency_ms: milliseconds(query.latency_ns),
      repeats: query.repeats,
    },
    message: messageOf(query, isTimeout, isFailed),
  };
}

function messageOf({ rcode }: Query, isTimeout: boolean, isFailed: boolean): string {
  if (isTimeout) return "A DNS query had no answer";
  return isFailed ? `A DNS query failed: ${rcode}` : "A DNS answer was slow";
}

export default records({ record: event, types: ["DNS_SLOW", "DNS_FAILED"], occurrence });
