import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { Attributes, BPF, bpf, buffer, close } from "../bpf/libc.ts";
import { openPin } from "../bpf/maps.ts";
import { type Attached, loadObject } from "../bpf/object.ts";
import { compile } from "../bpf/testdata/compile.ts";
import { onKernel } from "../bpf/testdata/lab.ts";
import { type Occupancy, Tables } from "./occupancy.ts";

const PLACES = { parking: { struct: "place", owner: "owner" } };

/** Has a program of `tables.bpf.c` do what it does with `number` keys from `first` on. */
function order(attached: Attached, program: string, first: number, number: number): void {
  const value = new Uint8Array(new Uint32Array([first, number]).buffer);
  attached.map("order").update(buffer(4), value);
  const fd = openPin(`${attached.dir}/progs/${program}`);
  try {
    bpf(BPF.PROG_TEST_RUN, new Attributes(80).u32(0, fd), `run "${program}"`);
  } finally {
    close(fd);
  }
}

function onTables(
  name: string,
  test: (attached: Attached, of: (map: string) => Occupancy | undefined) => void,
): void {
  onKernel(name, async (pinDir) => {
    const bytes = compile("tables");
    const attached = await loadObject({ name: "tables", bytes, pinDir });
    const tables = new Tables(attached, bytes, { places: PLACES });
    try {
      test(attached, (wanted) => tables.read().find(({ map }) => map === wanted));
    } finally {
      await attached.remove();
    }
  });
}

onTables("a full hash table refuses, and says how often", (attached, of) => {
  deepStrictEqual(of("refusing"), { map: "refusing", entries: 0, entriesMax: 97, refusals: 0 });
  order(attached, "add", 0, 211);
  deepStrictEqual(of("refusing"), { map: "refusing", entries: 97, entriesMax: 97, refusals: 114 });
  order(attached, "remove", 3, 13);
  deepStrictEqual(of("refusing"), { map: "refusing", entries: 84, entriesMax: 97, refusals: 114 });
  // What is there already takes no room.
  order(attached, "add", 0, 3);
  deepStrictEqual(of("refusing"), { map: "refusing", entries: 84, entriesMax: 97, refusals: 114 });
});

onTables("a table of the least recently used says what it pushed out", (attached, of) => {
  order(attached, "add", 0, 499);
  order(attached, "add", 0, 499);
  deepStrictEqual(of("forgetting"), {
    map: "forgetting",
    entries: 499,
    entriesMax: 1024,
    evictions: 0,
    refusals: 0,
  });
  order(attached, "remove", 0, 101);
  order(attached, "add", 5_000, 4_999);
  const { entries = 0, evictions } = of("forgetting") ?? {};
  let walked = 0;
  attached.map("forgetting").read(() => void walked++);
  strictEqual(entries, walked);
  ok(entries > 128 && entries <= 1024, `${entries}`);
  strictEqual(evictions, 499 - 101 + 4_999 - entries);
});

onTables("a table of places says how many are taken, and by how many others", (attached, of) => {
  order(attached, "park", 0, 239);
  const parking = { map: "parking", entriesMax: 256, refusals: 0 };
  deepStrictEqual(of("parking"), { ...parking, entries: 239, evictions: 0 });
  order(attached, "park", 0, 23);
  order(attached, "park", 239, 19);
  deepStrictEqual(of("parking"), { ...parking, entries: 256, evictions: 25 });
});

onKernel("a place's owner must be a field that can be looked for", async (pinDir) => {
  const bytes = compile("tables");
  const attached = await loadObject({ name: "tables", bytes, pinDir });
  try {
    const places = { parking: { struct: "order", owner: "first" } };
    throws(() => new Tables(attached, bytes, { places }), {
      name: "TypeError",
      message: 'Cannot look for "first" in order: it is no __u64 of it',
    });
  } finally {
    await attached.remove();
  }
});
