import { deepEqual, equal, ok } from "node:assert/strict";
import { addressBytes, decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";

const NAME = [...[3, 119, 101, 98], ...[3, 99, 111, 109], 0];

/** A query that a server cannot answer. */
const FAILED = {
  at: 7n,
  latency_ns: 23_456_789,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  local_address: addressBytes("10.0.0.1"),
  remote_address: addressBytes("10.96.0.10"),
  question: Uint8Array.of(...NAME, 0, 1, 0, 1),
  question_length: NAME.length + 4,
  local_port: 33488,
  remote_port: 53,
  protocol: 17,
  rcode: 2,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("dns", event.record, values));
}

Deno.test("dns says who asked whom for what, and what came of it", async () => {
  deepEqual(await occurrenceOf(FAILED), {
    type: "DNS_FAILED",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    source: { address: "10.0.0.1", port: 33488 },
    destination: { address: "10.96.0.10", port: 53 },
    transport: "udp",
    attributes: { name: "web.com", type: "A", rcode: "SERVFAIL", latency_ms: 23.457, repeats: 0 },
    message: "A DNS query failed: SERVFAIL",
  });
});

Deno.test("dns has no code of an answer that did not come", async () => {
  const none = { ...FAILED, is_timeout: 1, rcode: 16, repeats: 2, cgroup: 33n };
  const { type, attributes, message, cgroup } = await occurrenceOf(none);
  deepEqual([type, message, cgroup], ["DNS_FAILED", "A DNS query had no answer", 33n]);
  ok(attributes !== undefined && !("rcode" in attributes));
  equal(attributes["repeats"], 2);
});

Deno.test("dns calls an answer slow that says no failure, or nothing that was read", async () => {
  for (const [rcode, word] of [[0, "NOERROR"], [16, "unread"]] as const) {
    const { type, attributes } = await occurrenceOf({ ...FAILED, rcode, protocol: 6 });
    deepEqual([type, attributes?.["rcode"]], ["DNS_SLOW", word]);
  }
});

Deno.test("dns says nothing of a question that was not read", async () => {
  const { attributes } = await occurrenceOf({ ...FAILED, question_length: 0 });
  ok(attributes !== undefined && !("name" in attributes) && !("type" in attributes));
});

Deno.test("dns reads IPv6 like IPv4", async () => {
  const { destination } = await occurrenceOf({
    ...FAILED,
    remote_address: addressBytes("2001:db8:0:0:0:0:0:2"),
  });
  deepEqual(destination, { address: "2001:db8::2", port: 53 });
});
