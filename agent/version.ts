/**
 * Which podskoop this is, and by which name it was called.
 *
 * @module
 */
import { basename } from "node:path";

/** What `make build` puts into the binary, as `dist/build.json`. */
interface Build {
  readonly version: string;
  /** The commit, with `-dirty` when the tree held more than that; empty when there was no git. */
  readonly commit: string;
  /** The commit's day, `2026-11-21`. */
  readonly date: string;
}

/** From source there is no build, whatever an earlier one has left in `dist/`. */
function embedded(): Build | undefined {
  if (!Deno.build.standalone) return undefined;
  return JSON.parse(Deno.readTextFileSync(new URL("../dist/build.json", import.meta.url)));
}

const found = embedded();

/**
 * The version, such as `0.1.0`, or `0.1.0-7-g1a2b3c4d5e6f` seven commits later; `source`
 * uncompiled.
 */
export const version: string = found?.version ?? "source";

/** What it was built from, such as `commit 1a2b3c4d5e6f of 2026-11-21`. */
export const build: string = found === undefined
  ? "run from source"
  : `commit ${found.commit || "unknown"} of ${found.date}`;

/**
 * The name that this program was called by, without its folder: `podskoop`, or that of a link to
 * it.
 *
 * `Deno.execPath()` is what a link leads to, so the name is read as the kernel keeps it, proc(5)
 * `/proc/PID/cmdline`. From source, where that says `deno`, it is `podskoop`.
 */
export function invokedAs(): string {
  if (!Deno.build.standalone) return "podskoop";
  try {
    const [called = ""] = Deno.readTextFileSync("/proc/self/cmdline").split("\0");
    if (called !== "") return basename(called);
  } catch (error) {
    // Without /proc the real name is the best that is known.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return basename(Deno.execPath());
}
