import assert from "node:assert/strict";
import { MOUNTS_MAX, MountWatch, netnsMounts } from "./mounts.ts";

Deno.test("mounts are those whose root is a network namespace, the later of two", () => {
  const text = [
    "22 27 0:21 / /proc rw,relatime - proc proc rw",
    "40 27 0:4 net:[4026532177] /run/netns/blue rw shared:7 - nsfs nsfs rw",
    "41 27 0:4 mnt:[4026532178] /run/snapd/ns/x.mnt rw - nsfs nsfs rw",
    "42 27 0:4 net:[4026532180] /run/netns/a\\040b\\134c rw - nsfs nsfs rw",
    "43 27 0:4 net:[4026532181] /run/netns/blue rw - nsfs nsfs rw",
    "44 27 0:4 /net:[4026532182] /run/netns/no rw - tmpfs tmpfs rw",
    "garbage net:[",
    "",
  ].join("\n");
  assert.deepEqual(netnsMounts(text, "/proc/1/root"), {
    mounts: [
      { inum: 4026532181, path: "/run/netns/blue", opens: "/proc/1/root/run/netns/blue" },
      { inum: 4026532180, path: "/run/netns/a b\\c", opens: "/proc/1/root/run/netns/a b\\c" },
    ],
    refused: 0,
  });
});

Deno.test("mounts beyond the bound are counted", () => {
  const lines = Array.from(
    { length: MOUNTS_MAX + 13 },
    (_, index) => `1 1 0:4 net:[${index + 1}] /run/netns/n${index} rw - nsfs nsfs rw`,
  );
  const { mounts, refused } = netnsMounts(lines.join("\n"));
  assert.equal(mounts.length, MOUNTS_MAX);
  assert.equal(refused, 13);
});

Deno.test("a watch of the mounts ends while it waits", async () => {
  const watch = new MountWatch(() => {});
  watch.start();
  await watch.close();
  await watch.close();
});

/** The mount tables that are open, by their paths. */
function openTables(): readonly string[] {
  const paths = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  });
  return paths.filter((path) => path.endsWith("/mountinfo"));
}

Deno.test("a watch of the mounts has all it will have open from its start to its end", async () => {
  assert.deepEqual(openTables(), []);
  const watch = new MountWatch(() => {});
  watch.start();
  const tables = openTables();
  // One to wait on, and one to ask.
  for (const path of tables) assert.equal(tables.filter((other) => other === path).length, 2);
  assert.ok(tables.length > 0);
  await watch.close();
  assert.deepEqual(openTables(), []);
});

Deno.test("a watch of mounts that cannot be had does nothing", async () => {
  const watch = new MountWatch(() => assert.fail("There is nothing to see"), "/nowhere");
  watch.start();
  await watch.close();
});

/** Waits often enough for the code to be compiled, and then while all garbage is collected. */
const WAIT_AND_COLLECT = `
  const { open, openWaker, wake, whenMountsChange } = await import(Deno.args[0]);
  const ready = openWaker();
  wake(ready);
  for (let turn = 0; turn < 20_000; turn++) await whenMountsChange([], ready);
  const mounts = open("/proc/self/mountinfo");
  for (let turn = 0; turn < 7; turn++) {
    const waker = openWaker();
    const waiting = whenMountsChange([mounts], waker);
    for (let time = 0; time < 2; time++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      gc();
    }
    wake(waker);
    await waiting;
  }
  console.log("alive");
`;

Deno.test("what the kernel writes to at the end of a wait is kept until then", async () => {
  const script = `data:text/javascript,${encodeURIComponent(WAIT_AND_COLLECT)}`;
  const module = new URL("./libc.ts", import.meta.url).href;
  const { code, stdout } = await new Deno.Command("timeout", {
    args: [
      ...["--signal=KILL", "60", Deno.execPath(), "run", "-A", "--no-check"],
      ...["--v8-flags=--expose-gc", script, module],
    ],
    stderr: "null",
  }).output();
  assert.deepEqual({ code, said: new TextDecoder().decode(stdout) }, { code: 0, said: "alive\n" });
});
