import { deepEqual, equal } from "node:assert/strict";
import { decodeMade } from "../../tests/made_records.ts";
import fd from "./fd.ts";

const [files, counts] = fd.totals;

Deno.test("fd counts for the process that its key names", async () => {
  equal((await decodeMade("fd", files.key, { process: 4_194_303 })).process, 4_194_303);
});

Deno.test("fd reads open descriptors and sockets among them", async () => {
  const value = await decodeMade("fd", files.value, { open: 1_048_576, sockets: 23 });
  deepEqual({ ...value }, { open: 1_048_576, sockets: 23 });
});

Deno.test("fd says how many descriptors its map refused", async () => {
  equal((await decodeMade("fd", counts.key, { what: 1 })).what, "refused");
  equal((await decodeMade("fd", counts.value, { times: 5 })).times, 5);
});

Deno.test("fd has the predecessors' names for both figures", () => {
  const aliases = Object.values(files.metrics).map(({ alias }) => alias);
  deepEqual(aliases, [
    { kubeskoop: ["fd_openfd"], inspector: ["fdopenfd"] },
    { kubeskoop: ["fd_opensocket"], inspector: ["fdopensocket"] },
  ]);
});
