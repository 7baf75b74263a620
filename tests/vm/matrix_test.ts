/**
 * The compiled agent on each of Debian's kernels: see `guest.ts` for what is done there. An
 * emulated machine takes minutes: `make test` runs one (kernel_test.ts), `make test-vm` runs all.
 */
import { deepStrictEqual } from "node:assert/strict";
import { shortcomings } from "./expected.ts";
import { columnOf, type Report, SERIES, type Series, supportPage } from "./report.ts";
import { PROBES, runGuest } from "./run_guest.ts";

const PAGE = new URL("../../docs/support.md", import.meta.url);
const MINUTES_MAX = 15;

const reports: Partial<Record<Series, Report>> = {};

for (const series of SERIES) {
  Deno.test(`Debian's kernel ${series}: hooks, counts, and nothing left behind`, async () => {
    const report = await runGuest(series, MINUTES_MAX);
    reports[series] = report;
    deepStrictEqual(shortcomings(series, report, PROBES), []);
  });
}

Deno.test("docs/support.md says what kernels said: 'make test-vm WRITE=1' writes it", async () => {
  const { "5.10": a, "6.1": b, "6.12": c, newest } = reports;
  if (a === undefined || b === undefined || c === undefined || newest === undefined) {
    throw new Error("Cannot compare the page as a kernel has no report");
  }
  const page = supportPage({ "5.10": a, "6.1": b, "6.12": c, newest });
  if (Deno.env.get("PODSKOOP_GOLDEN") === "write") await Deno.writeTextFile(PAGE, page);
  const written = await Deno.readTextFile(PAGE);
  for (const series of SERIES) deepStrictEqual(columnOf(written, series), columnOf(page, series));
  // Which release Debian has today is not what is compared.
  const plain = (text: string) => text.replaceAll(/\(`[^`]*`\) *|-{3,}| {2,}/g, " ").split("\n");
  deepStrictEqual(plain(written), plain(page));
});
