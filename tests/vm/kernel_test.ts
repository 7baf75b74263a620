/**
 * The compiled agent on one kernel other than this machine's, which CI has the time for: see
 * `guest.ts` for what is done there. Linux 6.1 lets fentry and kprobes attach, and most of its
 * hooks are such as neither the newest kernels nor this machine's come to.
 */
import { deepStrictEqual } from "node:assert/strict";
import { shortcomings } from "./expected.ts";
import { columnOf, supportColumn } from "./report.ts";
import { PROBES, runGuest } from "./run_guest.ts";

const PAGE = new URL("../../docs/support.md", import.meta.url);
/** It takes two, on a machine that does nothing else, and several times that on a busy one. */
const MINUTES_MAX = 15;
/** Of what is done on fentry or kprobes what is soon done; `make test-vm` does the rest, too. */
const PARTS = ["resets", "commands"] as const;

Deno.test("Debian's kernel 6.1 does what docs/support.md says of it", async () => {
  const report = await runGuest("6.1", MINUTES_MAX, PARTS);
  deepStrictEqual(shortcomings("6.1", report, PROBES), []);
  const page = await Deno.readTextFile(PAGE);
  deepStrictEqual(
    supportColumn("6.1", report),
    columnOf(page, "6.1"),
    "run 'make test-vm WRITE=1'",
  );
});
