/**
 * Reads files of `/proc/PID` in many network namespaces.
 *
 * The host's are read on the main thread, unless netlink is asked as well, the others by the Worker
 * that enters them. Without
 * CAP_SYS_ADMIN it can enter none, and `/proc/PID/net` of a member process is read instead.
 *
 * @module
 */
import type { Namespace } from "../pods/identity.ts";
import { EACCES, ENOENT, EPERM, errorName, ESRCH, readLink, readText } from "./libc.ts";
import { isTable } from "./netlink_tables.ts";
import type { Target } from "./visit.ts";
import type { NamespaceVisitor } from "./visitor.ts";

/** What was read in one namespace, or why nothing was; a missing file is left out of `files`. */
export type NetnsReading =
  | {
    readonly files: Readonly<Record<string, string>>;
    /** Why a file that is there could not be read, by its name. */
    readonly errors: Readonly<Record<string, string>>;
  }
  | {
    readonly error: string;
    /** Whether there was no time for it; else it cannot be read at all. */
    readonly late: boolean;
  };

/** Paths tried for one namespace: members may end between the scan and the visit. */
const PATHS_MAX = 4;

/** The main thread reads for this long at most before it lets everything else have a turn. */
const TURN_MILLISECONDS_MAX = 10;

/** Where a namespace may be opened, the longest-lived first. */
export function targetOf(namespace: Namespace): Target {
  const { inum, cookie, path, pids } = namespace;
  const paths = new Set([path]);
  for (const pid of pids) {
    if (paths.size >= PATHS_MAX) break;
    paths.add(`/proc/${pid}/ns/net`);
  }
  return { inum, cookie, paths: [...paths] };
}

/**
 * Reads `files` (paths below `/proc/PID`, such as `net/snmp`) in each of the namespaces, which are
 * alive. By inode number; a namespace that has gone meanwhile has no entry, and is told to
 * `onGone`. What takes longer than `milliseconds` is late.
 */
export async function readInNamespaces(
  visitor: NamespaceVisitor,
  namespaces: readonly Namespace[],
  files: readonly string[],
  milliseconds: number,
  onGone: (namespace: Namespace) => void = () => {},
): Promise<Map<number, NetnsReading>> {
  const deadline = performance.now() + milliseconds;
  const readings = new Map<number, NetnsReading>();
  const others: Namespace[] = [];
  const tables = files.some(isTable);
  for (const namespace of namespaces) {
    // Netlink waits for whoever configures devices, so the Worker asks, for the host too.
    const reading = namespace.host && !tables
      ? readThroughProcess(namespace, HOST_PATHS, files)
      : undefined;
    if (reading === undefined) others.push(namespace);
    else readings.set(namespace.inum, reading);
  }
  const results = others.length === 0 ? [] : await visitor.visit(
    others.map(targetOf),
    { files, interfaces: false },
    deadline - performance.now(),
  );
  let turnEnd = performance.now() + TURN_MILLISECONDS_MAX;
  for (const [index, namespace] of others.entries()) {
    const result = results[index];
    if (result === undefined || result.state === "gone") {
      onGone(namespace);
      continue;
    }
    if (result.state === "read") {
      const { files, errors } = result.sight;
      readings.set(namespace.inum, { files, errors });
      continue;
    }
    // Where the Worker hung, the main thread might hang as well.
    if (result.state === "late") {
      readings.set(namespace.inum, { error: result.because, late: true });
      continue;
    }
    if (performance.now() > deadline) {
      readings.set(namespace.inum, { error: `${result.because}; the time was up`, late: true });
      continue;
    }
    if (performance.now() > turnEnd) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      turnEnd = performance.now() + TURN_MILLISECONDS_MAX;
    }
    const members = namespace.pids.map((pid) => `/proc/${pid}`);
    const reading = readThroughProcess(namespace, members, files);
    readings.set(namespace.inum, reading ?? { error: result.because, late: false });
  }
  return readings;
}

const HOST_PATHS = ["/proc/1", "/proc/self"] as const;

/**
 * Reads the files of the first process that is in the namespace, before and after; undefined if
 * none is. A process whose namespace cannot be told (which takes CAP_SYS_PTRACE) is passed over.
 */
function readThroughProcess(
  { inum }: Namespace,
  processes: readonly string[],
  files: readonly string[],
): NetnsReading | undefined {
  const expected = `net:[${inum}]`;
  for (const process of processes) {
    if (readLink(`${process}/ns/net`) !== expected) continue;
    const texts: Record<string, string> = {};
    const errors: Record<string, string> = {};
    for (const file of files) {
      if (isTable(file)) {
        errors[file] = `Cannot ask netlink in network namespace ${inum}: it was not entered, ` +
          "which takes CAP_SYS_ADMIN and CAP_SYS_PTRACE";
        continue;
      }
      const text = readText(`${process}/${file}`);
      if (typeof text === "string") texts[file] = text;
      else if (text !== -ENOENT && text !== -ESRCH) {
        errors[file] = `Cannot read "${process}/${file}": ${errorName(text)}` +
          (text === -EACCES || text === -EPERM ? ": it takes root" : "");
      }
    }
    if (readLink(`${process}/ns/net`) === expected) return { files: texts, errors };
  }
  return undefined;
}
