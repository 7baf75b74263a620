import { deepEqual, equal } from "node:assert/strict";
import { addressBytes, decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";

/** A datagram that waited in a qdisc, to 10.0.0.2. */
const WAITED = {
  at: 7n,
  latency_ns: 137_456_789,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  source: addressBytes("10.0.0.1"),
  destination: addressBytes("10.0.0.2"),
  ifindex: 3,
  length: 74,
  source_port: 40_000,
  destination_port: 53,
  interface: "eth0",
  qdisc: "tbf",
  stage: 1,
  protocol: 17,
  has_header: 1,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("netiftxlat", event.record, values));
}

Deno.test("netiftxlat says which packet waited, where, and in what kind of qdisc", async () => {
  deepEqual(await occurrenceOf(WAITED), {
    type: "TXLAT_QDISC_100MS",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    source: { address: "10.0.0.1", port: 40_000 },
    destination: { address: "10.0.0.2", port: 53 },
    transport: "udp",
    ifindex: 3,
    interface: "eth0",
    attributes: { latency_ms: 137.457, length_bytes: 74, qdisc: "tbf" },
    message: "A packet waited long in a device's qdisc",
  });
});

Deno.test("netiftxlat tells a slow driver from a long queue", async () => {
  const { type, message } = await occurrenceOf({ ...WAITED, stage: 2 });
  equal(type, "TXLAT_NETDEV_100MS");
  equal(message, "A device's driver took long for a packet");
});

Deno.test("netiftxlat names no ends of a packet without an IP header", async () => {
  const made = await occurrenceOf({ ...WAITED, has_header: 0 });
  deepEqual([made.source, made.destination, made.transport], [undefined, undefined, undefined]);
});

Deno.test("netiftxlat says whose socket it was, where the kernel knows", async () => {
  equal((await occurrenceOf({ ...WAITED, cgroup: 4_711n })).cgroup, 4_711n);
  equal("cgroup" in await occurrenceOf(WAITED), false);
});
