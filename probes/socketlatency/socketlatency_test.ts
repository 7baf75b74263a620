import { deepEqual, equal, ok } from "node:assert/strict";
import { addressBytes, decodeMade, type Made } from "../../tests/made_records.ts";
import event from "./event.ts";

/** A request that a busy server has let lie. */
const READ = {
  at: 7n,
  latency_ns: 313_456_789,
  netns: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0),
  local_address: addressBytes("10.0.0.1"),
  remote_address: addressBytes("10.0.0.2"),
  tgid: 4711,
  comm: "nginx",
  local_port: 443,
  remote_port: 33488,
  operation: 1,
  protocol: 6,
};

async function occurrenceOf(values: Readonly<Record<string, Made>>) {
  return event.occurrence(await decodeMade("socketlatency", event.record, values));
}

Deno.test("socketlatency says who let whose bytes lie, and for how long", async () => {
  deepEqual(await occurrenceOf(READ), {
    type: "SOCKETLAT_READSLOW",
    severity: "warning",
    at: 7n,
    netns: { inum: 0xf0000058, cookie: 9n },
    source: { address: "10.0.0.1", port: 443 },
    destination: { address: "10.0.0.2", port: 33488 },
    transport: "tcp",
    process: { pid: 4711, comm: "nginx" },
    attributes: { latency_ms: 313.457 },
    message: "What had arrived was slow to be read",
  });
});

Deno.test("socketlatency tells what could not leave from what is not read", async () => {
  const { type, message } = await occurrenceOf({ ...READ, operation: 2 });
  equal(type, "SOCKETLAT_SENDSLOW");
  equal(message, "What a process sent was slow to leave");
});

Deno.test("socketlatency names no remote end where a datagram's socket has none", async () => {
  const datagram = {
    ...{ ...READ, protocol: 17, remote_port: 0, cgroup: 33n },
    remote_address: addressBytes("0:0:0:0:0:0:0:0"),
  };
  const { transport, cgroup, ...rest } = await occurrenceOf(datagram);
  deepEqual([transport, cgroup], ["udp", 33n]);
  ok(!("destination" in rest));
});

Deno.test("socketlatency reads IPv6 like IPv4", async () => {
  const { destination } = await occurrenceOf({
    ...READ,
    remote_address: addressBytes("2001:db8:0:0:0:0:0:2"),
  });
  deepEqual(destination, { address: "2001:db8::2", port: 33488 });
});
