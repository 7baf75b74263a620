/**
 * bpf/include/kernel.h and fixes.h declare the kernel's types by hand. The loader finds where a
 * field lies, but its size is what the compiler believed; so each is compared with what the
 * running kernel has.
 */
import { equal, notEqual, ok } from "node:assert/strict";
import { layoutOf, type Member } from "@bpf/btf.ts";
import { readKernelBtf } from "@bpf/kernel_btf.ts";
import { ROOT } from "./tree.ts";

const INCLUDE = new URL("bpf/include/", ROOT).pathname;
/** Structs of kernel.h that only another architecture has. */
const ARCHITECTURE = Deno.build.arch === "aarch64" ? "arm64" : "x86";

const kernel = readKernelBtf();

/** The structs between the pragmas that make them the kernel's; bit fields have no size. */
function kernelStructs(header: string): string[] {
  const text = Deno.readTextFileSync(`${INCLUDE}${header}`);
  const begin = text.indexOf("#pragma clang attribute push");
  const end = text.indexOf("#pragma clang attribute pop");
  notEqual(begin, -1);
  const names = [...text.slice(begin, end).matchAll(/^struct (\w+) \{$/gm)].map(([, name]) => name);
  return names.filter((name) => name !== undefined).filter((name) => !name.endsWith("___bits"));
}

/** Both headers as clang lays them out, each struct by a variable of its type, or BTF drops it. */
function compile(header: string, structs: readonly string[]): Uint8Array {
  const version = /^LLVM=(\d+)$/m.exec(
    Deno.readTextFileSync(new URL("tools/versions.sh", ROOT)),
  )?.[1];
  const folder = Deno.makeTempDirSync();
  try {
    const variables = structs.map((name) => `struct ${name} variable_${name};`);
    Deno.writeTextFileSync(
      `${folder}/all.c`,
      [`#include "${header}"`, ...variables, ""].join("\n"),
    );
    const output = new Deno.Command(`clang-${version}`, {
      args: [
        ...["-g", "-O2", "-target", "bpf", `-D__TARGET_ARCH_${ARCHITECTURE}`, `-I${INCLUDE}`],
        ...["-c", `${folder}/all.c`, "-o", `${folder}/all.o`],
      ],
    }).outputSync();
    ok(output.success, new TextDecoder().decode(output.stderr));
    return Deno.readFileSync(`${folder}/all.o`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A struct by value is declared in part, so only its own fields can be compared. */
function isWhole({ ctype }: Member): boolean {
  return !ctype.startsWith("struct ") || ctype.endsWith("*");
}

Deno.test("every field in kernel.h is in the running kernel, with the size it has there", () => {
  const structs = kernelStructs("kernel.h");
  const object = compile("kernel.h", structs);
  let compared = 0;
  for (const name of structs) {
    for (const [field, member] of layoutOf(object, name).members) {
      const own = kernel.member("struct", name, field);
      ok(own !== undefined, `The kernel has no ${name}.${field}`);
      if (!isWhole(member)) continue;
      equal(member.size, own.size, `${name}.${field} is ${own.ctype} in the kernel`);
      compared += 1;
    }
  }
  ok(compared > structs.length, `only ${compared} fields of ${structs.length} structs`);
});

Deno.test("a field in fixes.h has the kernel's size, where the running kernel has it", () => {
  const structs = kernelStructs("fixes.h");
  const object = compile("fixes.h", structs);
  let compared = 0;
  for (const name of structs) {
    const plain = name.replace(/___\w+$/, "");
    notEqual(plain, name, `${name} belongs in kernel.h: it has no ___WHICH`);
    for (const [field, member] of layoutOf(object, name).members) {
      const own = kernel.member("struct", plain, field);
      if (own === undefined || !isWhole(member)) continue;
      equal(member.size, own.size, `${plain}.${field} is ${own.ctype} in the kernel`);
      compared += 1;
    }
  }
  notEqual(compared, 0, "the running kernel has none of them: the names must be wrong");
});

Deno.test("every block of fixes.h names its kernel commit, and when to delete it", () => {
  const text = Deno.readTextFileSync(`${INCLUDE}fixes.h`);
  const types = text.slice(0, text.indexOf("#pragma clang attribute pop"));
  const blocks = [...types.matchAll(/^\/\*\n( \*.*\n)+ \*\/$/gm)].map(([block]) => block).slice(1);
  ok(blocks.length > 0);
  for (const block of blocks) {
    ok(/ [0-9a-f]{12}\b/.test(block) && /Delete .*when the floor\s+\*?\s*is/.test(block), block);
  }
});
