import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { embeddedFiles, withoutComments } from "./compile.ts";

Deno.test("compile embeds units, objects and assets by listing, and no test", async () => {
  const root = await Deno.makeTempDir({ prefix: "podskoop-compile-" });
  try {
    for (
      const file of [
        "agent/agent.ts",
        "agent/namespaces/worker.ts",
        "agent/namespaces/worker_test.ts",
        "collectors/softnet/softnet.ts",
        "collectors/softnet/softnet_test.ts",
        "collectors/softnet/testdata/fake.ts",
        "console/.cache",
        "console/assets/app.js",
        "console/index.html",
        "console/server_test.ts",
        "probes/README.md",
        "probes/tcpreset/gone.bpf.o",
        "probes/tcpreset/tcpreset.bpf.c",
        "probes/tcpreset/tcpreset.h",
        "probes/tcpreset/tcpreset.ts",
        "probes/tcpreset/tcpreset_fentry.bpf.c",
        "probes/tcpreset/tcpreset_test.ts",
        "probes/tcpreset/words.ts",
        "wasm/event.wasm.c",
      ]
    ) {
      await Deno.mkdir(join(root, dirname(file)), { recursive: true });
      await Deno.writeTextFile(join(root, file), "");
    }
    assert.deepEqual(await embeddedFiles(root), [
      "agent/namespaces/worker.ts",
      "collectors/softnet/softnet.ts",
      "console/assets/app.js",
      "console/index.html",
      "probes/tcpreset/tcpreset.bpf.o",
      "probes/tcpreset/tcpreset.ts",
      "probes/tcpreset/tcpreset_fentry.bpf.o",
      "probes/tcpreset/words.ts",
      "wasm/event.wasm",
    ]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

const COMMENTED = `
/**
 * What it does, with an \`example\`.
 */
import { a } from "a"; // why
  // only a comment
/* short */ const url = "http://host/*";
  /* begins
     goes on */ use(a, url);
const text = \`one line of ticks\`;
`.slice(1);

Deno.test("compile embeds no comments, and every line under its number", () => {
  const lines = withoutComments(COMMENTED).split("\n");
  assert.deepEqual(lines, [
    ...["", "", "", 'import { a } from "a"; // why', "", ' const url = "http://host/*";', ""],
    ...[" use(a, url);", "const text = `one line of ticks`;", ""],
  ]);
});

Deno.test("compile takes nothing out of a text that may not be code", () => {
  const shell = "script(`\n/* any */\n// kept\n`);\n";
  const escaped = "script(`\\`\n// kept\n\\``);\n";
  const continued = 'script("\\\n// kept\\\n");\n';
  for (const text of [shell, escaped, continued]) assert.equal(withoutComments(text), text);
});
