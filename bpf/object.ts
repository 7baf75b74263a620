/**
 * BPF objects in the kernel: loads and attaches one, finds again the one that an earlier run left,
 * and removes it.
 *
 * An object's pins are in `PINDIR/NAME/HASH/progs` (its links) and `…/maps`; HASH is of its bytes,
 * so that pins of the same object are adopted, with all they have counted, and pins of another are
 * not mistaken for it.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { runBpftool } from "./bpftool.ts";
import { attachToCgroup, isOfCgroup } from "./cgroup.ts";
import { contentsOf, type ProgramSymbol } from "./elf.ts";
import { Attributes, BPF, bpf, buffer, close, Errno, memoryFile, read } from "./libc.ts";
import { describe, openPin, PinnedMap } from "./maps.ts";
import { type Pinned, pinnedAt, removePins } from "./pins.ts";
import { Ring } from "./ring.ts";

const LITTLE_ENDIAN = true;
const HASH_DIGITS = 12;

/** What one reading of an iterator may give: a million records of 64 bytes. */
const ITERATOR_BYTES_MAX = 64 << 20;

/** What to load, and where its pins go. */
export interface ObjectSource {
  /** The unit's name, and of its directory: lower-case letters, digits, `_` and `-`. */
  readonly name: string;
  /** The compiled object. */
  readonly bytes: Uint8Array;
  /** A directory that `preparePinDir` made. */
  readonly pinDir: string;
  /** The bpftool to run; default `bpftool`. */
  readonly tool?: string;
  /** A copy of the kernel's types, where it publishes none. */
  readonly btf?: string;
}

/** One program of an object. */
export interface Program {
  readonly name: string;
  /** Where it attaches, as `SEC()` has it: `tp_btf/kfree_skb`. */
  readonly section: string;
  /** Its events reach it, or it is an iterator that can be read. */
  readonly attached: boolean;
  /** Why it is not attached. */
  readonly because?: string;
  /** Its number in the kernel, when it is loaded. */
  readonly id?: number;
}

/** What a program has cost so far; zeros unless statistics are on (`enableStatistics`). */
export interface ProgramStatistics {
  readonly name: string;
  readonly runNs: number;
  readonly runs: number;
  /** Events missed as the program was running on that CPU already; counted since Linux 5.12. */
  readonly recursionMisses: number;
}

/** The kernel, or bpftool, refused an object. */
export class LoadError extends Error {
  override readonly name = "LoadError";
  /** What bpftool printed, the verifier's log included; the middle is left out when it is long. */
  readonly log: string;

  constructor(message: string, log: string) {
    super(message);
    this.log = log;
  }
}

/**
 * The sections that libbpf attaches by itself, and that of cgroups; programs of any other are run
 * or attached by who uses them.
 */
const ATTACHING = new RegExp(
  "^(k(ret)?(probe|syscall)|u(ret)?probe|usdt|tp|tracepoint|raw_tp|raw_tracepoint|tp_btf|" +
    "fentry|fexit|fmod_ret|lsm|freplace|iter|cgroup_skb)(\\.s|\\.w|\\.multi|\\.session)*(/|$)",
);

/**
 * Loads an object and attaches its programs, or adopts it when an earlier run left it whole.
 * Programs that could not be attached say so in `programs`; the others work.
 *
 * @throws {SyntaxError} when the bytes are no BPF object
 * @throws {LoadError} when the object cannot be loaded; then nothing of it stays
 * @throws {UnavailableError} when bpftool is not installed
 */
export async function loadObject(source: ObjectSource): Promise<Attached> {
  const { name, bytes, pinDir } = source;
  if (!/^[a-z0-9_-]+$/.test(name)) {
    throw new TypeError(
      `Cannot pin an object as its name is no directory's: current value is "${name}"`,
    );
  }
  const { programs, maps } = contentsOf(bytes);
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, HASH_DIGITS);
  const unit = `${pinDir}/${name}`;
  const dir = `${unit}/${hash}`;
  const found = inspect(dir, programs, () => "it is not loaded");
  if (found.every(isWhole) && maps.every((map) => pinnedAt(mapPin(dir, map))?.kind === "map")) {
    for (const other of Deno.readDirSync(unit)) {
      if (other.name !== hash) await removePins(`${unit}/${other.name}`);
    }
    return new Attached(name, dir, true, found);
  }
  await removePins(unit);
  Deno.mkdirSync(`${dir}/progs`, { recursive: true, mode: 0o700 });
  Deno.mkdirSync(`${dir}/maps`, { mode: 0o700 });
  try {
    const log = await load(source, dir);
    for (const { name, section } of programs) {
      if (isOfCgroup(section)) attachToCgroup(`${dir}/progs/${name}`, section);
    }
    return new Attached(name, dir, false, inspect(dir, programs, (name) => reason(log, name)));
  } catch (error) {
    await removePins(unit);
    throw error;
  }
}

/** A program that is as attached as its section lets it be. */
function isWhole({ section, attached, id }: Program): boolean {
  return attached || (!ATTACHING.test(section) && id !== undefined);
}

function mapPin(dir: string, map: string): string {
  // As libbpf's sanitize_pin_path() has it: BPF file systems allow no dot in a name.
  return `${dir}/maps/${map.replaceAll(".", "_")}`;
}

function inspect(
  dir: string,
  programs: readonly ProgramSymbol[],
  because: (name: string) => string,
): readonly Program[] {
  return programs.map(({ name, section }) => {
    const pinned: Pinned | undefined = pinnedAt(`${dir}/progs/${name}`);
    if (pinned?.kind === "link") {
      const { programId } = pinned;
      return {
        name,
        section,
        attached: true,
        ...(programId === undefined ? {} : { id: programId }),
      };
    }
    const loaded = pinned === undefined ? {} : { id: pinned.id };
    const why = pinned !== undefined && !ATTACHING.test(section)
      ? `programs of the section "${section}" are not attached by loading them`
      : because(name);
    return { name, section, attached: false, because: why, ...loaded };
  });
}

/** Loads and attaches by bpftool, without a file on any disk; returns what it printed. */
async function load({ name, bytes, tool, btf }: ObjectSource, dir: string): Promise<string> {
  const fd = memoryFile(`${name}.bpf.o`, bytes);
  try {
    const file = `/proc/${Deno.pid}/fd/${fd}`;
    const args = ["prog", "loadall", file, `${dir}/progs`, "pinmaps", `${dir}/maps`, "autoattach"];
    const { success, output } = await runBpftool(args, {
      ...(tool === undefined ? {} : { tool }),
      ...(btf === undefined ? {} : { btf }),
    });
    if (success) return output;
    throw new LoadError(`Cannot load the BPF object "${name}": ${failure(output)}`, output);
  } finally {
    close(fd);
  }
}

/** The line that says why a load failed; of a verifier's log, its verdict. */
function failure(output: string): string {
  const lines = output.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const refused = lines.find((line) => /^libbpf: prog '.*': .*(failed|can't|unknown)/.test(line));
  const summary = lines.findIndex((line) => /^processed \d+ insns/.test(line));
  const verdict = summary > 0 ? lines[summary - 1] : undefined;
  const said = refused ?? lines.find((line) => line.startsWith("libbpf: ")) ??
    lines.findLast((line) => line.startsWith("Error: ")) ?? lines.at(-1) ??
    "bpftool did not say why";
  const text = said.replace(/^(libbpf|Error): /, "");
  return verdict === undefined ? text : `${text}: ${verdict}`;
}

/** What bpftool said about one program that it loaded and did not attach. */
function reason(output: string, program: string): string {
  const lines = output.split("\n").map((line) => line.trim());
  const said = lines.findLast((line) => line.startsWith(`libbpf: prog '${program}': `)) ??
    lines.findLast((line) => line.startsWith(`Program ${program} `));
  return said?.replace(/^libbpf: /, "") ?? "bpftool did not say why";
}

/** An object that is in the kernel. */
export class Attached {
  readonly name: string;
  /** Where its pins are. */
  readonly dir: string;
  /** An earlier run had loaded it; its counts go on. */
  readonly adopted: boolean;
  readonly programs: readonly Program[];
  readonly #open = new Map<string, PinnedMap | Ring>();

  constructor(name: string, dir: string, adopted: boolean, programs: readonly Program[]) {
    this.name = name;
    this.dir = dir;
    this.adopted = adopted;
    this.programs = programs;
  }

  /** A map, opened once and closed with the object. Throws Errno when it has none of that name. */
  map(name: string): PinnedMap {
    const open = this.#open.get(name);
    if (open instanceof PinnedMap) return open;
    const map = new PinnedMap(mapPin(this.dir, name));
    this.#open.set(name, map);
    return map;
  }

  /** A ring, opened once and closed with the object. Throws Errno when it has none of that name. */
  ring(name: string): Ring {
    const open = this.#open.get(name);
    if (open instanceof Ring) return open;
    const ring = new Ring(mapPin(this.dir, name));
    this.#open.set(name, ring);
    return ring;
  }

  /**
   * Runs an iterator program to its end; what it wrote. Throws Errno, or RangeError beyond 64 MiB.
   */
  readIterator(name: string): Uint8Array<ArrayBuffer> {
    const link = openPin(`${this.dir}/progs/${name}`);
    try {
      const attributes = new Attributes(16).u32(0, link);
      const fd = bpf(BPF.ITER_CREATE, attributes, `start the iterator "${name}"`);
      try {
        return readWhole(fd, name);
      } finally {
        close(fd);
      }
    } finally {
      close(link);
    }
  }

  /** What each loaded program has cost. Throws Errno. */
  statistics(): readonly ProgramStatistics[] {
    return this.programs.flatMap(({ name, id }) => {
      return id === undefined ? [] : [statisticsOf(name, id)];
    });
  }

  /** Closes maps and rings; what is attached goes on without us. */
  close(): void {
    for (const open of this.#open.values()) open[Symbol.dispose]();
    this.#open.clear();
  }

  /**
   * Detaches the programs; once it returns, none of them runs any more. Maps and rings can still be
   * read.
   */
  async detach(): Promise<void> {
    await removePins(`${this.dir}/progs`);
  }

  /**
   * Closes, detaches and removes everything; once it returns, no program of the object runs any
   * more. Returns what the kernel still has after 5 seconds because someone else holds it, as `map
   * 12`.
   */
  remove(): Promise<readonly string[]> {
    this.close();
    return removePins(this.dir.slice(0, this.dir.lastIndexOf("/")));
  }
}

function readWhole(fd: number, name: string): Uint8Array<ArrayBuffer> {
  let bytes = buffer(1 << 16);
  let used = 0;
  for (;;) {
    if (used === bytes.length) {
      if (used >= ITERATOR_BYTES_MAX) {
        throw new RangeError(
          `Cannot read the iterator "${name}" as it gives more than ${ITERATOR_BYTES_MAX} bytes`,
        );
      }
      const larger = buffer(bytes.length * 2);
      larger.set(bytes);
      bytes = larger;
    }
    try {
      const count = read(fd, bytes.subarray(used));
      if (count === 0) return bytes.subarray(0, used);
      used += count;
    } catch (error) {
      // After a million objects that gave no record, the kernel asks to be asked again
      // (bpf_seq_read).
      if (error instanceof Errno && error.name === "EAGAIN") continue;
      throw error;
    }
  }
}

const PROGRAM_INFO_BYTES = 232;

function statisticsOf(name: string, id: number): ProgramStatistics {
  const attributes = new Attributes(16).u32(0, id);
  const fd = bpf(BPF.PROG_GET_FD_BY_ID, attributes, `open the program "${name}"`);
  try {
    // `run_time_ns`, `run_cnt` and `recursion_misses` of `struct bpf_prog_info`.
    const info = describe(fd, PROGRAM_INFO_BYTES);
    const u64 = (offset: number) => Number(info.getBigUint64(offset, LITTLE_ENDIAN));
    return { name, runNs: u64(192), runs: u64(200), recursionMisses: u64(208) };
  } finally {
    close(fd);
  }
}

/**
 * Makes the kernel measure every BPF program's run time, until disposed of; costs some 50 ns a run.
 * Throws Errno.
 */
export function enableStatistics(): Disposable {
  const RUN_TIME = 0;
  const attributes = new Attributes(16).u32(0, RUN_TIME);
  const fd = bpf(BPF.ENABLE_STATS, attributes, "enable the run statistics of BPF programs");
  return { [Symbol.dispose]: () => close(fd) };
}
