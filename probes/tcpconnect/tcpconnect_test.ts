import { deepEqual, equal, ok } from "node:assert/strict";
import { addressBytes, decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";

/** A connection to a closed port. */
const REFUSED = {
  at: 7n,
  latency_ns: 213_456,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  local_address: addressBytes("10.0.0.1"),
  remote_address: addressBytes("10.0.0.2"),
  tgid: 4711,
  comm: "curl",
  local_port: 33488,
  remote_port: 443,
  role: 1,
  reason: 1,
  error: 111,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("tcpconnect", event.record, values));
}

Deno.test("tcpconnect says who could not connect to whom, and why", async () => {
  deepEqual(await occurrenceOf(REFUSED), {
    type: "TCPCONNECT_FAILED",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    source: { address: "10.0.0.1", port: 33488 },
    destination: { address: "10.0.0.2", port: 443 },
    transport: "tcp",
    process: { pid: 4711, comm: "curl" },
    attributes: {
      role: "connect",
      latency_ms: 0.213,
      retransmits: 0,
      reason: "refused",
      error: "ECONNREFUSED",
    },
    message: "No connection: the remote end refused it",
  });
});

Deno.test("tcpconnect has words for each reason, and no warning of an own will", async () => {
  const all = await Promise.all(
    [1, 2, 3, 4, 5, 6].map((reason) => occurrenceOf({ ...REFUSED, reason, error: 0 })),
  );
  equal(new Set(all.map(({ message }) => message)).size, 6);
  deepEqual(all.map(({ severity }) => severity === "info"), [
    ...[false, false, false, false, true, false],
  ]);
  for (const { attributes } of all) ok(attributes !== undefined && !("error" in attributes));
});

Deno.test("tcpconnect calls an error that it has no name for unknown", async () => {
  const { attributes } = await occurrenceOf({ ...REFUSED, reason: 6, error: 255 });
  equal(attributes?.["error"], "unknown");
});

Deno.test("tcpconnect takes a record without a reason for a connection that was slow", async () => {
  const slow = { ...REFUSED, reason: 0, error: 0, latency_ns: 1_024_000_400, retransmits: 1 };
  const { type, attributes, message, process } = await occurrenceOf(slow);
  equal(type, "TCPCONNECT_SLOW");
  deepEqual(attributes, { role: "connect", latency_ms: 1024, retransmits: 1 });
  equal(message, "The handshake of a connection to the remote end was slow");
  deepEqual(process, { pid: 4711, comm: "curl" });
});

Deno.test("tcpconnect names no process where one accepts: the network interrupts any", async () => {
  const accepted = { ...REFUSED, role: 2, reason: 0, error: 0, tgid: 0, cgroup: 33n };
  const { message, cgroup, ...rest } = await occurrenceOf(accepted);
  equal(message, "The handshake of a connection from the remote end was slow");
  equal(cgroup, 33n);
  ok(!("process" in rest));
});

Deno.test("tcpconnect reads IPv6 like IPv4", async () => {
  const { destination } = await occurrenceOf({
    ...REFUSED,
    remote_address: addressBytes("2001:db8:0:0:0:0:0:2"),
  });
  deepEqual(destination, { address: "2001:db8::2", port: 443 });
});
