import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { printable } from "./log.ts";

/** A file with a program that logs. */
async function programOf(body: string): Promise<string> {
  const url = new URL("./log.ts", import.meta.url);
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, `import { entriesLost, log } from "${url}"; ${body}`);
  return file;
}

/** Runs a program that logs; what it said, and its standard error, which is read at its end. */
async function logging(body: string, redirection = ""): Promise<readonly [string, string]> {
  const file = await programOf(body);
  const child = new Deno.Command("sh", {
    args: ["-c", `exec "$0" run --no-check --quiet -A ${file} ${redirection}`, Deno.execPath()],
    env: { JOURNAL_STREAM: "8:1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const said = await new Response(child.stdout).text();
  await child.status;
  const logged = await new Response(child.stderr).text();
  await Deno.remove(file);
  return [said, logged];
}

Deno.test("an entry is a line with its severity, and no control character", async () => {
  const body = 'log.debug("no"); log.info("a\\u001b[2Jb", { what: "x y", times: 7 });';
  deepStrictEqual(await logging(body), ["", '<6>a?[2Jb what="x y" times=7\n']);
  strictEqual(printable("a\u202eb"), "a?b");
});

Deno.test("entries that cannot be written are counted, and end nothing", async () => {
  const body = "for (let index = 0; index < 7; index++) log.error(`${index}`); " +
    "console.log(entriesLost());";
  const [said] = await logging(body, "2>/dev/full");
  match(said, /^7\n$/);
});

Deno.test("a reader who has stopped does not stop who logs", async () => {
  const text = "x".repeat(96);
  const body = `for (let index = 0; index < 2003; index++) log.error("${text}"); ` +
    "console.log(entriesLost());";
  const [said, logged] = await logging(body);
  const lines = logged.split("\n").slice(0, -1);
  deepStrictEqual([...new Set(lines)], [`<3>${text}`]);
  strictEqual(lines.length + Number(said), 2_003);
  ok(lines.length >= 500 && Number(said) >= 1_000, `${lines.length} written, ${said} lost`);
});

Deno.test("an entry that is longer than a pipe takes at once is written whole", async () => {
  const [said, logged] = await logging('log.warn("y".repeat(10_007)); console.log(entriesLost());');
  deepStrictEqual([said, logged], ["0\n", `<4>${"y".repeat(10_007)}\n`]);
});
