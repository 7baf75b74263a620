/**
 * Whose traffic it is: joins the table of namespaces, what cgroups tell, and the sources of names.
 *
 * @module
 */
import type { NetnsKey } from "../events/event.ts";
import type { CgroupFacts } from "../namespaces/cgroups.ts";
import type { Process } from "../namespaces/processes.ts";
import type { Outcome } from "../outcome.ts";
import type { PodView } from "../surface.ts";
import { CgroupIds } from "./cgroup_ids.ts";
import type { AddressOwner, Identity, IdentitySource } from "./identity.ts";
import {
  HOST,
  nameOf,
  ofContainer,
  ofPod,
  podViewOf,
  safeName,
  type Subject,
  subjectsOf,
  UNKNOWN,
} from "./naming.ts";
import { hasAddress, isLoopback, NodeIndex } from "./node_index.ts";
import type { NamespaceTable } from "./table.ts";
import type { KnownNamespace } from "./view.ts";

/**
 * Identities that are kept so that equal ones are the same object; a Map can then be keyed by them.
 */
const IDENTITIES_MAX = 16_384;

/**
 * For this long after a namespace has appeared, sources that cannot name it are asked to look
 * again.
 */
const REFRESH_SECONDS = 10;

/** An event waits at most this long for its namespace's name. */
const NAME_MILLISECONDS_MAX = 3_000;

/** Events that wait at a time; a further one goes by what is known at once, and is counted. */
const WAITING_MAX = 4_096;

/** What identities are made from. */
export interface IdentitiesOptions {
  readonly table: NamespaceTable;
  /** The best first. */
  readonly sources: readonly IdentitySource[];
  /** The node's name. */
  readonly node: string;
  /** Whose the only namespace is, for a pod's sidecar: it takes the host's place. */
  readonly self?: Identity;
  readonly proc?: string;
  /** Seconds since the epoch. */
  readonly now?: () => number;
}

/** Tells who is behind namespaces, processes, cgroups and addresses. */
export class Identities {
  readonly #table: NamespaceTable;
  readonly #sources: readonly IdentitySource[];
  readonly #node: string;
  readonly #self: Identity;
  readonly #now: () => number;
  readonly #cgroups: CgroupIds;
  readonly #same = new Map<string, Identity>();
  /** The last name of each namespace, for when it is gone and its sources have forgotten it. */
  #last: ReadonlyMap<string, Identity> = new Map();
  #index = new NodeIndex([]);
  #indexed = -1;
  /** Names given since the last look at the node; sources may have better ones at the next. */
  readonly #named = new Map<KnownNamespace, Identity>();
  #waiting = 0;
  #hurried = 0;

  constructor({ table, sources, node, self = HOST, proc = "/proc", now }: IdentitiesOptions) {
    this.#table = table;
    this.#sources = sources;
    this.#node = node;
    this.#self = self;
    this.#now = now ?? (() => Date.now() / 1000);
    this.#cgroups = new CgroupIds(proc);
  }

  /**
   * Looks at the node again; resolves when what is new has been visited. To be called regularly.
   */
  async tick(): Promise<void> {
    const visited = this.#table.tick();
    this.#learn();
    await visited;
    this.#remember();
  }

  /** How the finding of namespaces and each source are doing. */
  outcomes(): ReadonlyMap<string, Outcome> {
    return new Map([
      ["namespaces", this.#table.outcome()],
      ...this.#sources.map((source) => [source.name, source.outcome()] as const),
    ]);
  }

  /**
   * What was turned away. Each only grows, but `processes` (not looked at), `denied` (not told
   * where they are) and `addresses`, which are of the last look.
   */
  counts(): Readonly<Record<string, number>> {
    const { processes, counts } = this.#table;
    return {
      ...Object.assign({}, ...this.#sources.map((source) => source.refused?.() ?? {})),
      ...counts,
      cgroups: this.#cgroups.refused,
      waiting: this.#hurried,
      processes: processes.refused,
      denied: processes.denied,
      addresses: this.#nodeIndex().refused,
    };
  }

  /**
   * Whose traffic an event was. In the host's namespace the cgroup (a version 2 id) tells pods of
   * the host's network apart, or, where it does not, the process; elsewhere they say less than the
   * namespace.
   */
  identityOf(key: NetnsKey, cgroup?: bigint, process?: number): Identity {
    const namespace = this.#table.lookup(key);
    return namespace === undefined ? UNKNOWN : this.#identityIn(namespace, cgroup, process);
  }

  /**
   * Like `identityOf`, and waits up to three seconds for a namespace that is being looked at for
   * the first time, and as long for the sources to name a young one.
   */
  async resolve(key: NetnsKey, cgroup?: bigint, process?: number): Promise<Identity> {
    if (this.#waiting >= WAITING_MAX) {
      this.#hurried++;
      return this.identityOf(key, cgroup, process);
    }
    this.#waiting++;
    try {
      return await this.#resolve(key, cgroup, process);
    } finally {
      this.#waiting--;
    }
  }

  async #resolve(key: NetnsKey, cgroup?: bigint, process?: number): Promise<Identity> {
    const namespace = await this.#table.resolve(key);
    if (namespace === undefined) return UNKNOWN;
    const identity = this.#identityIn(namespace, cgroup, process);
    if (!this.#isUnnamed(namespace, identity)) return identity;
    await this.#refreshed();
    // Not of this view alone: the namespace may have been looked at again meanwhile.
    this.#named.clear();
    return this.#identityIn(namespace, cgroup, process);
  }

  /** Whether `resolve` may have a better answer than this one of `identityOf`. */
  mayBeNamed(key: NetnsKey, identity: Identity): boolean {
    if (identity.kind === "unknown") return key.inum !== 0;
    const namespace = this.#table.lookup(key);
    return namespace !== undefined && this.#isUnnamed(namespace, identity);
  }

  /** Whose a namespace is. */
  identityOfNamespace(namespace: KnownNamespace): Identity {
    return this.#identityIn(namespace);
  }

  /** Whose a process is: its cgroup's pod or container, else its namespace's. */
  identityOfProcess(tgid: number): Identity {
    const { processes } = this.#table;
    const process = processes.process(tgid);
    if (process !== undefined) return this.#identityOfMember(process);
    return processes.isKernels(tgid) ? this.#self : UNKNOWN;
  }

  /** The pod or container that a cgroup (a version 2 id) is of, if it is of one. */
  identityOfCgroup(id: bigint): Identity | undefined {
    const facts = this.#self === HOST ? this.#cgroups.facts(id) : undefined;
    return facts === undefined ? undefined : this.#identityOfFacts(facts);
  }

  /** The pods and containers of cgroups that have no process any more, for as long as known. */
  *pastGuests(): Iterable<Identity> {
    if (this.#self !== HOST) return;
    for (const facts of this.#cgroups.unused()) {
      const identity = this.#identityOfFacts(facts);
      if (identity !== undefined) yield identity;
    }
  }

  /** The processes of everyone, by pid ascending. */
  members(): ReadonlyMap<Identity, readonly number[]> {
    const members = new Map<Identity, number[]>();
    for (const process of this.#table.processes.all()) {
      const identity = this.#identityOfMember(process);
      const pids = members.get(identity);
      if (pids === undefined) members.set(identity, [process.pid]);
      else pids.push(process.pid);
    }
    for (const pids of members.values()) pids.sort((a, b) => a - b);
    return members;
  }

  /**
   * Who has an address. As seen from the namespace `from`, where given: its own addresses,
   * loopback's too, are its own, but for a service's: kube-proxy with IPVS and caches of names on
   * the node have these on devices of theirs. An address that several namespaces have is nobody's.
   */
  owner(address: string, from?: NetnsKey): AddressOwner | undefined {
    const near = from === undefined ? undefined : this.#table.lookup(from);
    if (isLoopback(address)) return near === undefined ? undefined : this.#ownerAs(near);
    const told = this.#told(address);
    if (near !== undefined && told?.service === undefined && hasAddress(near, address)) {
      return this.#ownerAs(near);
    }
    if (told !== undefined) return told;
    const namespace = this.#nodeIndex().owner(address);
    return namespace === undefined ? undefined : this.#ownerAs(namespace);
  }

  /** What the sources say of an address. */
  #told(address: string): AddressOwner | undefined {
    for (const source of this.#sources) {
      const owner = source.owner?.(address);
      if (owner !== undefined) return owner;
    }
    return undefined;
  }

  /** The name of a network device in a namespace. */
  interfaceName(key: NetnsKey, index: number): string | undefined {
    const namespace = this.#table.lookup(key);
    return namespace?.interfaces.find((device) => device.index === index)?.name;
  }

  /** All namespaces, gone ones too, and the pods and containers that live in the host's. */
  pods(): readonly PodView[] {
    const views: PodView[] = [];
    for (const namespace of [...this.#table.alive(), ...this.#table.gone()]) {
      const view = podViewOf(namespace, this.#identityIn(namespace));
      if (!namespace.host || this.#self !== HOST) {
        views.push(view);
        continue;
      }
      const guests = this.#guestsOf(namespace);
      const guestPids = new Set(guests.flatMap(({ pids }) => pids));
      views.push({ ...view, pids: view.pids.filter((pid) => !guestPids.has(pid)) }, ...guests);
    }
    return views;
  }

  /** Ends the sources. The table is its owner's to close. */
  close(): void {
    for (const source of this.#sources) source.close();
  }

  #nodeIndex(): NodeIndex {
    if (this.#indexed !== this.#table.generation) {
      this.#index = new NodeIndex(this.#table.alive());
      this.#indexed = this.#table.generation;
      this.#named.clear();
    }
    return this.#index;
  }

  #learn(): void {
    this.#cgroups.learn(this.#table.processes.all(), this.#now());
  }

  /**
   * Keeps the names of all namespaces, and asks the sources to look again where nobody knows one.
   */
  #remember(): void {
    const last = new Map<string, Identity>();
    let isUnnamed = false;
    for (const namespace of this.#table.alive()) {
      const identity = this.#identityIn(namespace);
      last.set(keyOf(namespace), identity);
      isUnnamed ||= this.#isUnnamed(namespace, identity);
    }
    for (const namespace of this.#table.gone()) {
      const key = keyOf(namespace);
      const identity = this.#last.get(key);
      if (identity !== undefined) last.set(key, identity);
    }
    this.#last = last;
    if (!isUnnamed) return;
    for (const source of this.#sources) void source.refresh?.();
  }

  /**
   * Whether a young namespace has no name but its pod's or container's number, or what it has while
   * a runtime and its network plugin are making it: a mount in `ip netns`, a process of theirs.
   */
  #isUnnamed(namespace: KnownNamespace, { kind, name }: Identity): boolean {
    const { seenAt, containerIds, innerId } = namespace;
    // Sources know a pod a while longer than it is there.
    if (this.#now() - seenAt >= REFRESH_SECONDS) return false;
    if (kind === "pod-uid") return true;
    if (kind === "netns" || kind === "process") return this.#sources.length > 0;
    if (kind !== "container") return false;
    return [...containerIds, innerId ?? ""].some((id) => ofContainer(id).name === name);
  }

  /** Has all sources look again, and waits for those that can tell when they have. */
  async #refreshed(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, NAME_MILLISECONDS_MAX);
    });
    const looked = Promise.all(this.#sources.map((source) => source.refresh?.()));
    await Promise.race([looked, late]);
    clearTimeout(timer);
  }

  #identityIn(namespace: KnownNamespace, cgroup?: bigint, process?: number): Identity {
    if (this.#self !== HOST && namespace.host) return this.#self;
    if (namespace.host) {
      const facts = (cgroup === undefined ? undefined : this.#cgroups.facts(cgroup)) ??
        (process === undefined ? undefined : this.#table.processes.process(process)?.facts);
      return (facts === undefined ? undefined : this.#identityOfFacts(facts)) ?? HOST;
    }
    const index = this.#nodeIndex();
    const known = this.#named.get(namespace);
    if (known !== undefined) return known;
    const isMain = index.isMain(namespace);
    const last = namespace.goneAt === undefined ? undefined : this.#last.get(keyOf(namespace));
    const identity = this.#ask(subjectsOf(namespace, isMain)) ?? last ??
      this.#keep(nameOf(namespace, isMain));
    this.#named.set(namespace, identity);
    return identity;
  }

  #identityOfMember({ netns, facts }: Process): Identity {
    if (this.#self !== HOST) return this.#self;
    const ofCgroup = this.#identityOfFacts(facts);
    if (ofCgroup !== undefined) return ofCgroup;
    const namespace = this.#table.byInum(netns);
    return namespace === undefined ? UNKNOWN : this.#identityIn(namespace);
  }

  #identityOfFacts({ podUid, containerId }: CgroupFacts): Identity | undefined {
    const pod = podUid === undefined ? {} : { podUid };
    const container = containerId === undefined ? {} : { containerId };
    const byKernel = podUid === undefined
      ? containerId === undefined ? undefined : ofContainer(containerId)
      : ofPod(podUid);
    if (byKernel === undefined) return undefined;
    return this.#ask([{ ...pod, ...container }]) ?? this.#keep(byKernel);
  }

  /** The answer of the first source that has one. */
  #ask(subjects: readonly Subject[]): Identity | undefined {
    for (const source of this.#sources) {
      for (const subject of subjects) {
        const identity = source.identify(subject);
        if (identity !== undefined) return this.#keep(identity);
      }
    }
    return undefined;
  }

  /** The one object for all equal identities, with names that can be shown. */
  #keep(identity: Identity): Identity {
    if (identity === HOST || identity === UNKNOWN) return identity;
    const key = JSON.stringify(identity);
    const known = this.#same.get(key);
    if (known !== undefined) return known;
    const namespace = safeName(identity.namespace);
    const kept = { ...identity, namespace, name: safeName(identity.name) };
    if (this.#same.size >= IDENTITIES_MAX) this.#same.clear();
    this.#same.set(key, kept);
    return kept;
  }

  #ownerAs(namespace: KnownNamespace): AddressOwner | undefined {
    const identity = this.#identityIn(namespace);
    if (identity.kind === "host") return { node: this.#node };
    if (identity.kind === "unknown") return undefined;
    const { namespace: ofPods, name, workload } = identity;
    const more = workload === undefined ? {} : { workload };
    return { pod: { namespace: ofPods, name, ...more } };
  }

  /** Pods and containers that use the host's network. */
  #guestsOf(host: KnownNamespace): readonly PodView[] {
    const guests = new Map<Identity, Process[]>();
    for (const process of this.#table.processes.all()) {
      if (process.netns !== host.inum) continue;
      const identity = this.#identityOfFacts(process.facts);
      if (identity === undefined) continue;
      const processes = guests.get(identity);
      if (processes === undefined) guests.set(identity, [process]);
      else processes.push(process);
    }
    return Array.from(guests, ([identity, processes]): PodView => {
      const ids = new Set(processes.map(({ containerId }) => containerId));
      const runtime = processes.find(({ facts }) => facts.runtime !== undefined)?.facts.runtime;
      return {
        ...podViewOf(host, identity),
        pids: processes.map(({ pid }) => pid).sort((a, b) => a - b),
        containerIds: Array.from(ids).filter((id) => id !== undefined),
        ...(runtime === undefined ? {} : { runtime }),
      };
    });
  }
}

function keyOf({ inum, cookie }: KnownNamespace): string {
  return `${inum}/${cookie}`;
}
