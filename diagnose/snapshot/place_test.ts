import assert from "node:assert/strict";
import { join } from "node:path";
import { EAGAIN, ENOENT, readTextBelow } from "../../agent/namespaces/libc.ts";

Deno.test("a file of someone else's root is read without leaving it, and without waiting", () => {
  const root = Deno.makeTempDirSync({ prefix: "podskoop-root-" });
  const outside = Deno.makeTempFileSync({ prefix: "podskoop-outside-" });
  try {
    Deno.mkdirSync(join(root, "etc"));
    Deno.writeTextFileSync(join(root, "etc/hosts"), "0123456789");
    Deno.writeTextFileSync(outside, "secret");
    Deno.symlinkSync("/etc/hosts", join(root, "etc/inside"));
    Deno.symlinkSync(outside, join(root, "etc/absolute"));
    Deno.symlinkSync(`../../../../../..${outside}`, join(root, "etc/relative"));
    Deno.symlinkSync("/dev/zero", join(root, "etc/endless"));
    const pipe = new Deno.Command("mkfifo", { args: [join(root, "etc/pipe")] }).outputSync();
    assert.ok(pipe.success);
    const read = (name: string, bytes = 64) => readTextBelow(root, `etc/${name}`, bytes);
    assert.equal(read("hosts"), "0123456789");
    assert.equal(read("hosts", 7), "0123456");
    assert.equal(read("inside"), "0123456789");
    for (const name of ["absolute", "relative", "endless", "none"]) {
      assert.equal(read(name), -ENOENT, name);
    }
    // Nobody writes to the pipe: it is at its end.
    assert.ok(["", -EAGAIN].includes(read("pipe")));
  } finally {
    Deno.removeSync(root, { recursive: true });
    Deno.removeSync(outside);
  }
});
