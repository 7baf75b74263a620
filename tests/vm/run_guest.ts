/**
 * Boots a guest, and reads its report.
 *
 * @module
 */
import type { Report, Series } from "./report.ts";

const ROOT = new URL("../../", import.meta.url);
const BINARY = new URL("dist/podskoop", ROOT);

/** Every probe that has hooks, which a kernel may lack: a guest's agent runs them all. */
export const PROBES: readonly string[] = [...Deno.readDirSync(new URL("probes/", ROOT))]
  .map(({ name }) => name).filter((name) => hasHooks(name)).sort();

function hasHooks(probe: string): boolean {
  const files = Deno.readDirSync(new URL(`probes/${probe}/`, ROOT));
  return [...files].some(({ name }) => name.endsWith(".bpf.c"));
}

/**
 * Runs `guest.ts` on a kernel, for as long at most, all of its parts or some; fails with what the
 * guest has printed.
 */
export async function runGuest(
  series: Series,
  minutesMax: number,
  parts: readonly string[] = [],
): Promise<Report> {
  // Guests read the file as they go; one that is built anew meanwhile must not reach them.
  const binary = await Deno.makeTempFile({ dir: "/var/tmp", prefix: "podskoop-" });
  try {
    await Deno.copyFile(BINARY, binary);
    const { success, code, stdout, stderr } = await new Deno.Command("tests/vm/boot.sh", {
      args: [
        ...[series, "env", `PODSKOOP_BINARY=${binary}`, Deno.execPath(), "run", "--allow-all"],
        ...["--no-check", "--cached-only", "tests/vm/guest.ts", parts.join(), ...PROBES],
      ],
      cwd: ROOT,
      env: { VM_SECONDS: String(minutesMax * 60) },
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    if (!success) throw new Error(`Cannot run on ${series}: exit ${code}: ${text.decode(stderr)}`);
    const report: Report = JSON.parse(text.decode(stdout));
    return report;
  } finally {
    await Deno.remove(binary);
  }
}
