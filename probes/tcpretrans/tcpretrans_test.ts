import { deepEqual, equal, ok } from "node:assert/strict";
import { addressBytes, decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";

/** A SYN that is sent for the second time. */
const SYN = {
  at: 7n,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  local_address: addressBytes("10.0.0.1"),
  remote_address: addressBytes("10.0.0.2"),
  segments: 1,
  local_port: 33488,
  remote_port: 443,
  kind: 4,
  state: 2,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("tcpretrans", event.record, values));
}

Deno.test("tcpretrans goes from the end that sends again to the other", async () => {
  deepEqual(await occurrenceOf(SYN), {
    type: "TCPRETRANS",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    source: { address: "10.0.0.1", port: 33488 },
    destination: { address: "10.0.0.2", port: 443 },
    transport: "tcp",
    attributes: { kind: "syn", state: "syn_sent", segments: 1, length_bytes: 0 },
    message: "SYN sent again, as the remote end does not answer",
  });
});

Deno.test("tcpretrans says of each kind how TCP found out", async () => {
  const all = await Promise.all([1, 2, 3, 4, 5].map((kind) => occurrenceOf({ ...SYN, kind })));
  deepEqual(
    all.map(({ attributes }) => attributes?.["kind"]),
    ["fast", "timeout", "tail_loss_probe", "syn", "synack"],
  );
  equal(new Set(all.map(({ message }) => message)).size, 5);
});

Deno.test("tcpretrans warns of silence, and not of repairs that cost no timeout", async () => {
  const all = await Promise.all([1, 2, 3, 4, 5].map((kind) => occurrenceOf({ ...SYN, kind })));
  deepEqual(all.map(({ severity }) => severity), ["info", "warning", "info", "warning", "warning"]);
});

Deno.test("tcpretrans has the whole of a large packet, and whose socket it was", async () => {
  const large = { ...SYN, kind: 1, state: 1, segments: 45, length: 65160, cgroup: 33n };
  const { attributes, cgroup } = await occurrenceOf(large);
  deepEqual(attributes, { kind: "fast", state: "established", segments: 45, length_bytes: 65160 });
  equal(cgroup, 33n);
  ok(!("cgroup" in await occurrenceOf(SYN)));
});

Deno.test("tcpretrans reads IPv6 like IPv4", async () => {
  const { source } = await occurrenceOf({
    ...SYN,
    local_address: addressBytes("2001:db8:0:0:0:0:0:1"),
  });
  deepEqual(source, { address: "2001:db8::1", port: 33488 });
});
