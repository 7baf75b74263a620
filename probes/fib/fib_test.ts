import { deepEqual, equal, ok } from "node:assert/strict";
import { addressBytes, decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";

/** A process connects to where no route leads; its own address is still to be chosen. */
const NO_ROUTE = {
  at: 7n,
  cgroup: 33n,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  destination: addressBytes("192.0.2.7"),
  pid: 4711,
  destination_port: 443,
  comm: new TextEncoder().encode("curl"),
  result: 1,
  direction: 1,
  protocol: 6,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("fib", event.record, values));
}

Deno.test("fib says where to there is no route, and which process asked", async () => {
  deepEqual(await occurrenceOf(NO_ROUTE), {
    type: "FIB_NOROUTE",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    cgroup: 33n,
    destination: { address: "192.0.2.7", port: 443 },
    transport: "tcp",
    process: { pid: 4711, comm: "curl" },
    attributes: { result: "no_route", direction: "sent" },
    message: "No route leads to the destination",
  });
});

Deno.test("fib has both ends of a forwarded packet, and no process", async () => {
  const { source, destination, process, cgroup, attributes } = await occurrenceOf({
    ...NO_ROUTE,
    source: addressBytes("2001:db8:0:0:0:0:0:1"),
    destination: addressBytes("2001:db8:0:0:0:0:0:2"),
    source_port: 33488,
    pid: 0,
    cgroup: 0,
    direction: 2,
  });
  deepEqual(source, { address: "2001:db8::1", port: 33488 });
  deepEqual(destination, { address: "2001:db8::2", port: 443 });
  equal(process, undefined);
  equal(cgroup, undefined);
  equal(attributes?.["direction"], "received");
});

Deno.test("fib says something else of each result; what a route forbids is no alarm", async () => {
  const all = await Promise.all(
    [1, 2, 3, 4].map((result) => occurrenceOf({ ...NO_ROUTE, result })),
  );
  equal(new Set(all.map(({ message }) => message)).size, 4);
  deepEqual(all.map(({ severity }) => severity), ["warning", "info", "info", "info"]);
  ok(all.every(({ type }) => type === "FIB_NOROUTE"));
});

Deno.test("fib has no transport for a protocol without ports", async () => {
  const { transport } = await occurrenceOf({ ...NO_ROUTE, protocol: 89 });
  equal(transport, undefined);
});
