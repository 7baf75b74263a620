/**
 * Which network namespaces are mounted where, as `ip netns add` does it to keep one without a
 * process.
 *
 * @module
 */
import { log } from "../log.ts";
import {
  close,
  mountsChanged,
  open,
  openWaker,
  readLink,
  readText,
  wake,
  whenMountsChange,
} from "./libc.ts";

/** Mounts of network namespaces that are kept of one mount table; more are counted. */
export const MOUNTS_MAX = 8192;

/** A mounted network namespace. */
export interface NetnsMount {
  readonly inum: number;
  /** As its own mount namespace has it: `/run/netns/blue`. */
  readonly path: string;
  /** Where it can be opened from here. */
  readonly opens: string;
}

/** The network namespaces in one mount table, and how many passed the bound. */
export interface NetnsMounts {
  readonly mounts: readonly NetnsMount[];
  readonly refused: number;
}

/**
 * The mounts of network namespaces in the text of `/proc/PID/mountinfo`: field 4, the root, is
 * `net:[INUM]`, field 5 is the path with blanks and backslashes as octal numbers (proc(5)). `root`
 * is where that mount namespace's `/` is.
 */
export function netnsMounts(mountinfo: string, root = ""): NetnsMounts {
  const mounts = new Map<string, NetnsMount>();
  let refused = 0;
  for (const line of mountinfo.split("\n")) {
    if (!line.includes(" net:[")) continue;
    const [, , , source = "", escaped = ""] = line.split(" ");
    const inum = /^net:\[(\d{1,10})\]$/.exec(source)?.[1];
    if (inum === undefined) continue;
    const path = escaped.replace(
      /\\([0-7]{3})/g,
      (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (mounts.size >= MOUNTS_MAX && !mounts.has(path)) refused++;
    // A later mount at the same path hides the earlier one.
    else mounts.set(path, { inum: Number(inum), path, opens: root + path });
  }
  return { mounts: [...mounts.values()], refused };
}

/** One mount table, read only when the kernel says that it has changed. */
class MountTable {
  #descriptor = -1;
  #seen: NetnsMounts = { mounts: [], refused: 0 };
  readonly #path: string;
  readonly #root: string;

  constructor(path: string, root: string) {
    this.#path = path;
    this.#root = root;
  }

  /** Whether the last reading found that something had changed. */
  changed = true;

  read(): NetnsMounts {
    this.changed = true;
    if (this.#descriptor < 0) this.#descriptor = open(this.#path);
    // The question also tells the kernel what we have seen, so it comes before the reading.
    else if (!mountsChanged(this.#descriptor)) {
      this.changed = false;
      return this.#seen;
    }
    const text = readText(this.#path);
    this.#seen = netnsMounts(typeof text === "string" ? text : "", this.#root);
    return this.#seen;
  }

  close(): void {
    if (this.#descriptor >= 0) close(this.#descriptor);
    this.#descriptor = -1;
  }
}

/** A mount table's file, and where its mount namespace's `/` is. */
interface MountFile {
  readonly path: string;
  readonly root: string;
}

/** Those of pid 1's mount namespace, and of ours where that is another. */
function mountFiles(proc: string): readonly MountFile[] {
  const own = { path: `${proc}/self/mountinfo`, root: "" };
  const first = readLink(`${proc}/1/ns/mnt`);
  if (first === readLink(`${proc}/self/ns/mnt`)) return [own];
  // Where even the link cannot be read, `root` cannot be used either, but the paths may well be
  // ours.
  return [{ path: `${proc}/1/mountinfo`, root: isText(first) ? `${proc}/1/root` : "" }, own];
}

/** The network namespaces mounted in pid 1's mount namespace, and in ours where that is another. */
export class NetnsMountTables {
  #refused = 0;
  readonly #tables: readonly MountTable[];

  constructor(proc: string) {
    this.#tables = mountFiles(proc).map(({ path, root }) => new MountTable(path, root));
  }

  /** Mounts that passed `MOUNTS_MAX`, at the last reading. */
  get refused(): number {
    return this.#refused;
  }

  /** Whether anything was mounted or unmounted between the last two readings. */
  get changed(): boolean {
    return this.#tables.some(({ changed }) => changed);
  }

  /** The mounts now; one that both tables have is listed once. */
  read(): readonly NetnsMount[] {
    const mounts = new Map<string, NetnsMount>();
    this.#refused = 0;
    for (const table of this.#tables) {
      const { mounts: some, refused } = table.read();
      this.#refused += refused;
      for (const mount of some) mounts.set(`${mount.inum} ${mount.path}`, mount);
    }
    return [...mounts.values()];
  }

  /** Gives the files back. */
  close(): void {
    for (const table of this.#tables) table.close();
  }
}

/** After a look at what has changed, the next waits for this long: makers of pods mount much. */
const PAUSE_MILLISECONDS = 100;

/**
 * Tells at once when network namespaces may have been mounted: the kernel wakes who polls a mount
 * table that changes. A pod's is mounted before its network is made, so even one of a short life is
 * seen.
 */
export class MountWatch {
  readonly #files: readonly MountFile[];
  /** Its own: whoever asks a table whether it has changed is not told again. */
  readonly #tables: NetnsMountTables;
  readonly #mounted: (mounts: readonly NetnsMount[]) => void;
  #waker = -1;
  #pause: { readonly timer: ReturnType<typeof setTimeout>; readonly end: () => void } | undefined;
  #closed = false;
  #watching: Promise<void> | undefined;

  /** Calls `mounted` with all that are mounted, whenever that may be news. */
  constructor(mounted: (mounts: readonly NetnsMount[]) => void, proc = "/proc") {
    this.#mounted = mounted;
    this.#files = mountFiles(proc);
    this.#tables = new NetnsMountTables(proc);
  }

  /** Begins to watch. What cannot be watched is found later, by those who look regularly. */
  start(): void {
    this.#waker = openWaker();
    const descriptors = this.#files.map(({ path }) => open(path)).filter((each) => each >= 0);
    if (this.#waker < 0 || descriptors.length < this.#files.length) {
      log.warn("Cannot watch all mounts: some namespaces are found only by regular looks");
    }
    if (this.#waker < 0 || descriptors.length === 0) return this.#end(descriptors);
    // Later would do; but so what is open does not depend on whether anything was mounted yet.
    this.#tables.read();
    this.#watching = this.#watch(descriptors).finally(() => this.#end(descriptors));
  }

  /** Ends it; resolves when nothing is open any more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#pause?.timer);
    this.#pause?.end();
    if (this.#waker >= 0) wake(this.#waker);
    await this.#watching;
  }

  async #watch(descriptors: readonly number[]): Promise<void> {
    for (;;) {
      await whenMountsChange(descriptors, this.#waker);
      if (this.#closed) return;
      this.#mounted(this.#tables.read());
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#pause = { timer: setTimeout(resolve, PAUSE_MILLISECONDS), end: resolve };
      await promise;
      if (this.#closed) return;
    }
  }

  #end(descriptors: readonly number[]): void {
    for (const descriptor of descriptors) close(descriptor);
    this.#tables.close();
    if (this.#waker >= 0) close(this.#waker);
    this.#waker = -1;
  }
}

function isText(link: string | number): link is string {
  return typeof link === "string";
}
