import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Occurrence } from "./events/event.ts";
import { join, type Knowledge } from "./join.ts";

const KNOWN: Knowledge = {
  node: "n1",
  identityOf: ({ inum }) =>
    inum === 7
      ? { kind: "pod", namespace: "shop", name: "cart", uid: "u1" }
      : { kind: "unknown", namespace: "unknown", name: "" },
  owner: (address) =>
    address === "10.0.0.7" ? { pod: { namespace: "shop", name: "cart" } } : undefined,
  symbol: (address) => `f+0x${address.toString(16).toUpperCase()}`,
  wallTime: (at) => `time of ${at}`,
};

const DROP: Occurrence = {
  type: "PACKETLOSS",
  severity: "warning",
  at: 5n,
  netns: { inum: 7, cookie: 9n },
  source: { address: "10.0.0.7", port: 41000 },
  destination: { address: "192.0.2.1", port: 0 },
  transport: "udp",
  interface: "eth0\u001b[2J",
  attributes: { reason: "NO_SOCKET" },
  stack: [0xa3n, 0xen],
  location: 0x1fn,
  message: "The kernel dropped a packet: NO_SOCKET",
};

Deno.test("join says whose it was, who the ends are, when and where in the kernel", () => {
  const event = join("packetloss", DROP, KNOWN);
  deepStrictEqual(event.pod, { kind: "pod", namespace: "shop", name: "cart", uid: "u1" });
  deepStrictEqual(event.source, {
    address: "10.0.0.7",
    port: 41000,
    pod: { namespace: "shop", name: "cart" },
  });
  strictEqual(event.time, "time of 5");
  deepStrictEqual(event.attributes, { reason: "NO_SOCKET", location: "f+0x1F" });
  deepStrictEqual(event.stack, ["f+0xA3", "f+0xE"]);
  strictEqual(event.count, 1);
});

Deno.test("join says of further ends whose they are, as attributes", () => {
  const ends = {
    reply_source: { address: "10.0.0.7", port: 8080 },
    reply_destination: { address: "192.0.2.9", port: 0 },
  };
  deepStrictEqual(join("conntrack", { ...DROP, stack: [], location: 0n, ends }, KNOWN).attributes, {
    reason: "NO_SOCKET",
    reply_source: "10.0.0.7",
    reply_source_port: 8080,
    reply_source_pod: "shop/cart",
    reply_destination: "192.0.2.9",
  });
});

Deno.test("join leaves out a port of 0, and replaces terminal escapes in a device's name", () => {
  const event = join("packetloss", DROP, KNOWN);
  deepStrictEqual(event.destination, { address: "192.0.2.1" });
  deepStrictEqual(event.network, {
    transport: "udp",
    type: "ipv4",
    interface: "eth0?[2J",
    netns: 7,
  });
});

Deno.test("join asks whose it was by namespace, cgroup and process", () => {
  const asked: unknown[] = [];
  const known: Knowledge = {
    ...KNOWN,
    identityOf: (...all) => {
      asked.push(all);
      return KNOWN.identityOf(...all);
    },
  };
  join("biolatency", { ...DROP, cgroup: 31n, owner: 4711 }, known);
  deepStrictEqual(asked, [[DROP.netns, 31n, 4711]]);
});

Deno.test("join holds no undefined and no null, so that JSON has no holes", () => {
  const { source: _source, destination: _destination, stack: _stack, ...bare } = DROP;
  const event = join("softirq", { ...bare, netns: { inum: 8, cookie: 0n } }, KNOWN);
  deepStrictEqual(JSON.parse(JSON.stringify(event)), event);
  strictEqual("source" in event, false);
  strictEqual(event.pod?.kind, "unknown");
});
