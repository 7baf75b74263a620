import { deepEqual, ok, throws } from "node:assert/strict";
import { findKernelBtf, namesOfCopies, readKernelBtf } from "./kernel_btf.ts";

const OWN = "/sys/kernel/btf/vmlinux";

/** A directory with these files. */
async function withFiles(
  files: readonly string[],
  use: (dir: string) => void,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const file of files) {
      await Deno.mkdir(`${dir}/${file}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${dir}/${file}`, "");
    }
    use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("the kernel's own BTF goes before any copy", () => {
  deepEqual(findKernelBtf("/sys", "6.1.0-1", "/nonexistent"), { path: OWN, isCopy: false });
});

Deno.test("a copy is the file that is named, or that of the release in a directory", async () => {
  deepEqual(findKernelBtf("/nonexistent", "6.1.0-1", OWN), { path: OWN, isCopy: true });
  const names = namesOfCopies("6.1.0-1");
  for (const name of names) {
    // Of several that are there, the first of the names counts.
    const files = ["5.10.0.btf", ...names.slice(names.indexOf(name))];
    await withFiles(files, (dir) => {
      const found = findKernelBtf("/nonexistent", "6.1.0-1", dir);
      deepEqual(found, { path: `${dir}/${name}`, isCopy: true });
    });
  }
});

Deno.test("a copy that is not there is named, and a directory says what it lacks", async () => {
  throws(
    () => findKernelBtf("/nonexistent", "6.1.0-1", undefined),
    /"\/nonexistent\/kernel\/btf\/vmlinux" is not there \(.*--btf FILE\)$/,
  );
  throws(
    () => findKernelBtf("/nonexistent", "6.1.0-1", "/nowhere/btf"),
    /is not there, and no copy "\/nowhere\/btf" either$/,
  );
  await withFiles(["5.10.0.btf"], (dir) => {
    throws(
      () => findKernelBtf("/nonexistent", "6.1.0-1", dir),
      /no copy for this kernel: 6\.1\.0-1\.btf, vmlinux-6\.1\.0-1, 6\.1\.0-1\/vmlinux$/,
    );
  });
});

Deno.test("BTF is read from a file, and not from one that is far too large", async () => {
  ok(readKernelBtf(OWN).has("struct", "sk_buff"));
  const large = await Deno.makeTempFile();
  try {
    await Deno.truncate(large, (64 << 20) + 1);
    throws(() => readKernelBtf(large), { name: "RangeError", message: /^it has 67108865 bytes/ });
  } finally {
    await Deno.remove(large);
  }
});
