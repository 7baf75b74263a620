import assert from "node:assert/strict";
import { build, CompileError } from "./build.ts";

const SOURCE = `#include "pair.h"
const struct pair *anchor __attribute__((unused));
__attribute__((section("license"), used)) char LICENSE[] = "GPL";
__attribute__((section("raw_tp/sys_enter"), used)) int enter(void *context)
{
	return FIRST;
}
`;

const HEADER = `#define FIRST 1
struct pair {
	int first;
	int second;
};
`;

/** A tree with one probe of two hook sets, which share a header in bpf/include/. */
async function withTree(test: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "podskoop-build-" });
  try {
    await Deno.mkdir(`${root}/bpf/include`, { recursive: true });
    await Deno.mkdir(`${root}/probes/pair`, { recursive: true });
    await Deno.writeTextFile(`${root}/bpf/include/pair.h`, HEADER);
    await Deno.writeTextFile(`${root}/probes/pair/pair.bpf.c`, SOURCE);
    await Deno.writeTextFile(`${root}/probes/pair/pair_kprobe.bpf.c`, SOURCE);
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const BOTH = ["probes/pair/pair.bpf.c", "probes/pair/pair_kprobe.bpf.c"];

Deno.test("build compiles every hook set once, and again only what changed", async () => {
  await withTree(async (root) => {
    assert.deepEqual(await build(root), { compiled: BOTH, upToDate: [] });
    assert.deepEqual(await build(root), { compiled: [], upToDate: BOTH });

    await Deno.writeTextFile(`${root}/bpf/include/pair.h`, HEADER.replace("FIRST 1", "FIRST 2"));
    assert.deepEqual(await build(root), { compiled: BOTH, upToDate: [] });

    await Deno.writeTextFile(`${root}/probes/pair/pair_kprobe.bpf.c`, `${SOURCE}\nint other;\n`);
    assert.deepEqual(await build(root), { compiled: [BOTH[1]], upToDate: [BOTH[0]] });

    // A header that comes first in the search path: no file that was read before has changed.
    await Deno.writeTextFile(`${root}/probes/pair/pair.h`, HEADER.replace("FIRST 1", "FIRST 3"));
    assert.deepEqual(await build(root), { compiled: BOTH, upToDate: [] });
  });
});

Deno.test("build replaces an object that something else has written to or removed", async () => {
  await withTree(async (root) => {
    await build(root);
    const object = `${root}/probes/pair/pair.bpf.o`;
    const built = await Deno.readFile(object);
    await Deno.writeTextFile(object, "not an object");
    assert.deepEqual((await build(root)).compiled, [BOTH[0]]);
    await Deno.remove(object);
    assert.deepEqual((await build(root)).compiled, [BOTH[0]]);
    assert.deepEqual(await Deno.readFile(object), built);
  });
});

Deno.test("build keeps BTF, and gives equal objects in different folders", async () => {
  const objects: string[] = [];
  for (const _ of ["here", "there"]) {
    await withTree(async (root) => {
      await build(root);
      objects.push(await Deno.readTextFile(`${root}/probes/pair/pair.bpf.o`));
    });
  }
  assert.equal(objects[0], objects[1]);
  assert.match(objects[0] ?? "", /\.BTF\0/);
  assert.match(objects[0] ?? "", /second/);
  assert.doesNotMatch(objects[0] ?? "", /debug_info/);
});

Deno.test("build shows what clang says, keeps the old object, and compiles the rest", async () => {
  await withTree(async (root) => {
    await build(root);
    const before = await Deno.readFile(`${root}/probes/pair/pair.bpf.o`);
    await Deno.writeTextFile(`${root}/probes/pair/pair.bpf.c`, "int f(void) { return missing; }\n");
    await Deno.writeTextFile(`${root}/probes/pair/pair_kprobe.bpf.c`, `${SOURCE}\nint other;\n`);
    await assert.rejects(build(root), (error) => {
      assert(error instanceof AggregateError);
      assert.equal(error.message, "Cannot compile 1 of 2 files");
      const [failure] = error.errors;
      assert(failure instanceof CompileError);
      assert.match(failure.message, /^Cannot run "clang-19 .*pair\.bpf\.c/);
      assert.match(failure.message, /undeclared identifier 'missing'/);
      return true;
    });
    assert.deepEqual(await Deno.readFile(`${root}/probes/pair/pair.bpf.o`), before);
    const names = (await Array.fromAsync(Deno.readDir(`${root}/probes/pair`))).map((e) => e.name);
    assert.deepEqual(names.filter((name) => /\.o\.\d+$/.test(name)), []);
    await Deno.remove(`${root}/probes/pair/pair.bpf.c`);
    assert.deepEqual(await build(root), { compiled: [], upToDate: [BOTH[1]] });
  });
});

Deno.test("build compiles wasm/ when there is one", async () => {
  await withTree(async (root) => {
    await Deno.mkdir(`${root}/wasm`);
    await Deno.writeTextFile(
      `${root}/wasm/pair.wasm.c`,
      `#include "pair.h"
__attribute__((export_name("pair_bytes"))) int pair_bytes(void)
{
	return sizeof(struct pair);
}
`,
    );
    assert.deepEqual((await build(root)).compiled, [...BOTH, "wasm/pair.wasm.c"]);
    const { instance } = await WebAssembly.instantiate(
      await Deno.readFile(`${root}/wasm/pair.wasm`),
    );
    const { pair_bytes: bytes } = instance.exports;
    assert(typeof bytes === "function");
    assert.equal(bytes(), 8);
  });
});
