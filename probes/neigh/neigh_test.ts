import { deepEqual, equal, ok } from "node:assert/strict";
import { addressBytes, decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";

/** A neighbour that nobody answered for. */
const UNANSWERED = {
  at: 7n,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  address: addressBytes("10.0.0.99"),
  ifindex: 4,
  interface: new TextEncoder().encode("eth0"),
  cause: 1,
  family: 1,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("neigh", event.record, values));
}

Deno.test("neigh says which neighbour did not answer, and on which device", async () => {
  deepEqual(await occurrenceOf(UNANSWERED), {
    type: "NEIGH_FAILED",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    destination: { address: "10.0.0.99" },
    ifindex: 4,
    interface: "eth0",
    attributes: { cause: "unanswered", protocol: "arp" },
    message: "No neighbour answered for the address: packets to it are dropped",
  });
});

Deno.test("neigh has a type of its own for a full table, and says how full it is", async () => {
  const full = { ...UNANSWERED, cause: 3, entries: 1024 };
  const { type, severity, attributes } = await occurrenceOf(full);
  equal(type, "NEIGH_OVERFLOW");
  equal(severity, "error");
  deepEqual(attributes, { cause: "table_full", protocol: "arp", entries: 1024 });
});

Deno.test("neigh reads IPv6 like IPv4", async () => {
  const { destination, attributes } = await occurrenceOf({
    ...UNANSWERED,
    address: addressBytes("2001:db8:0:0:0:0:0:99"),
    family: 2,
  });
  deepEqual(destination, { address: "2001:db8::99" });
  equal(attributes?.["protocol"], "ndp");
});

Deno.test("neigh says something else of each cause", async () => {
  const all = await Promise.all(
    [0, 1, 2, 3].map((cause) => occurrenceOf({ ...UNANSWERED, cause })),
  );
  equal(new Set(all.map(({ message }) => message)).size, 4);
  ok(all.every(({ type }) => /^NEIGH_(FAILED|OVERFLOW)$/.test(type)));
});
