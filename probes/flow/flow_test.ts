import { deepEqual, equal } from "node:assert/strict";
import { layoutOf } from "@bpf/btf.ts";
import { readObject } from "@agent/discover.ts";
import { encode } from "@agent/schema.ts";
import { addressBytes, decodeMade } from "../../tests/made_records.ts";
import flow from "./flow.ts";
import { flows, others } from "./totals.ts";

const NETNS = Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x58, 0, 0, 0xf0);

Deno.test("flow tells who it was with, which way, and by which port", async () => {
  const key = await decodeMade("flow", flows.key, {
    netns: NETNS,
    cgroup: 7_013n,
    remote: addressBytes("2001:db8:0:0:0:0:0:7"),
    port: 443,
    direction: 2,
    protocol: 6,
  });
  deepEqual(key, {
    netns: { inum: 0xf0000058, cookie: 9n },
    cgroup: 7_013n,
    remote: "2001:db8::7",
    port: 443,
    direction: "received",
    protocol: "tcp",
  });
});

Deno.test("flow counts what it had no room for by pod and direction", async () => {
  const key = await decodeMade("flow", others.key, { netns: NETNS, cgroup: 7n, direction: 1 });
  deepEqual(key, {
    netns: { inum: 0xf0000058, cookie: 9n },
    cgroup: 7n,
    direction: "sent",
  });
  const value = await decodeMade("flow", others.value, { packets: 13, bytes: 2 ** 40 });
  deepEqual(value, { packets: 13, bytes: 2 ** 40 });
});

Deno.test("flow has no port in its key unless that is asked for", async () => {
  const layout = layoutOf(await readObject("flow", "flow"), "flow_parameters");
  const { ports } = flow.parameters;
  equal(ports.default, false);
  const off = encode(layout, { ports: ports.default });
  const on = encode(layout, { ports: true });
  equal(off.every((byte) => byte === 0), true);
  equal(on.filter((byte) => byte !== 0).length, 1);
});

Deno.test("flow lets an entry go by the time of its last packet", async () => {
  const { seen } = await decodeMade("flow", flows.value, { seen: 7_000_000_000n });
  equal(seen, 7_000_000_000n);
  deepEqual(flows.expires, { seen: "seen", after: "idle_seconds" });
});
