/**
 * Which pod or container a cgroup v2 id belongs to: it is the inode number of the cgroup's
 * directory.
 *
 * Only what happens in the host's network namespace needs it: what pods of the host's network do,
 * and what the kernel's threads do for any pod. So the cgroups of all processes that tell something
 * are looked up, each once.
 *
 * @module
 */
import type { CgroupFacts } from "../namespaces/cgroups.ts";
import { unifiedPath } from "../namespaces/cgroups.ts";
import { readText } from "../namespaces/libc.ts";
import type { Process } from "../namespaces/processes.ts";

/** Cgroups that are remembered; further ones are counted. */
export const CGROUPS_MAX = 8_192;

/** A cgroup without processes is remembered for late events this long. */
const UNUSED_SECONDS_MAX = 60;

interface Known {
  readonly id: bigint;
  readonly facts: CgroupFacts;
  usedAt: number;
}

/** The cgroups of the node's processes by id. */
export class CgroupIds {
  readonly #proc: string;
  readonly #byPath = new Map<string, Known>();
  readonly #byId = new Map<bigint, Known>();
  #refused = 0;
  #learntAt = 0;

  constructor(proc: string) {
    this.#proc = proc;
  }

  /** Cgroups that were not looked up: beyond `CGROUPS_MAX`, or not to be found below any mount. */
  get refused(): number {
    return this.#refused;
  }

  /** What the cgroup tells; undefined if nothing is known of it. */
  facts(id: bigint): CgroupFacts | undefined {
    return this.#byId.get(id)?.facts;
  }

  /** What those cgroups tell that had no process when the processes were last looked at. */
  *unused(): Iterable<CgroupFacts> {
    for (const { facts, usedAt } of this.#byPath.values()) {
      if (usedAt !== this.#learntAt) yield facts;
    }
  }

  /**
   * Looks up the cgroups of these processes, and forgets those that are long unused. `now` is in
   * seconds.
   */
  learn(processes: Iterable<Process>, now: number): void {
    this.#learntAt = now;
    for (const { unified, podUid, containerId, facts } of processes) {
      if (unified === undefined || unified === "/") continue;
      if (podUid === undefined && containerId === undefined) continue;
      const known = this.#byPath.get(unified);
      if (known !== undefined) known.usedAt = now;
      else this.#add(unified, facts, now);
    }
    for (const [path, { id, usedAt }] of this.#byPath) {
      if (now - usedAt < UNUSED_SECONDS_MAX) continue;
      this.#byPath.delete(path);
      if (this.#byId.get(id)?.usedAt === usedAt) this.#byId.delete(id);
    }
  }

  #add(path: string, facts: CgroupFacts, now: number): void {
    const id = this.#byPath.size < CGROUPS_MAX ? this.#idOf(path) : undefined;
    if (id === undefined) {
      this.#refused++;
      return;
    }
    const known = { id, facts, usedAt: now };
    this.#byPath.set(path, known);
    this.#byId.set(id, known);
  }

  #idOf(path: string): bigint | undefined {
    for (const folder of foldersOf(this.#proc, path)) {
      const inode = inodeOf(folder);
      if (inode !== undefined) return inode;
    }
    return undefined;
  }
}

function inodeOf(folder: string): bigint | undefined {
  try {
    const { ino } = Deno.statSync(folder);
    return ino === null ? undefined : BigInt(ino);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.PermissionDenied) return undefined;
    throw error;
  }
}

/**
 * Where the directory of a cgroup may be. Our cgroup namespace may show its path relative to
 * ourselves; then it can be told only if it climbs as far up as that of pid 1, which is to say to
 * the root.
 */
function foldersOf(proc: string, path: string): readonly string[] {
  const climb = climbOf(path);
  const rest = `/${path.split("/").slice(climb + 1).join("/")}`;
  const folders: string[] = [];
  const own = mountOf(readText(`${proc}/self/mountinfo`));
  if (climb === 0 && own !== undefined) folders.push(own + rest);
  const first = readText(`${proc}/1/cgroup`);
  const firstPath = typeof first === "string" ? unifiedPath(first) : undefined;
  if (firstPath !== undefined && climbOf(firstPath) === climb) {
    const mount = mountOf(readText(`${proc}/1/mountinfo`));
    if (mount !== undefined) folders.push(`${proc}/1/root${mount}${rest}`);
  }
  return folders;
}

/** How many `..` a path begins with. */
function climbOf(path: string): number {
  const segments = path.split("/").slice(1);
  const end = segments.findIndex((segment) => segment !== "..");
  return end < 0 ? segments.length : end;
}

/**
 * Where the cgroup v2 hierarchy is mounted whole: after ` - ` comes the file system's type
 * (proc(5)).
 */
function mountOf(mountinfo: string | number): string | undefined {
  if (typeof mountinfo === "number") return undefined;
  for (const line of mountinfo.split("\n")) {
    if (!line.includes(" - cgroup2 ")) continue;
    const [, , , root, mount] = line.split(" ");
    if (root === "/") return mount;
  }
  return undefined;
}
