import { deepEqual, equal, ok } from "node:assert/strict";
import { addressBytes, decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";
import { latencies } from "./totals.ts";
import { STAGES } from "./words.ts";

/** A datagram that netfilter held before its socket got it. */
const HELD = {
  at: 7n,
  latency_ns: 37_456_789,
  device_ns: 12_345,
  local_in_ns: 37_440_000,
  socket_ns: 499,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  source: addressBytes("10.0.0.1"),
  destination: addressBytes("10.0.0.2"),
  ifindex: 3,
  length: 40,
  source_port: 40_000,
  destination_port: 53,
  interface: "eth0",
  direction: 1,
  protocol: 17,
  has_header: 1,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("kernellatency", event.record, values));
}

Deno.test("kernellatency says which packet took long, and in which stage it was", async () => {
  deepEqual(await occurrenceOf(HELD), {
    type: "RXKERNEL_SLOW",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    source: { address: "10.0.0.1", port: 40_000 },
    destination: { address: "10.0.0.2", port: 53 },
    transport: "udp",
    ifindex: 3,
    interface: "eth0",
    attributes: {
      direction: "receive",
      latency_ms: 37.457,
      length_bytes: 40,
      device_ms: 0.012,
      local_in_ms: 37.44,
    },
    message: "A packet took long from the device to the socket",
  });
});

Deno.test("kernellatency has a type for what is sent, and one for all else", async () => {
  const types = await Promise.all(
    [1, 2, 3].map(async (direction) => (await occurrenceOf({ ...HELD, direction })).type),
  );
  deepEqual(types, ["RXKERNEL_SLOW", "TXKERNEL_SLOW", "RXKERNEL_SLOW"]);
});

Deno.test("kernellatency names no ends of a packet without an IP header", async () => {
  const made = await occurrenceOf({ ...HELD, has_header: 0, interface: "" });
  deepEqual([made.source, made.destination, made.transport], [undefined, undefined, undefined]);
  ok(!("interface" in made));
});

Deno.test("kernellatency keeps the total apart from the stages", () => {
  const { kernellatency_stage_seconds: stages, kernellatency_seconds: all } = latencies.metrics;
  deepEqual(all?.when, { stage: ["total"] });
  deepEqual(stages?.when, { stage: STAGES });
  equal(STAGES.length, 10);
});
