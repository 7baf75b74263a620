/**
 * Runs every benchmark beside this file, one after the other. Each prints its own table of target,
 * figure and ratio.
 *
 * @module
 */
const names: string[] = [];
for await (const { name } of Deno.readDir(new URL("./", import.meta.url))) {
  if (name.endsWith(".ts") && name !== "bench.ts" && name !== "figures.ts" && name !== "load.ts") {
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
