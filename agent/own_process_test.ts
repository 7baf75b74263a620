import assert from "node:assert/strict";
import { feed, kill, startOwn } from "./own_process.ts";

function program(text: string): Deno.ChildProcess {
  const command = new Deno.Command("sh", {
    args: ["-c", text],
    ...{ stdin: "piped", stdout: "piped", stderr: "null" },
  });
  return command.spawn();
}

Deno.test("a process is fed to its end, also one that does not read", async () => {
  const reads = program("cat");
  const text = new Response(reads.stdout).text();
  await feed(reads, "shop/cart\n");
  assert.equal(await text, "shop/cart\n");
  assert.equal((await reads.status).code, 0);
  // More than a pipe has room for, so that it is written to after the end.
  const ends = program("exit 7");
  await feed(ends, "x".repeat(1_000_000));
  assert.equal((await ends.status).code, 7);
  const ended = program("exit 7");
  await ended.status;
  await feed(ended, "y");
  await Promise.all([ends.stdout.cancel(), ended.stdout.cancel()]);
});

Deno.test("a process is killed, also one that has ended", async () => {
  const child = program("exec sleep 60");
  kill(child);
  assert.equal((await child.status).signal, "SIGKILL");
  kill(child);
  await Promise.all([child.stdin.close(), child.stdout.cancel()]);
});

Deno.test("this program is what runs", async () => {
  const child = startOwn(["version"]);
  const [said] = await Promise.all([new Response(child.stdout).text(), feed(child, "")]);
  assert.match(said, /^podskoop /);
  await Promise.all([child.status, child.stderr.cancel()]);
});

Deno.test("a program whose file was replaced is run from where it was", async () => {
  const child = startOwn(["version"], `${Deno.execPath()} (deleted)`);
  const [said] = await Promise.all([new Response(child.stdout).text(), feed(child, "")]);
  assert.match(said, /^podskoop /);
  await Promise.all([child.status, child.stderr.cancel()]);
  assert.throws(
    () => startOwn(["version"], "/nowhere/podskoop (deleted)"),
    /^Error: Cannot run "\/nowhere\/podskoop" as it is no longer there: restart the agent$/,
  );
});
