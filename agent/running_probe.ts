/**
 * One probe in the kernel: chooses its hooks, loads or adopts them, sets its parameters, reads its
 * totals and records.
 *
 * @module
 */
import { type Layout, layoutOf } from "../bpf/btf.ts";
import { contentsOf } from "../bpf/elf.ts";
import type { Kernel } from "../bpf/kernel.ts";
import { type Attached, loadObject, type ProgramStatistics } from "../bpf/object.ts";
import type { PinnedMap } from "../bpf/maps.ts";
import type { Ring } from "../bpf/ring.ts";
import { bootNow } from "../bpf/time.ts";
import type { UnitChoice } from "./config/config.ts";
import type { NetnsKey, Occurrence } from "./events/event.ts";
import { log } from "./log.ts";
import type { Histogram, Metrics } from "./metric.ts";
import type { Outcome } from "./outcome.ts";
import { type Occupancy, Tables } from "./occupancy.ts";
import type { AddressOwner } from "./pods/identity.ts";
import type { HookedProbe, HookSet, ParameterValue, Totals, TotalsMetric } from "./probe.ts";
import { type Remote, type RemoteDetail, RemoteNames, remoteOf } from "./remote.ts";
import { Retired } from "./retired.ts";
import {
  bitmapOf,
  cgroupId,
  type Decoder,
  decoder,
  encode,
  type Fields,
  type FieldValue,
  LATENCY_BUCKETS,
  netns,
  tgid,
  total,
  u32,
} from "./schema.ts";
import { type Collection, HOST, type Owner } from "./series.ts";

/** Highest number of a kernel enum that a bitmap covers. */
const BITMAP_BITS_MAX = 256;
/** Records taken from the ring in one go, so that other work is not held up. */
const DRAIN_RECORDS_MAX = 4_096;
/** A map of no more entries has one for each word of an enum, and cannot fill. */
const ENUMERATED_ENTRIES_MAX = 8;
/** A namespace that nobody knows for this long is gone: its entries leave the map. */
const UNKNOWN_KEPT_MS = 60_000;

/** Entries of ended namespaces that wait for a collection; more go to the unknown's figures. */
const ENDED_MAX = 65_536;

/** Entries that are remembered, beyond twice those in the map, before a look at which are gone. */
const REMEMBERED_MORE_MAX = 1_024;

/** What a probe needs of the agent. */
export interface ProbeSurroundings {
  readonly kernel: Kernel;
  readonly pinDir: string;
  /** The host's network namespace, by its inode number; 0 for a pod's sidecar. */
  readonly hostNetns: number;
  readObject(probe: string, object: string): Promise<Uint8Array<ArrayBuffer>>;
}

/** Whose a figure is; undefined where the namespace or process is not known (yet, or any more). */
export interface Owners {
  ofNetns(key: NetnsKey): Owner | undefined;
  /** The pod or container of the host's network that a cgroup is of; undefined for any other. */
  ofCgroup(id: bigint): Owner | undefined;
  ofProcess(pid: number): Owner | undefined;
  /** Who has an address, as seen from a namespace. */
  ofAddress(address: string, from: NetnsKey): AddressOwner | undefined;
  readonly unknown: Owner;
  /** The only namespace that figures are wanted of, by its inode number. */
  readonly only?: number;
}

/** Events of one probe as the kernel side counted them, since the probe was first loaded. */
export interface KernelCounts {
  readonly produced: number;
  readonly limited: number;
  readonly ringFull: number;
}

/** What there is to say of a probe that has been stopped. */
export interface StoppedProbe {
  /** What the kernel still has of it after 5 s, as `map 12`. */
  readonly left: readonly string[];
  /** The last figures of its own events. */
  readonly counts?: KernelCounts;
}

/** A hook set that was not taken. */
export interface PassedOver {
  readonly hooks: string;
  readonly because: string;
}

interface ReadTotals {
  readonly card: Totals;
  readonly metrics: readonly TotalsSample[];
  readonly map: PinnedMap;
  readonly key: Decoder<Fields>;
  readonly value: Decoder<Fields>;
  /** The field of the key that says whose the figure is. */
  readonly owner: { readonly field: string; readonly by: "netns" | "tgid" } | undefined;
  /** The field that says more where the namespace is the host's. */
  readonly cgroup: string | undefined;
  /** Entries by key: since when their namespace is unknown, or that it has been known. */
  readonly remembered: Map<string, number | "known">;
  /** Entries that were counted as those of a pod of the host's network. */
  readonly guests: Set<string>;
  readonly retired: Retired;
  /** What was taken along when a namespace ended, for the next collection. */
  readonly ended: EndedEntry[];
  /** Who the far end of each entry is: what an address had counted stays with whose it was then. */
  readonly remotes: Map<string, Remote>;
  readonly remoteNames: RemoteNames;
  /** Entries at the last reading. */
  entries?: number;
}

/** An entry's key and value. */
type Entry = Readonly<Record<string, unknown>>;

/** The last figures of a namespace that has ended. */
interface EndedEntry {
  readonly owner: Owner;
  readonly key: Entry;
  readonly value: Entry;
  readonly remote: Remote | undefined;
}

/** One sample of an entry: the metric's card, and its label values. */
interface EntrySample {
  readonly name: string;
  readonly metric: TotalsMetric<Fields, Fields>;
  readonly labels: readonly string[];
}

/** A metric of the card, taken apart once, as there are thousands of entries. */
interface TotalsSample extends EntrySample {
  /** Names of labels here, not their values. */
  readonly labels: readonly string[];
  readonly when: readonly (readonly [field: string, words: readonly string[]])[];
}

/** One probe, loaded or not. */
export class RunningProbe {
  readonly card: HookedProbe;
  readonly passedOver: readonly PassedOver[];
  readonly outcome: Outcome;
  readonly hooks: string | undefined;
  readonly adopted: boolean;
  readonly #attached: Attached | undefined;
  readonly #object: Uint8Array;
  readonly #kernel: Kernel;
  readonly #hostNetns: number;
  readonly #totals: readonly ReadTotals[];
  readonly #ring: Ring | undefined;
  readonly #decode: Decoder<Fields> | undefined;
  readonly #losses: PinnedMap | undefined;
  readonly #tables: Tables | undefined;
  /** What entries had when they left the map, so that the sum of the unknown does not go down. */
  readonly #left = new Map<string, { metric: string; labels: readonly string[]; value: number }>();
  #choice: UnitChoice;

  private constructor(made: {
    card: HookedProbe;
    choice: UnitChoice;
    kernel: Kernel;
    hostNetns: number;
    passedOver: readonly PassedOver[];
    outcome: Outcome;
    object: Uint8Array;
    attached?: Attached;
    hooks?: string;
  }) {
    this.card = made.card;
    this.#choice = made.choice;
    this.#kernel = made.kernel;
    this.#hostNetns = made.hostNetns;
    this.passedOver = made.passedOver;
    this.outcome = made.outcome;
    this.hooks = made.hooks;
    this.#object = made.object;
    this.#attached = made.attached;
    this.adopted = made.attached?.adopted ?? false;
    const { attached, card } = made;
    this.#totals = attached === undefined ? [] : this.#openTotals(attached);
    if (attached === undefined) return;
    this.#tables = new Tables(attached, made.object, card);
    if (card.records === undefined) return;
    this.#ring = attached.ring("events");
    this.#losses = attached.map("losses");
    const layout = layoutOf(made.object, card.records.record.struct);
    this.#decode = decoder(card.records.record, layout, (name) => made.kernel.words(name));
  }

  /**
   * Loads the first of the probe's hook sets that this kernel allows. Never throws: what is wrong
   * is the outcome.
   */
  static async start(
    card: HookedProbe,
    choice: UnitChoice,
    surroundings: ProbeSurroundings,
  ): Promise<RunningProbe> {
    const { kernel, hostNetns } = surroundings;
    const passedOver: PassedOver[] = [];
    for (const set of card.hooks) {
      const lacking = lackOf(set, kernel);
      if (lacking !== undefined) {
        passedOver.push({ hooks: set.object, because: lacking });
        continue;
      }
      try {
        return await RunningProbe.#load(card, choice, set, passedOver, surroundings);
      } catch (error) {
        const because = error instanceof Error ? error.message : String(error);
        passedOver.push({ hooks: set.object, because });
      }
    }
    const because = passedOver.map(({ hooks, because }) => `${hooks}: ${because}`).join("; ");
    const outcome: Outcome = { state: "failed", because };
    return new RunningProbe({
      card,
      choice,
      kernel,
      hostNetns,
      passedOver,
      outcome,
      object: new Uint8Array(),
    });
  }

  static async #load(
    card: HookedProbe,
    choice: UnitChoice,
    set: HookSet,
    passedOver: readonly PassedOver[],
    { kernel, pinDir, hostNetns, readObject }: ProbeSurroundings,
  ): Promise<RunningProbe> {
    const object = await readObject(card.name, set.object);
    const { btfCopy } = kernel;
    if (btfCopy !== undefined) refuseTyped(object, kernel);
    const source = { name: card.name, bytes: object, pinDir };
    const attached = await loadObject(btfCopy === undefined ? source : { ...source, btf: btfCopy });
    try {
      const probe = new RunningProbe({
        card,
        choice,
        kernel,
        hostNetns,
        passedOver,
        object,
        attached,
        hooks: set.object,
        outcome: attachOutcome(set, attached),
      });
      probe.configure(choice);
      return probe;
    } catch (error) {
      await attached.remove();
      throw error;
    }
  }

  /** Writes the parameters; the kernel side uses them from its next run on. */
  configure(choice: UnitChoice): void {
    this.#choice = choice;
    if (this.#attached === undefined || this.card.parameters === undefined) return;
    const layout = layoutOf(this.#object, `${this.card.name}_parameters`);
    this.#attached.map("parameters").update(
      new Uint8Array(new ArrayBuffer(4)),
      encode(layout, this.#values(layout)),
    );
  }

  #values(layout: Layout): Record<string, FieldValue> {
    const values: Record<string, FieldValue> = {};
    for (const [name, parameter] of Object.entries(this.card.parameters ?? {})) {
      const value = this.#choice.parameters[name] ?? parameter.default;
      if (typeof value !== "string") values[name] = value;
    }
    for (const [name, bitmap] of Object.entries(this.card.bitmaps ?? {})) {
      values[name] = bitmapOf(
        this.#kernel.words(bitmap.enum),
        bitmap.prefix,
        bitmap.words,
        BITMAP_BITS_MAX,
      );
    }
    // Until the agent has written the parameters, the kernel side must not act on zeros.
    if (layout.members.has("ready")) values["ready"] = true;
    if (layout.members.has("host_netns")) values["host_netns"] = this.#hostNetns;
    // No events are produced then, so none is lost either.
    if (!this.#choice.events && layout.members.has("events_per_second")) {
      values["events_per_second"] = 0;
    }
    return values;
  }

  #openTotals(attached: Attached): readonly ReadTotals[] {
    return (this.card.totals ?? []).map((card) => {
      const fields = Object.entries(card.key.fields);
      const byNetns = fields.find(([, codec]) => codec === netns);
      const byTgid = fields.find(([, codec]) => codec === tgid);
      const cgroup = fields.find(([, codec]) => codec === cgroupId);
      const words = (name: string) => this.#kernel.words(name);
      const map = attached.map(card.map);
      // What an agent that crashed had taken out of the map is not known any more: without it, the
      // sums would seem to go down, and then to grow by all that is left.
      if (card.expires !== undefined && attached.adopted) map.clear();
      return {
        card,
        metrics: samplesOfCard(card),
        map,
        retired: new Retired(),
        ended: [],
        remotes: new Map(),
        remoteNames: new RemoteNames(),
        cgroup: cgroup?.[0],
        guests: new Set(),
        remembered: new Map(),
        key: decoder(card.key, layoutOf(this.#object, card.key.struct), words),
        value: decoder(card.value, layoutOf(this.#object, card.value.struct), words),
        owner: byNetns !== undefined
          ? { field: byNetns[0], by: "netns" }
          : byTgid !== undefined
          ? { field: byTgid[0], by: "tgid" }
          : undefined,
      };
    });
  }

  /** Entries that are remembered, of which some may have left the maps. */
  get remembered(): number {
    return this.#totals.reduce((sum, { remembered }) => sum + remembered.size, 0);
  }

  /** Metric cards of the totals. */
  metrics(): Metrics {
    const all: Record<string, Metrics[string]> = {};
    for (const { metrics } of this.card.totals ?? []) Object.assign(all, metrics);
    return all;
  }

  /** Reads every total into the collection. */
  addTo(collection: Collection, owners: Owners): void {
    const metrics = this.metrics();
    collection.declare(this.card.name, metrics);
    for (const read of this.#totals) {
      if (read.card.iterator !== undefined) {
        read.map.clear();
        this.#attached?.readIterator(read.card.iterator);
      }
      this.#addTotals(read, collection, owners);
    }
    // A namespace's entries leave with it; a pod that was made anew under the same name goes on
    // counting.
    for (const [name, { type }] of Object.entries(metrics)) {
      if (type === "counter") collection.neverLess(name);
    }
  }

  #addTotals(read: ReadTotals, collection: Collection, owners: Owners): void {
    const gone: Uint8Array<ArrayBuffer>[] = [];
    const retiring: { key: Uint8Array<ArrayBuffer>; remote: Remote | undefined }[] = [];
    const now = performance.now();
    const expiry = this.#expiryOf(read);
    // The kernel pushes entries out of a full map, and those of an iterator are of one run.
    const isCrowded = read.remembered.size > 2 * (read.entries ?? 0) + REMEMBERED_MORE_MAX;
    const there = isCrowded ? new Set<string>() : undefined;
    const { keyBytes, valueBytes } = read.map.info;
    read.entries = read.map.read((keyView, keyOffset, valueView, valueOffset) => {
      const key = read.key(keyView, keyOffset, keyBytes);
      const value = read.value(valueView, valueOffset, valueBytes);
      if (isForeign(read, key, owners)) return;
      const guest = owners.ofCgroup(cgroupOf(read, key));
      const owner = guest ?? this.#ownerOf(read, key, owners);
      // A process that ended between the iterator's run and now belongs to nobody any more.
      if (owner === undefined && read.owner?.by === "tgid") return;
      const bytes = new Uint8Array(keyView.buffer, keyView.byteOffset + keyOffset, keyBytes);
      const name = hex(bytes);
      there?.add(name);
      // What a cgroup counted while nobody knew whose it was stays with the host; what a pod
      // counted goes with the pod.
      const wasGuest = read.guests.has(name);
      const isTold = guest !== undefined && !wasGuest && read.remembered.has(name);
      if (guest !== undefined && !isTold) read.guests.add(name);
      const leaves = wasGuest && guest === undefined ? "known" : leavingOf(read, name, owner, now);
      const remote = this.#remoteOf(read, key, owners);
      const before = read.remotes.get(name) ?? remote;
      const isRetired = isTold || before !== remote || expiry?.(value) === true;
      if (leaves === "no" && owner !== undefined && isRetired) {
        retiring.push({ key: bytes.slice(), remote: before });
        return;
      }
      if (remote !== undefined) read.remotes.set(name, remote);
      const entry = { owner: owner ?? owners.unknown, key, value, remote };
      if (leaves === "no") this.#addEntry(read, entry, collection);
      else if (leaves === "unknown") this.#leaveEntry(read, entry);
      if (leaves !== "no") gone.push(bytes.slice());
    });
    if (there !== undefined) forgetOthers(read, there);
    for (const key of gone) {
      read.map.delete(key);
      forget(read, hex(key));
    }
    for (const { key, remote } of retiring) this.#retire(read, key, remote);
    // Once: from then on, the sums do not go down, for as long as there is a pod of that name.
    for (const entry of read.ended.splice(0)) this.#addEntry(read, entry, collection);
    read.retired.addTo(
      collection,
      ({ netns, cgroup }) => cgroup === 0n ? owners.ofNetns(netns) : owners.ofCgroup(cgroup),
    );
    for (const { metric, labels, value } of this.#left.values()) {
      if (metric in read.card.metrics) collection.add(metric, owners.unknown, labels, value);
    }
  }

  #addEntry(read: ReadTotals, entry: EndedEntry, collection: Collection): void {
    const { owner, key, value, remote } = entry;
    for (const { name, metric, labels } of this.#samplesOf(read, key, remote)) {
      const figure = value[metric.of];
      if (isHistogram(figure) && metric.above === undefined) {
        collection.observe(name, owner, labels, figure);
      } else collection.add(name, owner, labels, amountOf(figure, metric.above));
    }
  }

  /** To the figures of those who are unknown; nothing of a histogram, which has no one number. */
  #leaveEntry(read: ReadTotals, { key, value, remote }: EndedEntry): void {
    for (const { name, metric, labels } of this.#samplesOf(read, key, remote)) {
      const figure = value[metric.of];
      if (isHistogram(figure) && metric.above === undefined) continue;
      this.#leave(name, labels, amountOf(figure, metric.above));
    }
  }

  /**
   * A namespace that nothing but its number tells apart has ended: takes along what it has counted,
   * so that whoever has the number next begins with nothing.
   */
  end(inum: number, owner: Owner): void {
    for (const read of this.#totals) {
      if (read.owner?.by !== "netns" || read.card.iterator !== undefined) continue;
      const { field } = read.owner;
      const { keyBytes } = read.map.info;
      const keys: Uint8Array<ArrayBuffer>[] = [];
      read.map.read((view, offset) => {
        const netns: unknown = read.key(view, offset, keyBytes)[field];
        if (!isNetnsKey(netns) || netns.inum !== inum || netns.cookie !== 0n) return;
        keys.push(new Uint8Array(view.buffer, view.byteOffset + offset, keyBytes).slice());
      });
      for (const bytes of keys) this.#endEntry(read, bytes, owner);
    }
  }

  #endEntry(read: ReadTotals, bytes: Uint8Array<ArrayBuffer>, owner: Owner): void {
    const remote = read.remotes.get(hex(bytes));
    const taken = read.map.take(bytes);
    forget(read, hex(bytes));
    if (taken === undefined) return;
    const key: Entry = read.key(new DataView(bytes.buffer), 0, bytes.length);
    const value: Entry = read.value(new DataView(taken.buffer), 0, taken.length);
    const entry = { owner, key, value, remote };
    if (read.ended.length < ENDED_MAX) read.ended.push(entry);
    else this.#leaveEntry(read, entry);
  }

  #samplesOf(
    { metrics }: ReadTotals,
    key: Entry,
    remote: Remote | undefined,
  ): readonly EntrySample[] {
    const samples: EntrySample[] = [];
    const far: Entry = remote ?? key;
    for (const { name, metric, labels, when } of metrics) {
      if (when.length > 0 && !isWanted(when, key)) continue;
      const values = labels.map((label) => String(far[label] ?? key[label]));
      samples.push({ name, metric, labels: values });
    }
    return samples;
  }

  /** The same object for the same far end. */
  #remoteOf({ card: { remote }, remoteNames }: ReadTotals, key: Entry, owners: Owners) {
    const { netns } = key;
    if (remote === undefined || !isNetnsKey(netns)) return undefined;
    const address = String(key[remote]);
    const found = remoteOf(address, owners.ofAddress(address, netns), this.#detail());
    return remoteNames.same(found);
  }

  #detail(): RemoteDetail {
    return {
      names: this.#parameter("names") === true,
      workloads: this.#parameter("workloads") === true,
      ipv4Prefix: Number(this.#parameter("ipv4_prefix")),
      ipv6Prefix: Number(this.#parameter("ipv6_prefix")),
    };
  }

  #parameter(name: string): ParameterValue {
    return this.#choice.parameters[name] ?? this.card.parameters?.[name]?.default ?? 0;
  }

  /** Tells entries that have not been used for a while; undefined if none is to go. */
  #expiryOf({ card: { expires }, retired }: ReadTotals): ((value: Entry) => boolean) | undefined {
    if (expires === undefined) return undefined;
    const seconds = Number(this.#parameter(expires.after));
    const before = bootNow() - BigInt(seconds) * 1_000_000_000n;
    return (value) => {
      const seen = value[expires.seen];
      return typeof seen === "bigint" && seen < before && retired.hasRoom;
    };
  }

  /** Takes an entry out of the map, and keeps what it has counted up to then. */
  #retire(read: ReadTotals, bytes: Uint8Array<ArrayBuffer>, remote: Remote | undefined): void {
    const wasGuest = read.guests.has(hex(bytes));
    const taken = read.map.take(bytes);
    forget(read, hex(bytes));
    if (taken === undefined) return;
    const key: Entry = read.key(new DataView(bytes.buffer), 0, bytes.length);
    const value: Entry = read.value(new DataView(taken.buffer), 0, taken.length);
    const { netns } = key;
    if (!isNetnsKey(netns)) return;
    const origin = { netns, cgroup: wasGuest ? cgroupOf(read, key) : 0n };
    for (const { name, metric, labels } of this.#samplesOf(read, key, remote)) {
      read.retired.add(origin, name, labels, Number(value[metric.of]));
    }
  }

  #ownerOf(
    read: ReadTotals,
    key: Readonly<Record<string, unknown>>,
    owners: Owners,
  ): Owner | undefined {
    if (read.owner === undefined) return HOST;
    const value = key[read.owner.field];
    if (read.owner.by === "tgid") return owners.ofProcess(Number(value));
    return isNetnsKey(value) ? owners.ofNetns(value) : undefined;
  }

  #leave(metric: string, labels: readonly string[], value: number): void {
    const key = [metric, ...labels].join("\u0000");
    const left = this.#left.get(key);
    if (left === undefined) this.#left.set(key, { metric, labels, value });
    else left.value += value;
  }

  /** Where its records come; undefined for a probe without, and while it does not run. */
  get ring(): Ring | undefined {
    return this.#ring;
  }

  /** Hands over what is in the ring, at most a bounded number of records; how many there were. */
  drain(take: (occurrence: Occurrence) => void): number {
    const { records } = this.card;
    const decode = this.#decode;
    if (this.#ring === undefined || records === undefined || decode === undefined) return 0;
    return this.#ring.drain((view, offset, length) => {
      take(records.occurrence(decode(view, offset, length)));
    }, DRAIN_RECORDS_MAX);
  }

  /** What the kernel side counted of its own events; undefined for a probe without records. */
  kernelCounts(): KernelCounts | undefined {
    if (this.#losses === undefined) return undefined;
    const slots: number[] = [];
    this.#losses.read((keyView, keyOffset, valueView, valueOffset) => {
      slots[u32.read(keyView, keyOffset)] = total.read(valueView, valueOffset);
    });
    const [delivered = 0, limited = 0, ringFull = 0] = slots;
    return { produced: delivered + limited + ringFull, limited, ringFull };
  }

  /** How full its maps are; those of totals as of the last reading. Throws Errno. */
  occupancy(): readonly Occupancy[] {
    const totals = this.#totals.flatMap(({ card: { map }, entries, map: { info } }) => {
      const { entriesMax } = info;
      if (entries === undefined || entriesMax <= ENUMERATED_ENTRIES_MAX) return [];
      return [{ map, entries, entriesMax }];
    });
    return [...totals, ...this.#tables?.read() ?? []];
  }

  /** Run time and runs of each program, where the kernel keeps such statistics. */
  statistics(): readonly ProgramStatistics[] {
    return this.#attached?.statistics() ?? [];
  }

  /**
   * Detaches first, so that nothing comes any more; then hands over what is left in the ring, and
   * removes the pins, so that the kernel frees programs, links and maps. Never throws.
   */
  async stop(take: (occurrence: Occurrence) => void): Promise<StoppedProbe> {
    const attached = this.#attached;
    if (attached === undefined) return { left: [] };
    await attached.detach();
    let counts: KernelCounts | undefined;
    try {
      while (this.drain(take) > 0);
      counts = this.kernelCounts();
    } catch (error) {
      log.error(`Cannot read the last events of the probe "${this.card.name}": ${error}`);
    }
    return { left: await attached.remove(), ...(counts === undefined ? {} : { counts }) };
  }
}

function lackOf(set: HookSet, kernel: Kernel): string | undefined {
  for (const need of set.needs) {
    const lacking = kernel.lacks(need);
    if (lacking !== undefined) return lacking;
  }
  return undefined;
}

/** Throws for an object with a program that the kernel takes only with BTF of its own. */
function refuseTyped(object: Uint8Array, kernel: Kernel): void {
  for (const { section } of contentsOf(object).programs) {
    const because = kernel.refuses(section);
    if (because !== undefined) throw new Error(because);
  }
}

function attachOutcome(set: HookSet, attached: Attached): Outcome {
  const missing = attached.programs.filter(({ attached }) => !attached);
  if (missing.length > 0) {
    const because = missing.map(({ name, because }) => `${name} is not attached: ${because}`);
    return { state: "degraded", because: because.join("; ") };
  }
  if (set.misses !== undefined) return { state: "degraded", because: set.misses };
  return { state: "working" };
}

/**
 * Whether an entry's namespace cannot come back: it was known and is forgotten, or has been unknown
 * for long. `now` says which, for what becomes of its figures.
 */
function leavingOf(
  { remembered }: ReadTotals,
  name: string,
  owner: Owner | undefined,
  now: number,
): "no" | "known" | "unknown" {
  const before = remembered.get(name);
  if (owner !== undefined) {
    if (before !== "known") remembered.set(name, "known");
    return "no";
  }
  if (before === "known") return "known";
  if (before === undefined) remembered.set(name, now);
  return now - (before ?? now) > UNKNOWN_KEPT_MS ? "unknown" : "no";
}

function forget({ remembered, remotes, guests }: ReadTotals, name: string): void {
  remembered.delete(name);
  remotes.delete(name);
  guests.delete(name);
}

/** Forgets the entries that are no longer in the map. */
function forgetOthers(read: ReadTotals, there: ReadonlySet<string>): void {
  for (const name of read.remembered.keys()) if (!there.has(name)) forget(read, name);
}

function isWanted(when: TotalsSample["when"], key: Entry): boolean {
  return when.every(([field, words]) => words.includes(String(key[field])));
}

function samplesOfCard({ metrics }: Totals): readonly TotalsSample[] {
  return Object.entries(metrics).map(([name, metric]) => ({
    ...{ name, metric, labels: metric.labels ?? [] },
    when: Object.entries(metric.when ?? {}).flatMap(([field, words]) =>
      words === undefined ? [] : [[field, words] as const]
    ),
  }));
}

/**
 * Whether a figure is not wanted: of another namespace, or of a process, whose number is the node's
 * and says nothing within a pod.
 */
function isForeign(
  { owner }: ReadTotals,
  key: Readonly<Record<string, unknown>>,
  { only }: Owners,
): boolean {
  if (only === undefined || owner === undefined) return false;
  const value = key[owner.field];
  return owner.by === "tgid" || !isNetnsKey(value) || value.inum !== only;
}

/** The cgroup's id in an entry's key, where it says whose the figure is; else 0. */
function cgroupOf({ cgroup }: ReadTotals, key: Entry): bigint {
  const id = cgroup === undefined ? undefined : key[cgroup];
  return typeof id === "bigint" ? id : 0n;
}

function isNetnsKey(value: unknown): value is NetnsKey {
  return typeof value === "object" && value !== null && "inum" in value && "cookie" in value;
}

function isHistogram(value: unknown): value is Histogram {
  return typeof value === "object" && value !== null && "counts" in value;
}

function amountOf(figure: unknown, bound = 0): number {
  return isHistogram(figure) ? above(figure, bound) : Number(figure);
}

/** Observations above a bucket's bound. */
function above({ counts }: Histogram, bound: number): number {
  const first = LATENCY_BUCKETS.indexOf(bound) + 1;
  return counts.slice(first).reduce((sum, count) => sum + count, 0);
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte] ?? "";
  return text;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
