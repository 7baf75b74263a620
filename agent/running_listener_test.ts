import { deepEqual, equal, match } from "node:assert/strict";
import { bigEndian, netlinkMessage } from "../tests/made_netlink.ts";
import type { UnitChoice } from "./config/config.ts";
import type { Occurrence } from "./events/event.ts";
import type { Wanted } from "./namespaces/visitor.ts";
import type { Namespace } from "./pods/identity.ts";
import { defineProbe, records } from "./probe.ts";
import type { Owners } from "./running_probe.ts";
import { type Listened, RunningListener } from "./running_listener.ts";
import { address, bootTime, netns, oneOf, struct } from "./schema.ts";

const LIBC = Deno.dlopen("libc.so.6", {
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
}).symbols;
const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const MSG_NOSIGNAL = 0x4000;

const card = defineProbe({
  name: "heard",
  summary: "Heard",
  byDefault: { metrics: false, events: false },
  netlink: {
    ...{ protocol: 12, there: "/proc/self/status", headerBytes: 0 },
    kinds: [
      { number: 1, type: 20, flags: 0, group: 1, wanted: "first" },
      { number: 2, type: 21, flags: 0, group: 2, wanted: "second" },
    ],
    paths: { end: [[1]] },
  },
  parameters: {
    first: { summary: "First", default: true },
    second: { summary: "Second", default: true },
    pods: { summary: "Pods", default: "" },
    events_per_second: { summary: "Most", default: 11, min: 1, max: 1_000 },
    buffer_bytes: { summary: "Bytes", default: 65_536, min: 1, max: 1_000_000 },
  },
  records: records({
    record: struct("heard_event", {
      ...{ at: bootTime, netns, end: address },
      kind: oneOf({ 1: "FIRST", 2: "SECOND" }),
    }),
    types: ["FIRST", "SECOND", "unknown"],
    occurrence: ({ at, netns, end, kind }): Occurrence => ({
      ...{ type: kind, severity: "info", at, netns, message: "Heard" } as const,
      source: { address: end },
    }),
  }),
  wanted: ({ end }) => end !== "10.0.0.66",
});

const NOBODY: Pick<Owners, "ofAddress"> = { ofAddress: () => undefined };
const ADDRESSES: Pick<Owners, "ofAddress"> = {
  ofAddress: (text: string) =>
    text === "10.0.0.7" ? { pod: { namespace: "shop", name: "web-1" } } : undefined,
};

function choice(parameters: UnitChoice["parameters"] = {}, events = true): UnitChoice {
  return { metrics: false, events, parameters };
}

function place(inum: number, namespace = "", pod = ""): Listened {
  const known: Namespace = {
    ...{ inum, cookie: BigInt(inum), path: "/proc/self/ns/net", pids: [], host: pod === "" },
    ...{ mounts: [], containerIds: [] },
  };
  return { namespace: known, owner: { key: `${namespace}/${pod}`, namespace, pod } };
}

/** Opens one end of a pair of sockets in each namespace; the other is the kernel's. */
class Pairs implements Disposable {
  readonly kernel = new Map<number, number>();
  readonly orders: Wanted[] = [];
  fails = false;

  visit(targets: readonly { inum: number }[], wanted: Wanted) {
    this.orders.push(wanted);
    if (this.fails) {
      return Promise.resolve(
        targets.map(() => ({ state: "failed", because: "Cannot enter it" } as const)),
      );
    }
    return Promise.resolve(targets.map(({ inum }) => {
      const both = new Int32Array(2);
      LIBC.socketpair(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0, new Uint8Array(both.buffer));
      const [socket = 0, other = 0] = both;
      this.kernel.set(inum, other);
      const sight = { cookie: BigInt(inum), files: {}, errors: {}, socket };
      return { state: "read", sight } as const;
    }));
  }

  send(inum: number, type: number, address: number, count = 1): boolean {
    const message = netlinkMessage(type, 0, 0, [[1, bigEndian(4, address)]]);
    let went = true;
    for (let sent = 0; sent < count; sent++) {
      const socket = this.kernel.get(inum) ?? -1;
      went = LIBC.send(socket, message, BigInt(message.length), MSG_NOSIGNAL) >= 0n && went;
    }
    return went;
  }

  /** Whether the agent's end is there to be sent something, here what means nothing to it. */
  isOpen(inum: number): boolean {
    return this.send(inum, 99, 0);
  }

  [Symbol.dispose](): void {
    for (const socket of this.kernel.values()) LIBC.close(socket);
  }
}

function heard(listener: RunningListener, owners = NOBODY): string[] {
  const types: string[] = [];
  while (listener.drain(({ type, netns }) => types.push(`${type} ${netns.inum}`), owners) > 0);
  return types;
}

Deno.test("a listener opens one socket in each namespace, and closes those that go", async () => {
  using pairs = new Pairs();
  const listener = new RunningListener(card, choice());
  await listener.follow([place(1), place(2, "shop", "web-1")], pairs);
  await listener.follow([place(1), place(2, "shop", "web-1")], pairs);
  equal(pairs.orders.length, 1);
  deepEqual(pairs.orders[0]?.listening, { protocol: 12, groups: [1, 2], bytes: 65_536 });
  pairs.send(1, 20, 0x0a000007);
  pairs.send(2, 21, 0x0a000007);
  deepEqual(heard(listener).sort(), ["FIRST 1", "SECOND 2"]);
  await listener.follow([place(1)], pairs);
  deepEqual([pairs.isOpen(1), pairs.isOpen(2)], [true, false]);
  deepEqual(listener.outcome, { state: "working" });
  listener.stop(() => {}, NOBODY);
  equal(pairs.isOpen(1), false);
});

Deno.test("each kind has its own limit, and what it refuses is counted", async () => {
  using pairs = new Pairs();
  let now = 5_000;
  const listener = new RunningListener(card, choice(), () => now);
  await listener.follow([place(1)], pairs);
  const burst = () => {
    for (let round = 0; round < 3; round++) {
      pairs.send(1, 20, 0x0a000007, 9);
      heard(listener).forEach((type) => passed.push(type));
    }
  };
  const passed: string[] = [];
  burst();
  pairs.send(1, 21, 0x0a000007, 5);
  equal(passed.length, 11);
  equal(heard(listener).length, 5);
  deepEqual(listener.kernelCounts(), { produced: 32, limited: 16, ringFull: 0 });
  now += 1_000;
  burst();
  equal(passed.length, 22);
  listener.stop(() => {}, NOBODY);
});

Deno.test("what the card does not want is neither an event nor a loss", async () => {
  using pairs = new Pairs();
  const listener = new RunningListener(card, choice());
  await listener.follow([place(1)], pairs);
  pairs.send(1, 20, 0x0a000042, 7);
  deepEqual(heard(listener), []);
  deepEqual(listener.kernelCounts(), { produced: 0, limited: 0, ringFull: 0 });
  listener.stop(() => {}, NOBODY);
});

Deno.test("with pods listed: their namespaces, and what the host's say of them", async () => {
  using pairs = new Pairs();
  const listener = new RunningListener(card, choice({ pods: "shop/web-*" }));
  await listener.follow([place(1), place(2, "shop", "web-1"), place(3, "shop", "db-0")], pairs);
  deepEqual([...pairs.kernel.keys()], [1, 2]);
  pairs.send(1, 20, 0x0a000007, 2); // its address
  pairs.send(1, 20, 0x0a000008, 3);
  pairs.send(2, 20, 0x0a000008, 5);
  deepEqual(heard(listener, ADDRESSES).sort(), [
    ...Array(2).fill("FIRST 1"),
    ...Array(5).fill("FIRST 2"),
  ]);
  listener.configure(choice({ pods: "shop/db-0" }));
  await listener.follow([place(1), place(2, "shop", "web-1"), place(3, "shop", "db-0")], pairs);
  deepEqual([pairs.isOpen(1), pairs.isOpen(2), pairs.isOpen(3)], [true, false, true]);
  listener.stop(() => {}, NOBODY);
});

Deno.test("a kind that is not wanted is no event, and none wanted needs no socket", async () => {
  using pairs = new Pairs();
  const listener = new RunningListener(card, choice({ second: false }));
  await listener.follow([place(1)], pairs);
  deepEqual(pairs.orders[0]?.listening?.groups, [1]);
  pairs.send(1, 21, 0x0a000007, 3);
  deepEqual(heard(listener), []);
  listener.configure(choice({ first: false, second: false }));
  await listener.follow([place(1)], pairs);
  equal(pairs.isOpen(1), false);
  listener.stop(() => {}, NOBODY);
});

Deno.test("switched off it empties and closes its sockets, and its counts stay", async () => {
  using pairs = new Pairs();
  const listener = new RunningListener(card, choice());
  await listener.follow([place(1)], pairs);
  pairs.send(1, 20, 0x0a000007, 3);
  let last = 0;
  listener.stop(() => last++, NOBODY);
  equal(last, 3); // what its socket still had
  equal(pairs.isOpen(1), false);
  await listener.follow([place(1)], pairs);
  equal(pairs.orders.length, 1);
  deepEqual(listener.outcome, { state: "stopped" });
  deepEqual(listener.kernelCounts(), { produced: 3, limited: 0, ringFull: 0 });
});

Deno.test("where it cannot listen is told, and tried again after a while", async () => {
  using pairs = new Pairs();
  let now = 0;
  const listener = new RunningListener(card, choice(), () => now);
  pairs.fails = true;
  for (let second = 0; second < 9; second++) {
    now = second * 1_000;
    await listener.follow([place(1)], pairs);
  }
  equal(pairs.orders.length, 1);
  const { outcome } = listener;
  equal(outcome.state, "failed");
  match("because" in outcome ? outcome.because : "", /1 namespaces, the first: Cannot enter it/);
  pairs.fails = false;
  now = 10_000;
  await listener.follow([place(1)], pairs);
  deepEqual(listener.outcome, { state: "working" });
  listener.stop(() => {}, NOBODY);
});

Deno.test("what the kernel has not loaded is absent, and nothing is opened", async () => {
  using pairs = new Pairs();
  const netlink = { ...card.netlink, there: "/proc/self/there-is-none" };
  const listener = new RunningListener({ ...card, netlink }, choice());
  await listener.follow([place(1)], pairs);
  deepEqual(listener.outcome, {
    state: "absent",
    because: 'There is no "/proc/self/there-is-none"',
  });
  equal(pairs.orders.length, 0);
  listener.stop(() => {}, NOBODY);
});
