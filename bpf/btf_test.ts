import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { btfOf, layoutOf } from "./btf.ts";
import { contentsOf } from "./elf.ts";
import { readKernelBtf } from "./kernel_btf.ts";
import { compile } from "./testdata/compile.ts";

const object = compile("counting", ["RING_BYTES=16384"]);

Deno.test("layoutOf names types as C does, so that codecs can tell __be16 from __u16", () => {
  const { size, members } = layoutOf(object, "counting_event");
  strictEqual(size, 88);
  deepStrictEqual(
    [...members].map(([name, { ctype, offset, size }]) => [name, ctype, offset, size]),
    [
      ["at", "boot_ns", 0, 8],
      ["number", "__u32", 8, 4],
      ["length", "__u16", 12, 2],
      ["port", "__be16", 14, 2],
      ["address", "struct ip_addr", 16, 16],
      ["name", "char[16]", 32, 16],
      ["words", "__u64[4]", 48, 32],
      ["pad", "__u8[8]", 80, 8],
    ],
  );
});

Deno.test("layoutOf refuses bit fields, because they have no offset in bytes", () => {
  throws(() => layoutOf(object, "counting_bits"), {
    name: "SyntaxError",
    message: "Cannot lay out counting_bits.low as it is a bit field: its offset is 0 bits",
  });
});

Deno.test("layoutOf says which struct the object does not have", () => {
  throws(() => layoutOf(object, "counting_nothing"), {
    name: "RangeError",
    message: 'Cannot find struct "counting_nothing" as the BTF of the object does not mention it',
  });
});

Deno.test("layoutOf says that a truncated object is cut short", () => {
  throws(() => layoutOf(object.subarray(0, 6_007), "counting_event"), {
    name: "SyntaxError",
    message: "Cannot read the BPF object as it is cut short: its section table is missing",
  });
  throws(() => layoutOf(new Uint8Array(0), "counting_event"), /it has only 0 bytes/);
  throws(() => layoutOf(new TextEncoder().encode("#!/bin/sh\n".repeat(10)), "x"), /as an ELF file/);
});

Deno.test("an object's programs and maps are those that libbpf would make", () => {
  const { programs, maps } = contentsOf(object);
  deepStrictEqual(programs, [
    { name: "count_calls", section: "raw_tp/sys_enter" },
    { name: "count_threads", section: "iter/task" },
    { name: "produce_mixed", section: "syscall" },
    { name: "produce_events", section: "syscall" },
  ]);
  deepStrictEqual([...maps].sort(), [
    "devices",
    "events",
    "lost",
    "parameters",
    "plain",
    "totals",
  ]);
});

/** Mulberry32: a seed gives the same numbers on every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

Deno.test("reading a damaged object throws SyntaxError or RangeError and nothing else", () => {
  const next = random(20_251_121);
  const outcomes = { read: 0, SyntaxError: 0, RangeError: 0 };
  for (let round = 0; round < 3_001; round++) {
    const length = next() < 0.3 ? Math.floor(next() * object.length) : object.length;
    const damaged = object.slice(0, length);
    for (let change = Math.floor(next() * 8); change >= 0; change--) {
      damaged[Math.floor(next() * length)] = Math.floor(next() * 256);
    }
    try {
      contentsOf(damaged);
      layoutOf(damaged, "counting_event");
      outcomes.read++;
    } catch (error) {
      ok(error instanceof SyntaxError || error instanceof RangeError, `round ${round}: ${error}`);
      ok(error.message.startsWith("Cannot "), `round ${round}: ${error}`);
      outcomes[error instanceof SyntaxError ? "SyntaxError" : "RangeError"]++;
    }
  }
  ok(outcomes.read > 100 && outcomes.SyntaxError > 100, JSON.stringify(outcomes));
});

Deno.test("reading damaged BTF throws SyntaxError or RangeError and nothing else", () => {
  const next = random(47);
  const start = object.findIndex((_, at) => object[at] === 0x9f && object[at + 1] === 0xeb);
  const outcomes = { read: 0, failed: 0 };
  for (let round = 0; round < 3_001; round++) {
    const damaged = object.slice();
    for (let change = 0; change < 4; change++) {
      damaged[start + Math.floor(next() * 3_000)] = Math.floor(next() * 256);
    }
    try {
      const btf = btfOf(damaged);
      btf.layout("counting_event");
      btf.words("bpf_map_type");
      btf.tracepointArguments("kfree_skb");
      outcomes.read++;
    } catch (error) {
      ok(error instanceof SyntaxError || error instanceof RangeError, `round ${round}: ${error}`);
      ok(error.message.startsWith("Cannot "), `round ${round}: ${error}`);
      outcomes.failed++;
    }
  }
  ok(outcomes.read > 100 && outcomes.failed > 100, JSON.stringify(outcomes));
});

/** What bpftool makes of the kernel's BTF, its words between two lines that start a type. */
function bpftoolSays(kind: string, name: string): string {
  const args = ["btf", "dump", "file", "/sys/kernel/btf/vmlinux"];
  const { stdout } = new Deno.Command("bpftool", { args }).outputSync();
  const text = new TextDecoder().decode(stdout);
  const start = text.indexOf(`] ${kind} '${name}'`);
  ok(start >= 0, `bpftool knows no ${kind} ${name}`);
  return text.slice(start, text.indexOf("\n[", start));
}

Deno.test("the kernel's enums have the words that bpftool shows", () => {
  const shown = new Map<number, string>();
  const rows = bpftoolSays("ENUM", "skb_drop_reason").matchAll(/'(\w+)' val=(\d+)/g);
  for (const [, word = "", value] of rows) {
    if (!shown.has(Number(value))) shown.set(Number(value), word);
  }
  ok(shown.size > 50);
  deepStrictEqual(readKernelBtf().words("skb_drop_reason"), shown);
});

Deno.test("the kernel's structs have the sizes that bpftool shows", () => {
  const btf = readKernelBtf();
  const size = /size=(\d+)/.exec(bpftoolSays("STRUCT", "sk_buff"))?.[1];
  strictEqual(btf.sizeOf("struct", "sk_buff"), Number(size));
  deepStrictEqual(btf.member("struct", "sock_common", "skc_dport"), {
    ctype: "__be16",
    size: 2,
    offset: 12,
  });
  strictEqual(btf.member("struct", "sock_common", "no_such_field"), undefined);
  strictEqual(btf.has("struct", "sk_buff"), true);
  strictEqual(btf.has("typedef", "sk_buff"), false);
});

Deno.test("the kernel's BTF answers within 100 ms, because the agent waits for it", () => {
  const fastest = Math.min(...Array.from({ length: 3 }, () => {
    const start = performance.now();
    const btf = readKernelBtf();
    ok(btf.words("skb_drop_reason") !== undefined && !btf.has("func", "no_such_function"));
    return performance.now() - start;
  }));
  ok(fastest < 100, `it took ${fastest} ms`);
});

/** Prints how many words an enum has, and the bytes that they leave in memory. */
const KEEP_WORDS = `
  const { readKernelBtf } = await import(Deno.args[0]);
  const used = () => {
    gc();
    return Deno.memoryUsage().heapUsed;
  };
  readKernelBtf();
  const before = used();
  globalThis.words = readKernelBtf().words("skb_drop_reason");
  console.log(words.size, used() - before);
`;

Deno.test("names of an enum do not keep the string table, of megabytes, in memory", async () => {
  const script = `data:text/javascript,${encodeURIComponent(KEEP_WORDS)}`;
  const module = new URL("./kernel_btf.ts", import.meta.url).href;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--v8-flags=--expose-gc", script, module],
    stderr: "inherit",
  }).output();
  const [words = 0, bytes = 0] = new TextDecoder().decode(stdout).trim().split(" ").map(Number);
  ok(words > 60, `${words} words`);
  // What the runtime itself does meanwhile is in it.
  ok(bytes < 1_000_000, `${bytes} bytes`);
});
