/**
 * Runs every benchmark beside this file, one after the other. Each prints its own table of target,
 * figure and ratio.
 *
 * @module
 */
/** This file, and what others run or import. */
const PARTS = new Set(["bench.ts", "crowd.ts", "figures.ts", "load.ts"]);
const names: string[] = [];
for await (const { name } of Deno.readDir(new URL("./", import.meta.url))) {
  if (name.endsWith(".ts") && !PARTS.has(name)) {
    names.push(name);
  }
}
let failed = 0;
for (const name of names.sort()) {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL(name, import.meta.url).pathname],
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (code !== 0) failed++;
}
Deno.exit(failed === 0 ? 0 : 1);
