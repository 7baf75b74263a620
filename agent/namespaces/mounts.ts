/**
 * Which network namespaces are mounted where, as `ip netns add` does it to keep one without a
 * process.
 *
 * @module
 */
import { close, mountsChanged, open, readLink, readText } from "./libc.ts";

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

/** The network namespaces mounted in pid 1's mount namespace, and in ours where that is another. */
export class NetnsMountTables {
  #refused = 0;
  readonly #tables: readonly MountTable[];

  constructor(proc: string) {
    const own = new MountTable(`${proc}/self/mountinfo`, "");
    const first = readLink(`${proc}/1/ns/mnt`);
    this.#tables = first === readLink(`${proc}/self/ns/mnt`)
      ? [own]
      // Where even the link cannot be read, `root` cannot be used either, but the paths may well be
      // ours.
      : [new MountTable(`${proc}/1/mountinfo`, isText(first) ? `${proc}/1/root` : ""), own];
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

function isText(link: string | number): link is string {
  return typeof link === "string";
}
