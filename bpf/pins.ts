/**
 * The directory in a BPF file system that holds an agent's pins, and how pins are removed.
 *
 * What is pinned stays attached without any process; to remove the pin is to detach it. So pins are
 * what makes an agent's restart seamless, and what has to be gone after its end.
 *
 * @module
 */
import {
  Attributes,
  BPF,
  close,
  Errno,
  fileSystemMagic,
  mount,
  open,
  tryBpf,
  tryLock,
} from "./libc.ts";
import { describe, openPin } from "./maps.ts";
import { UnavailableError } from "./unavailable.ts";

/** Where a BPF file system is mounted by custom; the only place where we mount one ourselves. */
const BPFFS = "/sys/fs/bpf";
const BPFFS_MAGIC = 0xcafe4a11;
const LITTLE_ENDIAN = true;

/**
 * The kernel frees what is unpinned a little later; longer than this means that someone else holds
 * it.
 */
const FREED_MS_MAX = 5_000;

/** A pin directory that is this process's alone until it is disposed of. */
export class PinDir implements Disposable {
  readonly path: string;
  #lock: number;

  constructor(path: string, lock: number) {
    this.path = path;
    this.#lock = lock;
  }

  /** Names of the units that have pins here. */
  units(): readonly string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name).sort();
  }

  /** Lets others have the directory; removes it when nothing is pinned in it. */
  [Symbol.dispose](): void {
    if (this.#lock < 0) return;
    try {
      if (inodeOf(this.path) !== undefined && this.units().length === 0) Deno.removeSync(this.path);
    } finally {
      close(this.#lock);
    }
    this.#lock = -1;
  }
}

/**
 * Makes the pin directory `path`, mounting the BPF file system on `/sys/fs/bpf` if it is not there,
 * and takes it for this process.
 *
 * @throws {UnavailableError} when there is no BPF file system and none can be mounted, or when
 *   another agent has the
 * directory
 */
export function preparePinDir(path: string): PinDir {
  if (!path.startsWith("/")) {
    throw new TypeError(`Cannot pin below a relative path: current value is "${path}"`);
  }
  if (!isBpffs(path) && `${path}/`.startsWith(`${BPFFS}/`)) mountBpffs(path);
  if (!isBpffs(path)) {
    throw new UnavailableError(
      `Cannot pin below "${path}" as it is on no BPF file system`,
      "bpffs",
      `choose a directory below "${BPFFS}", or run 'mount -t bpf bpf DIR' for one above it`,
    );
  }
  for (;;) {
    makeDirectory(path);
    const fd = open(path);
    if (!tryLock(fd)) {
      const inode = Deno.statSync(path).ino;
      close(fd);
      throw new UnavailableError(
        `Cannot use the pin directory "${path}" as another agent uses it${holder(inode)}`,
        "pin directory",
        "stop that one, or give this one a directory of its own with --pin-dir",
      );
    }
    // The one before may have removed the directory after we opened it.
    if (inodeOf(path) === Deno.statSync(`/proc/self/fd/${fd}`).ino) return new PinDir(path, fd);
    close(fd);
  }
}

function makeDirectory(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new UnavailableError(
      `Cannot make the pin directory "${path}" as uid ${Deno.uid()}`,
      "privileges",
      "run the agent as root, or with CAP_BPF and CAP_PERFMON in a directory of its own",
    );
  }
}

function inodeOf(path: string): number | null | undefined {
  try {
    return Deno.statSync(path).ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether `path`, or what exists of it, is on a BPF file system. */
function isBpffs(path: string): boolean {
  for (let part = path; part !== ""; part = part.slice(0, part.lastIndexOf("/"))) {
    try {
      return fileSystemMagic(part) === BPFFS_MAGIC;
    } catch (error) {
      if (!(error instanceof Errno) || error.name !== "ENOENT") throw error;
    }
  }
  return false;
}

function mountBpffs(path: string): void {
  try {
    mount("bpf", BPFFS);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    throw new UnavailableError(
      `Cannot pin below "${path}" as no BPF file system is mounted there, and: ${error.message}`,
      "bpffs",
      `run 'mount -t bpf bpf ${BPFFS}' as root; in a container, mount the node's "${BPFFS}"`,
    );
  }
}

/** Who has the flock(2) on an inode, as proc_locks(5) tells; nothing when that cannot be known. */
function holder(inode: number | null): string {
  try {
    for (const line of Deno.readTextFileSync("/proc/locks").split("\n")) {
      const words = line.trim().split(/\s+/);
      if (words[1] !== "FLOCK" || words[5]?.split(":")[2] !== String(inode)) continue;
      return ` (process ${words[4]})`;
    }
  } catch (error) {
    // Only a nicety of the message; the error itself is on its way.
    if (error instanceof Error) return "";
    throw error;
  }
  return "";
}

/** What a pin stands for. */
export type PinKind = "link" | "program" | "map";

/** Something of the kernel's that is pinned, by its number. */
export interface Pinned {
  readonly kind: PinKind;
  readonly id: number;
  /** Of a link: the number of its program. */
  readonly programId?: number;
}

/** What is pinned at `path`; undefined when nothing is. Throws Errno. */
export function pinnedAt(path: string): Pinned | undefined {
  let fd: number;
  try {
    fd = openPin(path);
  } catch (error) {
    if (error instanceof Errno && error.name === "ENOENT") return undefined;
    throw error;
  }
  try {
    const fields = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
    // `struct bpf_link_info`, `bpf_prog_info` and `bpf_map_info` all start with a type and an id.
    const info = describe(fd, 16);
    const id = info.getUint32(4, LITTLE_ENDIAN);
    if (fields.includes("map_type:")) return { kind: "map", id };
    if (fields.includes("prog_type:")) return { kind: "program", id };
    return { kind: "link", id, programId: info.getUint32(8, LITTLE_ENDIAN) };
  } finally {
    close(fd);
  }
}

const ID_COMMAND = {
  link: BPF.LINK_GET_FD_BY_ID,
  program: BPF.PROG_GET_FD_BY_ID,
  map: BPF.MAP_GET_FD_BY_ID,
} as const;

/** Whether the kernel still has it. */
function lives(kind: PinKind, id: number): boolean {
  const result = tryBpf(ID_COMMAND[kind], new Attributes(16).u32(0, id));
  if (result >= 0) close(result);
  // Anything but ENOENT, such as a missing privilege, says nothing of its end; then there is no
  // point in waiting.
  return result >= 0;
}

/**
 * Removes every pin below `directory`, and the directory: first what attaches, then maps. Waits
 * until the kernel has let go of all of it, for 5 seconds at most. Returns what it still has then,
 * as `program 12`: someone else holds that.
 */
export async function removePins(directory: string): Promise<readonly string[]> {
  const rest = new Map<string, Pinned>();
  removeTree(directory, (pinned) => {
    rest.set(`${pinned.kind} ${pinned.id}`, pinned);
    const { programId } = pinned;
    if (programId === undefined) return;
    rest.set(`program ${programId}`, { kind: "program", id: programId });
  });
  const deadline = performance.now() + FREED_MS_MAX;
  for (let pause = 1;; pause = Math.min(pause * 2, 50)) {
    for (const [name, { kind, id }] of rest) if (!lives(kind, id)) rest.delete(name);
    if (rest.size === 0 || performance.now() > deadline) return [...rest.keys()];
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Nothing to do when there is no such directory. */
function removeTree(directory: string, seen: (pinned: Pinned) => void): void {
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(directory)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  // Links before the maps that their programs count in: backwards, "progs" comes before "maps".
  entries.sort((a, b) => a.name < b.name ? 1 : -1);
  for (const { name, isDirectory } of entries) {
    const path = `${directory}/${name}`;
    if (isDirectory) {
      removeTree(path, seen);
      continue;
    }
    const pinned = pinnedAt(path);
    if (pinned !== undefined) seen(pinned);
    Deno.removeSync(path);
  }
  Deno.removeSync(directory);
}

/** Removes the pins of units that are not in `keep`; returns their names. */
export async function removeStale(
  pins: PinDir,
  keep: ReadonlySet<string>,
): Promise<readonly string[]> {
  const stale = pins.units().filter((name) => !keep.has(name));
  for (const name of stale) await removePins(`${pins.path}/${name}`);
  return stale;
}
