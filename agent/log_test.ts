import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { printable } from "./log.ts";

/** Runs a program that logs, in a shell; what it and its standard error said. */
async function logging(body: string, redirection: string): Promise<string> {
  const url = new URL("./log.ts", import.meta.url);
  const program = `import { entriesLost, log, setLevel } from "${url}"; ${body}`;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, program);
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", `"$0" run --no-check --quiet -A ${file} ${redirection}`, Deno.execPath()],
    env: { JOURNAL_STREAM: "8:1" },
    stderr: "null",
  }).output();
  await Deno.remove(file);
  return new TextDecoder().decode(stdout);
}

Deno.test("an entry is a line with its severity, and no control character", async () => {
  const body = 'log.debug("no"); log.info("a\\u001b[2Jb", { what: "x y", times: 7 });';
  strictEqual(await logging(body, "2>&1"), '<6>a?[2Jb what="x y" times=7\n');
  deepStrictEqual(printable("a\u202eb"), "a?b");
});

Deno.test("entries that cannot be written are counted, and end nothing", async () => {
  const body = "for (let index = 0; index < 7; index++) log.error(`${index}`); " +
    "console.log(entriesLost());";
  match(await logging(body, "2>/dev/full"), /^7\n$/);
});
