/**
 * The compiled agent on each of Debian's kernels: see `guest.ts` for what is done there. Not part
 * of `make test`, as an emulated machine takes a minute or two for each; `make test-vm` runs it.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { type Report, SERIES, type Series, supportPage } from "./report.ts";

const ROOT = new URL("../../", import.meta.url);
const PAGE = new URL("docs/support.md", ROOT);
const BINARY = new URL("dist/podskoop", ROOT);

/** The hooks that each kernel must come to, by what it has (see the probes' cards). */
const HOOKS: Readonly<Record<Series, Readonly<Record<string, string>>>> = {
  "5.10": {
    biolatency: "biolatency_insert",
    dns: "dns_linear",
    packetloss: "packetloss_location",
    socketlatency: "socketlatency",
    tcpreset: "tcpreset_fentry",
  },
  "6.1": {
    biolatency: "biolatency_insert",
    dns: "dns_linear",
    packetloss: "packetloss",
    socketlatency: "socketlatency",
    tcpreset: "tcpreset_fentry",
    virtcmdlatency: "virtcmdlatency_command",
  },
  "6.12": {
    biolatency: "biolatency",
    dns: "dns",
    packetloss: "packetloss",
    socketlatency: "socketlatency",
    tcpreset: "tcpreset",
    virtcmdlatency: "virtcmdlatency",
  },
  newest: {
    biolatency: "biolatency",
    dns: "dns",
    packetloss: "packetloss",
    socketlatency: "socketlatency",
    tcpreset: "tcpreset",
    virtcmdlatency: "virtcmdlatency",
  },
};

const UNREAD = /^This kernel leads to no bytes that are apart from a packet's headers/;

/** Probes that may be degraded, and what they must then say. */
const MISSES: Readonly<Partial<Record<Series, Readonly<Record<string, RegExp>>>>> = {
  "5.10": {
    dns: UNREAD,
    fib: /^This kernel gives no drop reasons/,
    packetloss: /^This kernel gives no drop reasons/,
  },
  "6.1": { dns: UNREAD },
};

/** Probes that cannot work, and what they must say of it. */
const FAILS: Readonly<Partial<Record<Series, Readonly<Record<string, RegExp>>>>> = {
  "5.10": { virtcmdlatency: /The kernel cannot pin a kprobe/ },
};

const reports: Partial<Record<Series, Report>> = {};
const probes = [...Deno.readDirSync(new URL("probes/", ROOT))]
  .filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
// Guests read the file as they go; one that is built anew meanwhile must not reach them.
const binary = await Deno.makeTempFile({ dir: "/var/tmp", prefix: "podskoop-" });
await Deno.copyFile(BINARY, binary);

for (const series of SERIES) {
  Deno.test(`Debian's kernel ${series}: hooks, counts, and nothing left behind`, async (t) => {
    const report = await boot(series);
    reports[series] = report;
    for (const { name, found, wanted } of report.checks) {
      await t.step(name, () => strictEqual(found, wanted));
    }
    for (const [probe, hooks] of Object.entries(HOOKS[series])) {
      await t.step(`${probe} uses ${hooks}`, () => {
        strictEqual(report.probes[probe]?.hooks, hooks);
      });
    }
    for (const probe of probes) {
      await t.step(`${probe} runs, or says what is missing`, () => {
        const { state, because = "" } = report.probes[probe] ?? { state: "Absent" };
        const fails = FAILS[series]?.[probe];
        const says = fails ?? MISSES[series]?.[probe];
        const least = says === undefined ? "Running" : "Degraded";
        strictEqual(state, fails === undefined ? least : "Failed", because);
        if (says !== undefined) ok(says.test(because), because);
        // The table breaks lines where a terminal ends, so words are compared.
        const words = (text: string) => text.split(/\s+/).join(" ");
        ok(words(report.listing).includes(words(because)), report.listing);
      });
    }
  });
}

Deno.test(
  "docs/support.md says what the kernels said: 'make test-vm WRITE=1' writes " +
    "it",
  async () => {
    await Deno.remove(binary);
    const { "5.10": a, "6.1": b, "6.12": c, newest } = reports;
    if (a === undefined || b === undefined || c === undefined || newest === undefined) {
      throw new Error("Cannot compare the page as a kernel has no report");
    }
    const page = supportPage({ "5.10": a, "6.1": b, "6.12": c, newest });
    if (Deno.env.get("PODSKOOP_GOLDEN") === "write") await Deno.writeTextFile(PAGE, page);
    // Which release Debian has today is not what is compared.
    const plain = (text: string) => text.replaceAll(/\(`[^`]*`\) *|-{3,}| {2,}/g, " ").split("\n");
    deepStrictEqual(plain(await Deno.readTextFile(PAGE)), plain(page));
  },
);

async function boot(series: Series): Promise<Report> {
  const { success, code, stdout, stderr } = await new Deno.Command("tests/vm/boot.sh", {
    args: [
      ...[series, "env", `PODSKOOP_BINARY=${binary}`, Deno.execPath(), "run", "--allow-all"],
      ...["--no-check", "--cached-only", "tests/vm/guest.ts", ...probes],
    ],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`Cannot run on ${series}: exit ${code}: ${text.decode(stderr)}`);
  const report: Report = JSON.parse(text.decode(stdout));
  return report;
}
