import { ok, rejects, strictEqual } from "node:assert/strict";
import { bpftoolVersion, runBpftool } from "./bpftool.ts";

/** A stand-in for bpftool that prints `lines` lines and fails. */
async function withTool(lines: number, use: (tool: string) => Promise<void>): Promise<void> {
  const tool = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(tool, `#!/bin/sh\nseq -f 'line %g of the log' ${lines} >&2\nexit 3\n`);
    Deno.chmodSync(tool, 0o755);
    await use(tool);
  } finally {
    Deno.removeSync(tool);
  }
}

Deno.test("of a long log the head and the tail are kept, and the gap is a figure", async () => {
  await withTool(13_001, async (tool) => {
    const { success, output } = await runBpftool(["prog"], { tool });
    strictEqual(success, false);
    ok(output.startsWith("line 1 of the log\n") && output.endsWith("line 13001 of the log"));
    const gap = Number(/\[(\d+) bytes left out\]/.exec(output)?.[1]);
    const whole = Array.from({ length: 13_001 }, (_, index) => `line ${index + 1} of the log\n`);
    strictEqual(gap, whole.join("").length - 2 * 2_048);
  });
});

Deno.test("a short log is kept whole", async () => {
  await withTool(3, async (tool) => {
    const { output } = await runBpftool([], { tool });
    strictEqual(output, "line 1 of the log\nline 2 of the log\nline 3 of the log");
  });
});

Deno.test("the version is bpftool's own", async () => {
  ok(/^\d+\.\d+\.\d+$/.test(await bpftoolVersion()));
  await rejects(bpftoolVersion("no-such-bpftool"), { name: "UnavailableError" });
});
