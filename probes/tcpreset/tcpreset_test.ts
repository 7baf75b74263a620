import { deepEqual, equal, ok } from "node:assert/strict";
import { addressBytes, decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";

const ENUMS = { sk_rst_reason: { 0: "SK_RST_REASON_NOT_SPECIFIED", 1: "SK_RST_REASON_NO_SOCKET" } };

/** A reset that answers a SYN to a closed port. */
const NOSOCK = {
  at: 7n,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  local_address: addressBytes("10.0.0.2"),
  remote_address: addressBytes("10.0.0.1"),
  reason: 1,
  local_port: 443,
  remote_port: 33488,
  kind: 1,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("tcpreset", event.record, values, ENUMS));
}

Deno.test("tcpreset goes from the local end to the remote one, whoever reset", async () => {
  deepEqual(await occurrenceOf(NOSOCK), {
    type: "TCPRESET_NOSOCK",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    source: { address: "10.0.0.2", port: 443 },
    destination: { address: "10.0.0.1", port: 33488 },
    transport: "tcp",
    attributes: { reason: "NO_SOCKET" },
    message: "Reset sent, as no socket is there for the packet: NO_SOCKET",
  });
});

Deno.test("tcpreset has a type for each kind", async () => {
  const types = await Promise.all(
    [1, 2, 3, 4].map(async (kind) => (await occurrenceOf({ ...NOSOCK, kind })).type),
  );
  deepEqual(types, ["TCPRESET_NOSOCK", "TCPRESET_ACTIVE", "TCPRESET_PROCESS", "TCPRESET_RECEIVE"]);
});

Deno.test("tcpreset says nothing of a reason where the kernel gives none", async () => {
  const received = { ...NOSOCK, kind: 4, reason: 0xffffffff, state: 1, cgroup: 33n };
  const { attributes, message, cgroup } = await occurrenceOf(received);
  deepEqual(attributes, { state: "established" });
  equal(message, "Reset received from the remote end");
  equal(cgroup, 33n);
});

Deno.test("tcpreset keeps the kernel's own word for no particular reason", async () => {
  const { attributes } = await occurrenceOf({ ...NOSOCK, kind: 2, reason: 0, state: 7 });
  deepEqual(attributes, { state: "close", reason: "NOT_SPECIFIED" });
});

Deno.test("tcpreset reads IPv6 like IPv4", async () => {
  const { source } = await occurrenceOf({
    ...NOSOCK,
    local_address: addressBytes("2001:db8:0:0:0:0:0:2"),
  });
  deepEqual(source, { address: "2001:db8::2", port: 443 });
  ok(!("cgroup" in await occurrenceOf(NOSOCK)));
});
