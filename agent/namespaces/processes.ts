/**
 * The processes of the node, and in which network namespace and cgroup each lives.
 *
 * A process enters its namespace and its cgroup after it was forked, and may change both at any
 * time, so looking once is not enough: new processes are read again until they are
 * `YOUNG_MILLISECONDS` old, the namespace of the others is looked at in turn, of all of them within
 * four seconds on a node of ordinary size, and the cgroup every ten seconds. An event from a
 * namespace that nobody knows has all of them looked at at once.
 *
 * A pid that was given to another process shows by the inode of `/proc/PID`, which listing `/proc`
 * tells for nothing.
 *
 * @module
 */
import type { ProcessRow } from "../pods/identity.ts";
import type { Outcome } from "../outcome.ts";
import {
  type CgroupFacts,
  factsOfCgroups,
  NO_FACTS,
  nodePrefixes,
  unifiedPath,
} from "./cgroups.ts";
import { EACCES, EPERM, readLink, readNumbers, readText } from "./libc.ts";

/** Processes that are looked at; further ones are counted. */
export const PROCESSES_MAX = 65_536;

/**
 * Namespace links that are read again in one scan, besides those of young processes: a part of all,
 * as they are most of what the agent does at rest, and never more than that.
 */
const LINKS_PART = 4;
const LINKS_MAX = 384;

/** For this long after its start, a process is read in full at each scan. */
const YOUNG_MILLISECONDS = 5_000;

/** The cgroup of every process is read again after this time. */
const CGROUP_MILLISECONDS = 10_000;

/** `USER_HZ`, which is the same on all that we run on: a clock tick in `/proc` (proc(5)). */
const TICK_MILLISECONDS = 10;

/**
 * Texts of `/proc/PID/cgroup` whose meaning is remembered; the processes of a container share
 * theirs.
 */
const CGROUP_TEXTS_MAX = 8_192;

/** A process: not a thread, and not one of the kernel's own. */
export interface Process extends ProcessRow {
  readonly comm: string;
  /** When it was started, in clock ticks since boot: with the pid, it tells it from all others. */
  readonly start: number;
  readonly facts: CgroupFacts;
  /** Its cgroup in the version 2 hierarchy, as our own cgroup namespace shows it. */
  readonly unified?: string;
}

interface Row {
  readonly pid: number;
  /** Of `/proc/PID`. */
  readonly inode: number;
  youngUntil: number;
  cgroupAt: number;
  cgroup: string;
  scan: number;
  denied: boolean;
  /** Absent for the kernel's own threads, which live in the host's namespaces for good. */
  process: Process | undefined;
}

/**
 * What `/proc/PID/stat` says (proc(5)): the name in brackets, which may hold brackets itself, then
 * the rest.
 */
interface Stat {
  readonly comm: string;
  readonly start: number;
  readonly isKernels: boolean;
}

const PF_KTHREAD = 0x0020_0000;

/** Reads the text of `/proc/PID/stat`; undefined if it makes no sense. */
export function statOf(text: string): Stat | undefined {
  const open = text.indexOf("(");
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  const flags = Number(fields[6]);
  const start = Number(fields[19]);
  const makesSense = open >= 0 && end >= open && Number.isInteger(flags) && Number.isInteger(start);
  if (!makesSense || start < 0) return undefined;
  return { comm: text.slice(open + 1, end), start, isKernels: (flags & PF_KTHREAD) !== 0 };
}

/** The number in `net:[4026531840]`; 0 for anything else. */
export function inumOf(link: string | number): number {
  return typeof link === "string" ? Number(/^net:\[(\d{1,10})\]$/.exec(link)?.[1] ?? 0) : 0;
}

/** The processes of the node, as of the last scan. */
export class ProcessTable {
  /** The host's network namespace: pid 1's, by definition. */
  readonly hostNetns: number;
  /** Where it can be opened. */
  readonly hostPath: string;
  readonly #proc: string;
  readonly #rows = new Map<number, Row>();
  readonly #texts = new Map<string, { readonly facts: CgroupFacts; readonly unified?: string }>();
  readonly #prefixes: readonly string[];
  readonly #mayTrace: boolean;
  readonly #alone: boolean;
  #scan = 0;
  #turn = 0;
  #refused = 0;
  #denied = 0;
  #problem: string | undefined;

  /** @param alone Our own namespace is the only one that matters, and so the host's. */
  constructor(proc: string, alone = false) {
    this.#proc = proc;
    this.#alone = alone;
    [this.hostNetns, this.hostPath] = hostOf(proc, alone);
    const first = readText(`${proc}/1/cgroup`);
    this.#prefixes = typeof first === "string" ? nodePrefixes(first) : [];
    this.#mayTrace = mayTrace(readText(`${proc}/self/status`));
  }

  /**
   * Processes that were not looked at in the last scan, because there are more than
   * `PROCESSES_MAX`.
   */
  get refused(): number {
    return this.#refused;
  }

  /** Processes whose namespace could not be told in the last scan. */
  get denied(): number {
    return this.#denied;
  }

  /** Whether all processes can be told apart. */
  outcome(): Outcome {
    if (this.#problem !== undefined) return { state: "failed", because: this.#problem };
    if (this.#denied === 0 || this.#mayTrace) return { state: "working" };
    const because = `Cannot tell the network namespace of ${this.#denied} processes: ` +
      "it takes CAP_SYS_PTRACE";
    return { state: "degraded", because };
  }

  /** A process by its pid. */
  process(pid: number): Process | undefined {
    return this.#rows.get(pid)?.process;
  }

  /** Whether it is a thread of the kernel's own, or has only just ended. */
  isKernels(pid: number): boolean {
    const row = this.#rows.get(pid);
    return row !== undefined && row.process === undefined;
  }

  /** All of them. Those in a namespace that could not be told have `netns` 0. */
  *all(): IterableIterator<Process> {
    for (const { process } of this.#rows.values()) if (process !== undefined) yield process;
  }

  /** Looks again. `now` is in milliseconds; with `thorough`, at every process's namespace. */
  scan(now: number, thorough = false): void {
    const scan = ++this.#scan;
    this.#refused = 0;
    const fresh: Row[] = [];
    const result = readNumbers(this.#proc, (pid, inode) => {
      const row = this.#rows.get(pid);
      if (row !== undefined && row.inode === inode) {
        row.scan = scan;
        return;
      }
      if (row === undefined && this.#rows.size + fresh.length >= PROCESSES_MAX) {
        this.#refused++;
        return;
      }
      const base = { pid, inode, youngUntil: 0, cgroupAt: now, cgroup: "", scan };
      fresh.push({ ...base, denied: false, process: undefined });
    });
    this.#problem = result < 0
      ? `Cannot list the processes in "${this.#proc}": is it mounted?`
      : undefined;
    this.#denied = 0;
    this.#recheck(scan, now, thorough);
    const uptime = fresh.length === 0 ? undefined : this.#uptime();
    for (const row of fresh) {
      this.#look(row);
      const start = (row.process?.start ?? Number.POSITIVE_INFINITY) * TICK_MILLISECONDS;
      const age = uptime === undefined ? 0 : Math.max(0, uptime - start);
      row.youngUntil = now + YOUNG_MILLISECONDS - age;
      this.#rows.set(row.pid, row);
    }
    for (const row of this.#rows.values()) if (row.denied) this.#denied++;
  }

  #recheck(scan: number, now: number, thorough: boolean): void {
    const count = this.#rows.size;
    const links = Math.min(LINKS_MAX, Math.ceil(count / LINKS_PART));
    let cgroupsLeft = Math.ceil(count / 8) + 16;
    let index = 0;
    for (const [pid, row] of this.#rows) {
      if (row.scan !== scan) {
        this.#rows.delete(pid);
        continue;
      }
      const place = (index++ - this.#turn + count) % count;
      const isYoung = now < row.youngUntil;
      if (isYoung) this.#look(row);
      else if (row.process === undefined) continue;
      else if (now - row.cgroupAt >= CGROUP_MILLISECONDS && cgroupsLeft-- > 0) {
        row.cgroupAt = now;
        this.#place(row, row.process, this.#netnsOf(row), this.#cgroupOf(row));
      } else if (thorough || place < links) {
        this.#place(row, row.process, this.#netnsOf(row), row.cgroup);
      }
    }
    this.#turn = count === 0 ? 0 : (this.#turn + links) % count;
  }

  /**
   * Reads everything of one process. One that ends meanwhile is in no namespace, and gone at the
   * next scan.
   */
  #look(row: Row): void {
    const text = readText(`${this.#proc}/${row.pid}/stat`);
    const stat = typeof text === "string" ? statOf(text) : undefined;
    if (stat === undefined || stat.isKernels) {
      row.process = undefined;
      return;
    }
    const { pid } = row;
    const { comm, start } = stat;
    const known = row.process;
    const process = known?.comm === comm && known.start === start
      ? known
      : { pid, netns: 0, comm, start, facts: NO_FACTS };
    this.#place(row, process, this.#netnsOf(row), this.#cgroupOf(row));
  }

  /** Notes where a process is. One that has not moved stays the same object. */
  #place(row: Row, process: Process, netns: number, cgroup: string): void {
    const { facts, unified } = this.#meaningOf(cgroup);
    if (process.netns !== netns || row.cgroup !== cgroup || process.facts !== facts) {
      const { pid, comm, start } = process;
      const { podUid, containerId } = facts;
      row.process = {
        ...{ pid, netns, comm, start, facts },
        ...(unified === undefined ? {} : { unified }),
        ...(podUid === undefined ? {} : { podUid }),
        ...(containerId === undefined ? {} : { containerId }),
      };
    } else row.process = process;
    row.cgroup = cgroup;
  }

  #cgroupOf(row: Row): string {
    const text = readText(`${this.#proc}/${row.pid}/cgroup`);
    return typeof text === "string" ? text : row.cgroup;
  }

  /** Milliseconds since boot; undefined if they cannot be told. */
  #uptime(): number | undefined {
    const text = readText(`${this.#proc}/uptime`);
    const seconds = typeof text === "string" ? Number.parseFloat(text) : Number.NaN;
    return Number.isNaN(seconds) ? undefined : seconds * 1000;
  }

  #netnsOf(row: Row): number {
    const link = readLink(`${this.#proc}/${row.pid}/ns/net`);
    row.denied = link === -EACCES || link === -EPERM;
    // Pid 1 may have more privileges than we have, and then hides where it is: the host's
    // is where it is.
    return row.pid === FIRST_PID && !this.#alone ? this.hostNetns : inumOf(link);
  }

  #meaningOf(text: string): { readonly facts: CgroupFacts; readonly unified?: string } {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const unified = unifiedPath(text);
    const facts = factsOfCgroups(text, this.#prefixes);
    const meaning = { facts, ...(unified === undefined ? {} : { unified }) };
    // Starting over costs less than keeping track of use, and happens after thousands of
    // containers.
    if (this.#texts.size >= CGROUP_TEXTS_MAX) this.#texts.clear();
    this.#texts.set(text, meaning);
    return meaning;
  }
}

const FIRST_PID = 1;

/**
 * Pid 1's namespace; where it may not be looked at, that of pid 2 if that is the kernel's (which
 * never leaves the first namespace); where there is neither, our own.
 */
function hostOf(proc: string, alone: boolean): readonly [inum: number, path: string] {
  const second = readText(`${proc}/2/stat`);
  const isKernels = typeof second === "string" && statOf(second)?.isKernels === true;
  for (const process of alone ? ["self"] : ["1", ...(isKernels ? ["2"] : []), "self"]) {
    const path = `${proc}/${process}/ns/net`;
    const inum = inumOf(readLink(path));
    if (inum !== 0) return [inum, path];
  }
  return [0, `${proc}/self/ns/net`];
}

const CAP_SYS_PTRACE = 19n;

function mayTrace(status: string | number): boolean {
  const effective = typeof status === "string" ? /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] : "";
  return effective !== undefined && (BigInt(`0x${effective || 0}`) >> CAP_SYS_PTRACE & 1n) === 1n;
}
