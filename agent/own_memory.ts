/**
 * The memory of this very process.
 *
 * A third of it was the program's file: what the runtime does once, at the start, and the state of
 * it that is copied into each of its worlds. Nobody takes that out of a process that the node has
 * room for.
 *
 * @module
 */
import { unloadPages } from "../bpf/libc.ts";

/** A part of a file in memory. */
export interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * The parts of `file` in the text of `/proc/PID/smaps` (proc_pid_smaps(5)) that cannot be written
 * to, and of which no page differs from the file: relocations do, and what a debugger has changed.
 */
export function unchangedParts(smaps: string, file: string): readonly Mapping[] {
  const parts: Mapping[] = [];
  let part: Mapping | undefined;
  for (const line of smaps.split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ +(.*)$/.exec(line);
    if (head !== null) {
      const [, start = "", end = "", access = "", path] = head;
      const isOurs = path === file && (access === "r--p" || access === "r-xp");
      part = isOurs ? { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) } : undefined;
    } else if (part !== undefined && /^Anonymous: +0 kB$/.test(line)) parts.push(part);
  }
  return parts;
}

/**
 * Takes the program's own code and constants out of memory; what is in use is back within
 * milliseconds, from the kernel's cache. To be called when all is started, and again once it has
 * been in use. Without `CONFIG_PROC_PAGE_MONITOR`, nothing is known and all stays.
 */
export function unloadStartCode(proc = "/proc"): void {
  let smaps: string;
  try {
    smaps = Deno.readTextFileSync(`${proc}/self/smaps`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  const file = Deno.readLinkSync("/proc/self/exe");
  for (const { start, end } of unchangedParts(smaps, file)) unloadPages(start, end - start);
}
