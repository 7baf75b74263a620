import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import {
  address,
  be16,
  bitmapOf,
  decoder,
  encode,
  kernelEnum,
  latencies,
  LATENCY_BUCKETS,
  netns,
  oneOf,
  shortName,
  stack,
  STACK_FRAMES_MAX,
  struct,
  total,
  u16,
} from "./schema.ts";
import type { Layout } from "../bpf/btf.ts";

const noWords = () => new Map<number, string>();

function layout(members: Record<string, [ctype: string, offset: number, size: number]>): Layout {
  const entries = Object.entries(members);
  const size = Math.max(...entries.map(([, [, offset, length]]) => offset + length));
  return {
    name: "probe_event",
    size,
    members: new Map(entries.map(([name, [ctype, offset, length]]) => [
      name,
      { ctype, offset, size: length },
    ])),
  };
}

function bytesOf(...values: number[]): DataView {
  return new DataView(Uint8Array.from(values).buffer);
}

Deno.test("decoder reads each field where the layout has it", () => {
  const decode = decoder(
    struct("probe_event", { remote_port: be16, local_port: u16 }),
    layout({ local_port: ["__u16", 0, 2], remote_port: ["__be16", 2, 2] }),
    noWords,
  );
  deepStrictEqual(decode(bytesOf(0x39, 0x30, 0x30, 0x39), 0, 4), {
    remote_port: 12345,
    local_port: 12345,
  });
});

Deno.test(
  "decoder refuses a port read in the wrong byte order, with both types in the " +
    "message",
  () => {
    throws(
      () =>
        decoder(struct("probe_event", { port: u16 }), layout({ port: ["__be16", 0, 2] }), noWords),
      /probe_event\.port: it is __be16 in C, the schema reads __u16/,
    );
  },
);

Deno.test("decoder refuses a field that one side has and the other lacks, but for padding", () => {
  const two = layout({ a: ["__u16", 0, 2], b: ["__u16", 2, 2], pad: ["__u16", 4, 2] });
  throws(() => decoder(struct("probe_event", { a: u16 }), two, noWords), /leaves out "b"/);
  throws(() => decoder(struct("probe_event", { c: u16 }), two, noWords), /no such field/);
  decoder(struct("probe_event", { a: u16, b: u16 }), two, noWords);
});

Deno.test("decoder refuses a record that is too short", () => {
  const decode = decoder(
    struct("probe_event", { a: u16 }),
    layout({ a: ["__u16", 0, 2] }),
    noWords,
  );
  throws(() => decode(bytesOf(1), 0, 1), /must have 2 bytes: current length is 1/);
});

Deno.test("address prints what inet_ntop prints", () => {
  const print = (...groups: number[]) => {
    const view = new DataView(new ArrayBuffer(16));
    groups.forEach((group, index) => view.setUint16(index * 2, group));
    return address.read(view, 0);
  };
  strictEqual(print(0, 0, 0, 0, 0, 0xffff, 0x0a00, 0x0007), "10.0.0.7");
  strictEqual(print(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), "2001:db8::1");
  strictEqual(print(0, 0, 0, 0, 0, 0, 0, 0), "::");
  strictEqual(print(0, 0, 0, 0, 0, 0, 0, 1), "::1");
  strictEqual(print(0xfe80, 0, 0, 0, 0, 0, 0, 0), "fe80::");
  strictEqual(print(1, 0, 0, 2, 0, 0, 0, 3), "1:0:0:2::3");
  strictEqual(print(1, 0, 2, 3, 4, 5, 6, 7), "1:0:2:3:4:5:6:7");
  strictEqual(print(1, 0, 0, 2, 3, 0, 0, 4), "1::2:3:0:0:4");
  strictEqual(print(0xfd00, 0xaaaa, 1, 2, 3, 4, 5, 0xffff), "fd00:aaaa:1:2:3:4:5:ffff");
});

Deno.test("total is exact up to 2^53 - 1", () => {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(Number.MAX_SAFE_INTEGER), true);
  strictEqual(total.read(view, 0), Number.MAX_SAFE_INTEGER);
});

Deno.test("netns reads the cookie and the inode number", () => {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, 4097n, true);
  view.setUint32(8, 4026531840, true);
  deepStrictEqual(netns.read(view, 0), { cookie: 4097n, inum: 4026531840 });
});

Deno.test("shortName replaces terminal escapes and stops at NUL", () => {
  const view = new DataView(new TextEncoder().encode("a\u001b[31mb\u0000trailing!!!!").buffer);
  strictEqual(shortName.read(view, 0), "a?[31mb");
});

Deno.test("stack stops at the first zero frame and never reads past its array", () => {
  const view = new DataView(new ArrayBuffer(STACK_FRAMES_MAX * 8));
  view.setBigUint64(0, 0xffffffff81000001n, true);
  view.setBigUint64(16, 5n, true);
  deepStrictEqual(stack.read(view, 0), [0xffffffff81000001n]);
  for (let index = 0; index < STACK_FRAMES_MAX; index++) view.setBigUint64(index * 8, 1n, true);
  strictEqual(stack.read(view, 0).length, STACK_FRAMES_MAX);
});

Deno.test("oneOf names a number, and a number without a name is unknown", () => {
  const codec = oneOf({ 1: "sent", 2: "received" });
  deepStrictEqual([1, 2, 3].map((byte) => codec.read(bytesOf(byte), 0)), [
    "sent",
    "received",
    "unknown",
  ]);
});

Deno.test("kernelEnum takes its words from the running kernel, without the prefix", () => {
  const codec = kernelEnum("drop_reason", "skb_drop_reason", "SKB_DROP_REASON_");
  const bound = codec.bind?.(() =>
    new Map([[2, "SKB_DROP_REASON_NOT_SPECIFIED"], [1, "SKB_CONSUMED"]])
  );
  deepStrictEqual([1, 2, 9].map((word) => bound?.read(bytesOf(word, 0, 0, 0), 0)), [
    "SKB_CONSUMED",
    "NOT_SPECIFIED",
    "UNKNOWN",
  ]);
});

Deno.test("encode writes flags, numbers and bitmaps where the layout has them", () => {
  const parameters = layout({
    on: ["__u8", 0, 1],
    rate: ["__u32", 4, 4],
    slow_ns: ["__u64", 8, 8],
    normal: ["__u64[2]", 16, 16],
  });
  const bytes = encode(parameters, {
    on: true,
    rate: 50,
    slow_ns: 1_000_000,
    normal: [1n, 1n << 63n],
  });
  const view = new DataView(bytes.buffer);
  strictEqual(view.getUint8(0), 1);
  strictEqual(view.getUint32(4, true), 50);
  strictEqual(view.getBigUint64(8, true), 1_000_000n);
  strictEqual(view.getBigUint64(24, true), 1n << 63n);
  throws(() => encode(parameters, { off: 1 }), /probe_event\.off: the struct has no such field/);
  throws(() => encode(parameters, { normal: [1n, 2n, 3n] }), /the value has 3 words/);
});

Deno.test(
  "bitmapOf sets the bit of each word that the kernel has, with or without the " +
    "prefix",
  () => {
    const words = new Map([[1, "SKB_CONSUMED"], [2, "SKB_DROP_REASON_NOT_SPECIFIED"], [
      104,
      "SKB_DROP_REASON_QUEUE_PURGE",
    ]]);
    deepStrictEqual(
      bitmapOf(
        words,
        "SKB_DROP_REASON_",
        ["SKB_CONSUMED", "QUEUE_PURGE", "NOT_IN_THIS_KERNEL"],
        256,
      ),
      [2n, 1n << 40n, 0n, 0n],
    );
  },
);

Deno.test("latencies have the bounds that the kernel side counts by", async () => {
  const header = await Deno.readTextFile(new URL("../bpf/include/histogram.h", import.meta.url));
  const bounds = [...header.matchAll(/(\d+)ull/g)].map(([, ns]) => Number(ns) / 1e9);
  deepStrictEqual(bounds, LATENCY_BUCKETS);
  strictEqual(Number(/define LATENCY_BUCKETS (\d+)/.exec(header)?.[1]), LATENCY_BUCKETS.length + 1);
});

Deno.test("latencies read the counts, and the sum in seconds", () => {
  const view = new DataView(new ArrayBuffer(21 * 8));
  view.setBigUint64(0, 1_500_000_000n, true);
  view.setBigUint64(8 + 6 * 8, 23n, true);
  const { counts, sum } = latencies.read(view, 0);
  deepStrictEqual([counts.length, counts[6], sum], [20, 23, 1.5]);
});
