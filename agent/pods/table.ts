/**
 * The network namespaces of the node: which exist, which have gone, and which number is whose.
 *
 * A namespace's inode number is given out again as soon as it is free, so a number alone says
 * little. What tells two namespaces apart is the cookie, which the kernel never gives twice. It is
 * read when a number appears, and again whenever the number might have changed hands: when none of
 * the processes that were there at the last scan still is, and its mounts prove nothing, because
 * the mount table has changed (a name can be unmounted and mounted again with the same number in
 * between). A process that leaves a namespace, lets it die and finds itself in a new one with the
 * same number would get past that. But every visit (at each collection, and every
 * `FACTS_SECONDS_MAX` at least) looks at the cookie, and so does every lookup for an event that
 * carries one; each of them starts the inquiry again.
 *
 * Since Linux 6.18 the cookie can be read from outside (`namespaceId`), so all of that happens
 * within one scan. Before, it takes a visit, and until that is back, the number is neither the old
 * namespace's nor a new one's: a lookup finds the old one by its cookie, and nothing else.
 *
 * @module
 */
import type { NetnsKey } from "../events/event.ts";
import type { Outcome } from "../outcome.ts";
import { namespaceId, netnsCookie, readLink } from "../namespaces/libc.ts";
import { type NetnsMount, NetnsMountTables } from "../namespaces/mounts.ts";
import { inumOf, ProcessTable } from "../namespaces/processes.ts";
import { targetOf } from "../namespaces/reader.ts";
import type { NamespaceVisitor, VisitResult } from "../namespaces/visitor.ts";
import { RescanBudget } from "./rescans.ts";
import { type Birth, type Found, type KnownNamespace, viewOf } from "./view.ts";

/** Namespaces that are followed at a time; further ones are counted. */
export const NAMESPACES_MAX = 4_096;

/** A namespace that is gone is kept for late events this long. */
export const GONE_SECONDS = 60;

/** Namespaces kept after they have gone; the one that went first makes room, and is counted. */
export const GONE_MAX = 4_096;

/** How often `tick()` should be called: a new namespace must be known within a second. */
export const TICK_MILLISECONDS = 900;

/**
 * Devices and addresses are read when a namespace appears, often while it is young, and then this
 * often.
 */
const FACTS_SECONDS_MIN = 1;
const FACTS_SECONDS_MAX = 15;

const VISIT_MILLISECONDS_MAX = 5_000;

/** Namespaces that appear during a visit are visited right after it, but not for ever. */
const VISIT_ROUNDS_MAX = 3;

const OWN_NETNS = "/proc/thread-self/ns/net";

/** How long `resolve` waits for a namespace to be found. */
const RESOLVE_MILLISECONDS_MAX = 3_000;

/** One namespace, for as long as it is remembered. */
interface Entry {
  readonly birth: Birth;
  /** 0 while it is not known, or cannot be. */
  cookie: bigint;
  /** Whether the cookie is still to come. */
  pending: boolean;
  /** While it is: who had the number before, and may have it still. */
  formerly: Entry | undefined;
  /** A visit found another cookie. */
  doubted: boolean;
  found: Found;
  lastSeen: number;
  factsAt: number;
  view: KnownNamespace;
}

/** What of the world the table looks at; all but the visitor is given by tests only. */
export interface TableOptions {
  readonly visitor: Pick<NamespaceVisitor, "visit" | "outcome">;
  readonly proc?: string;
  /** Look at our own namespace alone, as its pod's sidecar. */
  readonly alone?: boolean;
  /** Seconds since the epoch. */
  readonly now?: () => number;
  /** Whether a file handle tells the cookie; found out unless given. */
  readonly handles?: boolean;
}

/** What the table turned away, and what befell it; each only grows. */
export interface TableCounts {
  /** Namespaces beyond `NAMESPACES_MAX`. */
  readonly refused: number;
  /** Gone ones forgotten early, beyond `GONE_MAX`. */
  readonly forgotten: number;
  /** Numbers that turned out to be another namespace's. */
  readonly reused: number;
  /** Scans started by events of unknown namespaces, and those that were not. */
  readonly rescans: number;
  readonly rescansRefused: number;
}

/** Keeps the network namespaces of the node. */
export class NamespaceTable {
  readonly processes: ProcessTable;
  readonly #proc: string;
  readonly #mounts: NetnsMountTables;
  readonly #visitor: TableOptions["visitor"];
  readonly #now: () => number;
  readonly #handles: boolean;
  readonly #alone: boolean;
  readonly #budget = new RescanBudget();
  readonly #live = new Map<number, Entry>();
  readonly #gone = new Set<Entry>();
  readonly #byCookie = new Map<bigint, Entry>();
  #ended: KnownNamespace[] = [];
  #refusedInums: ReadonlySet<number> = new Set();
  #refused = 0;
  #forgotten = 0;
  #reused = 0;
  #visiting: Promise<void> | undefined;
  /** For those who wait for what it finds. */
  #nextScan: PromiseWithResolvers<void> | undefined;
  #closed = false;
  #generation = 0;

  constructor(options: TableOptions) {
    this.#proc = options.proc ?? "/proc";
    this.#visitor = options.visitor;
    this.#now = options.now ?? (() => Date.now() / 1000);
    this.#handles = options.handles ?? handlesAreCookies();
    this.#alone = options.alone ?? false;
    this.processes = new ProcessTable(this.#proc, this.#alone);
    this.#mounts = new NetnsMountTables(this.#proc);
  }

  /** What was turned away so far. */
  get counts(): TableCounts {
    const { granted, refused } = this.#budget.counts;
    return {
      refused: this.#refused,
      forgotten: this.#forgotten,
      reused: this.#reused,
      rescans: granted,
      rescansRefused: refused,
    };
  }

  /** Goes up whenever anything that the table tells may have changed. */
  get generation(): number {
    return this.#generation;
  }

  /** Whether everything on the node can be seen. */
  outcome(): Outcome {
    const processes = this.processes.outcome();
    return processes.state === "working" ? this.#visitor.outcome() : processes;
  }

  /**
   * The namespaces that exist, the host's first. One whose cookie is still being asked for is left
   * out.
   */
  alive(): readonly KnownNamespace[] {
    const views: KnownNamespace[] = [];
    for (const entry of this.#live.values()) {
      // Reading it is safe even when the number has changed hands: the reader looks at the cookie.
      const certain = entry.pending && !entry.birth.host ? entry.formerly : entry;
      if (certain !== undefined) views.push(certain.view);
    }
    return views.sort((a, b) => Number(b.host) - Number(a.host));
  }

  /** Those that are gone and still remembered. */
  gone(): readonly KnownNamespace[] {
    return Array.from(this.#gone, ({ view }) => view);
  }

  /** The namespace that has this number now, if that is certain. */
  byInum(inum: number): KnownNamespace | undefined {
    const entry = this.#live.get(inum);
    return entry === undefined || entry.pending ? undefined : entry.view;
  }

  /**
   * The namespace that an event names, gone or not; undefined if there is none, or it cannot be
   * told yet. One that is not known starts a scan at once, so that a pod's first packet finds it.
   */
  lookup(key: NetnsKey): KnownNamespace | undefined {
    const known = this.#find(key);
    if (known !== undefined) return known;
    const rate = key.cookie === 0n ? BigInt(key.inum) : key.cookie;
    if (key.inum === 0 || !this.#budget.take(rate, this.#now())) return undefined;
    this.#scan(true);
    this.#startVisit();
    const found = this.#find(key);
    if (found !== undefined) this.#budget.found(rate);
    return found;
  }

  /** Like `lookup`, of what the last scan saw: starts none. */
  seen(key: NetnsKey): KnownNamespace | undefined {
    return this.#find(key);
  }

  /**
   * Like `lookup`, and waits up to three seconds where it takes a visit or the next scan to find
   * out: when pods come quickly, not each of them may start a scan of its own.
   */
  async resolve(key: NetnsKey): Promise<KnownNamespace | undefined> {
    let known = this.lookup(key);
    if (known !== undefined || key.inum === 0) return known;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        isOver = true;
        resolve();
      }, RESOLVE_MILLISECONDS_MAX);
    });
    while (known === undefined && !isOver && !this.#closed) {
      this.#nextScan ??= Promise.withResolvers();
      await Promise.race([this.#visiting ?? this.#nextScan.promise, over]);
      known = this.#find(key);
    }
    clearTimeout(timer);
    return known;
  }

  /**
   * Scans the node, synchronously; resolves when what is new has been visited. To be called
   * regularly.
   */
  async tick(): Promise<void> {
    this.#scan(false);
    this.#startVisit();
    await this.#visiting;
  }

  /** Whether the last scan lacks one of these mounts: a number alone may be used again. */
  lacksAny(mounts: readonly NetnsMount[]): boolean {
    return mounts.some(({ inum, path }) => {
      const entry = this.#live.get(inum);
      if (entry === undefined) return !this.#refusedInums.has(inum);
      return entry.found.mounts.every((mount) => mount.path !== path);
    });
  }

  /** Takes note that a visit found the namespace gone, or its number another's. */
  doubt({ inum, cookie }: NetnsKey): void {
    const entry = this.#live.get(inum);
    if (entry !== undefined && entry.cookie === cookie) entry.doubted = true;
  }

  /**
   * The namespaces without a cookie that have ended since the last call: whatever goes by their
   * number alone may be another's from now on. Beyond `GONE_MAX`, those that ended first are left
   * out.
   */
  takeEnded(): readonly KnownNamespace[] {
    const ended = this.#ended;
    this.#ended = [];
    return ended;
  }

  /** Gives back what is open. The visitor is its owner's to close. */
  close(): void {
    this.#closed = true;
    this.#nextScan?.resolve();
    this.#mounts.close();
  }

  #find({ inum, cookie }: NetnsKey): KnownNamespace | undefined {
    const live = this.#live.get(inum);
    if (cookie !== 0n) {
      const entry = this.#byCookie.get(cookie);
      if (entry !== undefined) return entry.birth.inum === inum ? entry.view : undefined;
      // Where cookies cannot be read, the number must do.
      return live?.cookie === 0n && !live.pending ? live.view : undefined;
    }
    if (live !== undefined) return live.pending ? undefined : live.view;
    return Array.from(this.#gone).findLast(({ birth }) => birth.inum === inum)?.view;
  }

  #scan(thorough: boolean): void {
    const now = this.#now();
    this.#generation++;
    this.processes.scan(performance.now(), thorough);
    const all = this.#search();
    const refused = new Set<number>();
    for (const [inum, found] of all) {
      let entry = this.#live.get(inum);
      if (entry !== undefined && !this.#continues(entry, found)) {
        entry = this.#inquire(entry, found);
      }
      if (entry === undefined && this.#live.size >= NAMESPACES_MAX) {
        refused.add(inum);
        continue;
      }
      entry ??= this.#appear(inum, found, undefined);
      this.#update(entry, found, now);
    }
    for (const entry of [...this.#live.values()]) {
      if (!all.has(entry.birth.inum)) this.#retire(entry);
    }
    for (const inum of refused) if (!this.#refusedInums.has(inum)) this.#refused++;
    this.#refusedInums = refused;
    this.#forget(now);
    this.#nextScan?.resolve();
    this.#nextScan = undefined;
  }

  /** What lives where. The host's namespace is always there. */
  #search(): Map<number, Found> {
    const all = new Map<number, Found>();
    const at = (inum: number): Found => {
      const known = all.get(inum);
      if (known !== undefined) return known;
      const found = { processes: [], mounts: [] };
      all.set(inum, found);
      return found;
    };
    if (this.processes.hostNetns !== 0) at(this.processes.hostNetns);
    const isWanted = (inum: number) => !this.#alone || inum === this.processes.hostNetns;
    for (const process of this.processes.all()) {
      const { netns } = process;
      if (netns !== 0 && isWanted(netns)) at(netns).processes.push(process);
    }
    if (this.#alone) return all;
    for (const mount of this.#mounts.read()) at(mount.inum).mounts.push(mount);
    return all;
  }

  /** Whether the number is beyond doubt still the same namespace's as at the last scan. */
  #continues(entry: Entry, found: Found): boolean {
    if (entry.birth.host) return true;
    if (entry.doubted) return false;
    if (!this.#mounts.changed && entry.found.mounts.length > 0) return true;
    const starts = new Map(entry.found.processes.map(({ pid, start }) => [pid, start]));
    return found.processes.some(({ pid, start }) => starts.get(pid) === start);
  }

  /** Finds out whose the number is now: the same entry, or another in its place. */
  #inquire(entry: Entry, found: Found): Entry {
    const { birth: { inum }, cookie: before, formerly } = entry;
    const cookie = this.#cookieFromOutside(inum, found);
    if (cookie !== 0n && cookie === before) {
      entry.doubted = false;
      return entry;
    }
    if (entry.pending && cookie === 0n && isMountedAsBefore(entry.found, found)) {
      // The visit on its way asks the same path. Else one would never end in time where others
      // mount all the while.
      entry.doubted = true;
      return entry;
    }
    this.#live.delete(inum);
    if (cookie === 0n && before !== 0n) return this.#appear(inum, found, entry);
    entry.formerly = undefined;
    this.#reused++;
    this.#retire(entry);
    return this.#appear(inum, found, formerly);
  }

  /** The cookie, where it takes no visit to tell; else 0. */
  #cookieFromOutside(inum: number, { mounts, processes }: Found): bigint {
    if (inum === this.processes.hostNetns && inum === inumOf(readLink(OWN_NETNS))) {
      return netnsCookie();
    }
    if (!this.#handles) return 0n;
    for (const { opens } of mounts) {
      const cookie = namespaceId(opens, inum);
      if (cookie !== 0n) return cookie;
    }
    for (const { pid } of processes) {
      const cookie = namespaceId(`${this.#proc}/${pid}/ns/net`, inum);
      if (cookie !== 0n) return cookie;
    }
    return 0n;
  }

  #appear(inum: number, found: Found, formerly: Entry | undefined): Entry {
    const now = this.#now();
    const host = inum === this.processes.hostNetns;
    const path = host ? { path: this.processes.hostPath } : {};
    const birth: Birth = { inum, host, ...path, seenAt: now };
    const cookie = this.#cookieFromOutside(inum, found);
    const known = cookie === 0n ? undefined : this.#byCookie.get(cookie);
    if (known !== undefined && known.birth.inum === inum) return this.#revive(known);
    const entry: Entry = {
      birth,
      cookie,
      pending: cookie === 0n,
      formerly,
      doubted: false,
      found,
      lastSeen: now,
      factsAt: Number.NEGATIVE_INFINITY,
      view: viewOf(birth, cookie, found, this.#proc, undefined),
    };
    this.#live.set(inum, entry);
    if (cookie !== 0n) this.#byCookie.set(cookie, entry);
    return entry;
  }

  /** It was held by something that no scan sees, and is back. */
  #revive(entry: Entry): Entry {
    this.#gone.delete(entry);
    entry.doubted = false;
    this.#live.set(entry.birth.inum, entry);
    return entry;
  }

  #update(entry: Entry, found: Found, now: number): void {
    entry.lastSeen = now;
    const { found: before } = entry;
    entry.found = found;
    if (
      entry.view.goneAt !== undefined || entry.view.cookie !== entry.cookie || differ(before, found)
    ) {
      entry.view = viewOf(entry.birth, entry.cookie, found, this.#proc, entry.view);
    }
  }

  #retire(entry: Entry): void {
    if (this.#live.get(entry.birth.inum) === entry) this.#live.delete(entry.birth.inum);
    if (entry.formerly !== undefined) this.#retire(entry.formerly);
    entry.formerly = undefined;
    entry.pending = false;
    entry.view = { ...entry.view, pids: [], goneAt: entry.lastSeen };
    this.#gone.add(entry);
    if (entry.cookie === 0n) this.#ended.push(entry.view);
    if (this.#ended.length > GONE_MAX) this.#ended.shift();
  }

  #forget(now: number): void {
    for (const entry of this.#gone) {
      const isOld = now - entry.lastSeen >= GONE_SECONDS;
      if (!isOld && this.#gone.size <= GONE_MAX) continue;
      if (!isOld) this.#forgotten++;
      this.#gone.delete(entry);
      if (this.#byCookie.get(entry.cookie) === entry) this.#byCookie.delete(entry.cookie);
    }
  }

  #startVisit(): void {
    this.#visiting ??= this.#visitDue().finally(() => {
      this.#visiting = undefined;
    });
  }

  /** Enters what is new, and what was not looked at for a while. */
  async #visitDue(): Promise<void> {
    for (let round = 0; round < VISIT_ROUNDS_MAX; round++) {
      const now = this.#now();
      const due = Array.from(this.#live.values()).filter((entry) => isDue(entry, now));
      if (due.length === 0) return;
      for (const entry of due) entry.factsAt = now;
      const targets = due.map(({ view }) => targetOf(view));
      const wanted = { files: [], interfaces: true };
      const results = await this.#visitor.visit(targets, wanted, VISIT_MILLISECONDS_MAX);
      // A cookie belongs to what was found before the visit only if that is still there after it.
      if (due.some(({ pending }) => pending)) this.#scan(false);
      for (const [index, entry] of due.entries()) {
        const result = results[index];
        if (result !== undefined && this.#live.get(entry.birth.inum) === entry) {
          this.#settle(entry, result);
        }
      }
    }
  }

  #settle(entry: Entry, result: VisitResult): void {
    // Gone while it was asked for: the next scan retires it, or finds who has the number now.
    if (result.state === "gone") {
      entry.doubted = true;
      return;
    }
    const { formerly } = entry;
    if (result.state === "late" && entry.pending && formerly !== undefined) {
      // It is taken for the one that had the number, and doubted until a visit can tell.
      this.#identify(entry, formerly.cookie).doubted = true;
      return;
    }
    const cookie = result.state === "read" ? result.sight.cookie : 0n;
    const settled = entry.pending || entry.cookie === 0n ? this.#identify(entry, cookie) : entry;
    if (result.state !== "read") return;
    this.#generation++;
    const { interfaces = [] } = result.sight;
    settled.view = { ...settled.view, cookie: settled.cookie, interfaces };
  }

  /** The cookie of a pending entry is there, or cannot be had (0). */
  #identify(entry: Entry, cookie: bigint): Entry {
    const { formerly, found, lastSeen } = entry;
    entry.pending = false;
    entry.formerly = undefined;
    entry.cookie = cookie;
    const known = cookie === 0n ? undefined : this.#byCookie.get(cookie);
    if (formerly !== undefined && formerly !== known) {
      this.#reused++;
      this.#retire(formerly);
    }
    if (known !== undefined && known.birth.inum === entry.birth.inum) {
      this.#revive(known);
      this.#update(known, found, lastSeen);
      return known;
    }
    if (cookie !== 0n) this.#byCookie.set(cookie, entry);
    return entry;
  }
}

function isDue({ birth, pending, factsAt }: Entry, now: number): boolean {
  if (pending && factsAt === Number.NEGATIVE_INFINITY) return true;
  const age = now - birth.seenAt;
  return now - factsAt >= Math.min(FACTS_SECONDS_MAX, Math.max(FACTS_SECONDS_MIN, age));
}

/** Whether nothing but mounts leads to it, and these are the same. */
function isMountedAsBefore(before: Found, after: Found): boolean {
  return before.processes.length + after.processes.length === 0 && !differ(before, after);
}

/**
 * Whether anything that a view shows has changed; rows of unchanged processes are the same objects.
 */
function differ(before: Found, after: Found): boolean {
  return before.processes.length !== after.processes.length ||
    before.mounts.length !== after.mounts.length ||
    before.processes.some((process, index) => process !== after.processes[index]) ||
    before.mounts.some(({ path }, index) => path !== after.mounts[index]?.path);
}

/** Whether this kernel's file handles carry the cookie; one namespace, our own, is compared. */
function handlesAreCookies(): boolean {
  const id = namespaceId(OWN_NETNS, inumOf(readLink(OWN_NETNS)));
  return id !== 0n && id === netnsCookie();
}
