/**
 * The running agent: the only place where probes, collectors, identities, events and routes meet,
 * and where failures stop.
 *
 * @module
 */
import type { Kernel } from "../bpf/kernel.ts";
import { trimMemory } from "../bpf/libc.ts";
import { RingWait } from "../bpf/ring_wait.ts";
import { Symbols } from "../bpf/symbols.ts";
import { bootNow, wallTime } from "../bpf/time.ts";
import type { Place, Sources } from "./collecting.ts";
import type { Config, NameSet, UnitCard } from "./config/config.ts";
import { changedNames, changes } from "./config/changes.ts";
import { type Overrides, readConfig } from "./config/read.ts";
import { render } from "./config/render.ts";
import type { NetnsKey, Occurrence } from "./events/event.ts";
import type { EventPipeline } from "./events/pipeline.ts";
import type { EventStore } from "./events/store.ts";
import { WaitingEvents } from "./events/waiting.ts";
import { expose } from "./exposition.ts";
import { readNodeFile, readProcessFile, sysOf, uplinks } from "./host.ts";
import type { HttpCounts } from "./http_counts.ts";
import { join, type Knowledge } from "./join.ts";
import { LastReadings } from "./last_readings.ts";
import { entriesLost, log, setLevel } from "./log.ts";
import { type NetnsReading, readInNamespaces } from "./namespaces/reader.ts";
import type { NamespaceVisitor } from "./namespaces/visitor.ts";
import { unloadStartCode } from "./own_memory.ts";
import type { Identities } from "./pods/identities.ts";
import type { Identity } from "./pods/identity.ts";
import type { NamespaceTable } from "./pods/table.ts";
import { AdditionalLabels } from "./pod_labels.ts";
import { isRdma, RdmaTexts } from "./rdma.ts";
import type { ProgramSampling } from "./sampling.ts";
import { addAges, addProcess, SELF, SELF_METRICS, SELF_POD_METRICS } from "./self.ts";
import type { Owners } from "./running_probe.ts";
import { type Collection, HOST, type Owner, Registry } from "./series.ts";
import { type Receiver, stateOf, type Units } from "./units.ts";
import { version } from "./version.ts";
import type * as surface from "./surface.ts";

/**
 * Milliseconds a collection may take to read files; what is late is not waited for, and shows the
 * values it had.
 */
const READ_MILLISECONDS_MAX = 4_000;
/** RDMA devices have so long to answer; they are asked at the same time. */
const RDMA_MILLISECONDS_MAX = 2_000;
/**
 * How often the rings are emptied while there are records. When there have been none for a while,
 * the kernel wakes us at the next one; but netlink's sockets, which nobody waits for, are read so
 * often.
 */
const DRAIN_MILLISECONDS = 20;
const DRAIN_MILLISECONDS_QUIET = 100;
/** Empty looks after which it is quiet. */
const QUIET_LOOKS = 10;
/** Collections after which V8 has compiled what they run, and what that took can go. */
const FIRST_COLLECTIONS = 3;
/** The longest wait for a record: no kernel is trusted to wake us for ever. */
const WAIT_MILLISECONDS_MAX = 1_000;

/** How often files are read whose changes are events. */
const WATCH_MILLISECONDS = 5_000;

/** What `Symbols.name()` gives where the kernel hides its addresses. */
const HIDDEN_SYMBOL = "?";
/** Kinds of text whose length is remembered: names in any order, in two formats. */
const TEXT_KINDS_MAX = 32;

/** Whose figures are that nobody is known for. */
const UNKNOWN: Owner = { key: "unknown", namespace: "unknown", pod: "" };

/** What the agent is made of. */
export interface Parts {
  readonly kernel: Kernel;
  readonly units: Units;
  readonly visitor: NamespaceVisitor;
  readonly table: NamespaceTable;
  readonly identities: Identities;
  readonly store: EventStore;
  readonly pipeline: EventPipeline;
  readonly cards: readonly UnitCard[];
  readonly overrides: Overrides;
  /** What the node lacks, once that has been looked for. */
  readonly missing: () => surface.Status["missing"];
  /** What the HTTP side counts of itself, whether it listens yet or not. */
  readonly http: HttpCounts;
  /** Undefined where BPF programs may not be measured. */
  readonly sampling: ProgramSampling | undefined;
  /** Opens the listeners anew after a change of `listen`, `socket` or `access`. */
  readonly listenAnew: (config: Config) => Promise<void>;
}

/** The agent, running. */
export class RunningAgent implements surface.Agent {
  readonly #parts: Parts;
  readonly #registry = new Registry();
  readonly #lastReadings = new LastReadings();
  readonly #symbols = new Symbols();
  readonly #owners = new WeakMap<Identity, Owner>();
  readonly #started = Date.now();
  readonly #known: Knowledge;
  readonly #waiting = new WaitingEvents();
  readonly #rdma = new RdmaTexts();
  readonly #addresses: Pick<Owners, "ofAddress"> = {
    ofAddress: (address, from) => this.#parts.identities.owner(address, from),
  };
  readonly #receiver: Receiver = {
    take: (probe, occurrence) => this.#take(probe, occurrence),
    count: (probe, counts) => this.#parts.pipeline.addKernel(probe, counts),
    ...this.#addresses,
  };
  #additional: AdditionalLabels;
  #config: Config;
  /** What is started, stopped or configured: one after the other. */
  #changing: Promise<unknown> = Promise.resolve();
  #origin: string;
  #configError: string | undefined;
  #collecting: Promise<Collection> | undefined;
  #collections = 0;
  /** Length of the last text of each kind. */
  readonly #textBytes = new Map<string, number>();
  #ready = false;
  #whyNoSymbols: string | undefined;
  #drainTimer: ReturnType<typeof setTimeout> | undefined;
  #emptyLooks = 0;
  #ringWait: RingWait | undefined;
  #readingSymbols: Promise<void> | undefined;
  /** Those under way, and those that wait for them. */
  #changes = 0;
  #watchedAt = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(parts: Parts, config: Config, origin: string) {
    this.#parts = parts;
    this.#config = config;
    this.#additional = new AdditionalLabels(config.metrics.additionalLabels);
    this.#origin = origin;
    const { identities } = parts;
    this.#known = {
      node: config.nodeName,
      identityOf: (netns, cgroup, pid) => identities.identityOf(netns, cgroup, pid),
      owner: (address, from) => identities.owner(address, from),
      symbol: (address) => this.#symbol(address),
      wallTime,
    };
  }

  /** Looks at the node, starts the probes, and begins to empty their rings. */
  async start(): Promise<void> {
    const { identities, units } = this.#parts;
    await identities.tick();
    await this.#inTurn(() => units.configure(this.#config.units, this.#receiver));
    await this.#follow();
    this.#ringWait = new RingWait();
    this.#drainLater();
    this.#ready = true;
    trimMemory();
    unloadStartCode();
  }

  /**
   * Stops the probes, keeps what their rings still hold, and closes the store and the sinks. Events
   * that wait for a name go by what is known by then.
   */
  async stop(): Promise<void> {
    const { units, pipeline, identities, table, visitor } = this.#parts;
    this.#stopped = true;
    clearTimeout(this.#drainTimer);
    await this.#ringWait?.[Symbol.asyncDispose]();
    await this.#readingSymbols;
    await this.#inTurn(() => units.close(this.#receiver));
    this.#waiting.end();
    await pipeline.close();
    log.info("Stopped", occurrencesOf(pipeline));
    identities.close();
    table.close();
    visitor.close();
    this.#symbols[Symbol.dispose]();
  }

  /**
   * While records come, by a timer, since a wake-up for each would cost more than the record. The
   * rate limits bound what can come in the longer pause to a fraction of a ring.
   */
  #drainLater(): void {
    if (this.#stopped) return;
    const quiet = this.#emptyLooks >= QUIET_LOOKS;
    const { units } = this.#parts;
    if (quiet && !units.listens && this.#changes === 0 && this.#ringWait !== undefined) {
      void this.#awaitRecords(this.#ringWait);
      return;
    }
    this.#drainTimer = setTimeout(() => {
      this.#drain();
      this.#drainLater();
    }, quiet ? DRAIN_MILLISECONDS_QUIET : DRAIN_MILLISECONDS);
  }

  async #awaitRecords(ringWait: RingWait): Promise<void> {
    try {
      const woken = await ringWait.wait(this.#parts.units.rings(), WAIT_MILLISECONDS_MAX);
      // A record that is being written wakes us all the while: the next look is a later one.
      if (woken) this.#emptyLooks = QUIET_LOOKS - 2;
    } catch (error) {
      this.#ringWait = undefined;
      const because = error instanceof Error ? error.message : error;
      log.warn(`Cannot wait for records, and looks for them by the clock: ${because}`);
    }
    if (this.#stopped) return;
    this.#drain();
    this.#drainLater();
  }

  #drain(): void {
    try {
      const { units, identities } = this.#parts;
      if (!this.#symbols.isRead && units.rings().some((ring) => ring.backlog() > 0)) {
        // The records wait in their rings, and what they are about is looked at meanwhile.
        this.#emptyLooks = 0;
        if (this.#readingSymbols !== undefined) return;
        this.#readingSymbols = this.#symbols.prepare().finally(() => {
          this.#readingSymbols = undefined;
        });
        // A container of one command may be gone when they are read.
        identities.tick().catch((error) => log.error(`Cannot look at the node: ${error}`));
        return;
      }
      const count = units.drain(this.#receiver);
      this.#emptyLooks = count > 0 ? 0 : this.#emptyLooks + 1;
    } catch (error) {
      log.error(`Cannot read a ring: ${error instanceof Error ? error.message : error}`);
    }
  }

  #take(probe: string, occurrence: Occurrence): void {
    const { identities, pipeline } = this.#parts;
    const { netns, cgroup, owner } = occurrence;
    // A sidecar's pod has no right to its neighbours' events.
    const { only } = this.#only();
    if (only !== undefined && only !== netns.inum) return;
    const identity = identities.identityOf(netns, cgroup, owner);
    if (!identities.mayBeNamed(netns, identity)) {
      pipeline.offer(join(probe, occurrence, this.#known));
      return;
    }
    // The namespace is younger than the last look at the node, or the runtime's: events wait for
    // it.
    this.#waiting.until(
      identities.resolve(netns, cgroup, owner),
      () => pipeline.offer(join(probe, occurrence, this.#known)),
      (error) => log.error(`Cannot tell whose an event is: ${error}`),
    );
  }

  /** Text for `/metrics`. */
  async exposition(
    names: readonly NameSet[] | undefined,
    openMetrics: boolean,
  ): Promise<Uint8Array<ArrayBuffer>> {
    this.#collecting ??= this.#collect().finally(() => {
      this.#collecting = undefined;
    });
    const collection = await this.#collecting;
    const wanted = names ?? this.#config.metrics.names;
    const kind = `${wanted.join()} ${openMetrics}`;
    this.#additional.begin();
    const text = expose(collection, {
      names: wanted,
      openMetrics,
      node: this.#config.nodeName,
      additional: this.#additional,
      bytesHint: this.#textBytes.get(kind) ?? 0,
    });
    if (this.#textBytes.size < TEXT_KINDS_MAX) this.#textBytes.set(kind, text.length);
    return text;
  }

  async #collect(): Promise<Collection> {
    const { units, table, visitor, identities } = this.#parts;
    const began = performance.now();
    const namespaces = table.alive();
    const [readings] = await Promise.all([
      readInNamespaces(
        visitor,
        namespaces,
        units.netnsFiles(),
        READ_MILLISECONDS_MAX,
        (namespace) => table.doubt(namespace),
      ),
      this.#rdma.read(units.nodeFiles().filter(isRdma), sysOf(), RDMA_MILLISECONDS_MAX),
    ]);
    const readSeconds = (performance.now() - began) / 1000;
    const late = this.#lastReadings.note(namespaces, readings, began);
    const collection = this.#registry.begin();
    collection.declare(SELF, SELF_METRICS);
    collection.declare(SELF, SELF_POD_METRICS);
    const places = namespaces.flatMap((namespace): Place[] => {
      const reading = readings.get(namespace.inum);
      if (reading === undefined) return []; // it has gone meanwhile, which is normal
      const owner = this.#ownerOf(identities.identityOfNamespace(namespace));
      const missed = late.get(namespace.inum);
      const place = { owner, host: namespace.host, read: readerOf(reading) };
      return [missed === undefined ? place : { ...place, late: missed }];
    });
    const sources: Sources = {
      places,
      members: Array.from(identities.members(), ([identity, pids]) => ({
        owner: this.#ownerOf(identity),
        pids,
      })),
      uplinks: uplinks(),
      nodeFile: (file) => isRdma(file) ? this.#rdma.text(file) : readNodeFile(file),
      processFile: readProcessFile,
    };
    units.addTo(collection, sources, this.#figureOwners());
    addAges(collection, places);
    this.#addSelf(collection, readSeconds);
    this.#registry.keepOnly(new Set(this.#present()));
    // The texts of all files have been freed by now, and what was read before.
    trimMemory();
    if (this.#collections === FIRST_COLLECTIONS) unloadStartCode();
    return collection;
  }

  /** The namespace that a sidecar is confined to. */
  #only(): { readonly only?: number } {
    return this.#config.sidecar ? { only: this.#parts.table.processes.hostNetns } : {};
  }

  #figureOwners() {
    const { identities, table } = this.#parts;
    const known = (identity: Identity) =>
      identity.kind === "unknown" ? undefined : this.#ownerOf(identity);
    // What one scan has not found, another at the same moment does not find either.
    let hasLooked = false;
    const guests = new Map<bigint, Owner | undefined>();
    const isThere = (key: NetnsKey): boolean => {
      const there = hasLooked ? table.seen(key) : table.lookup(key);
      hasLooked ||= there === undefined;
      return there !== undefined;
    };
    return {
      unknown: UNKNOWN,
      ...this.#only(),
      // What the kernel could not tell the namespace of is nobody's for good.
      ofNetns: (key: NetnsKey) =>
        key.inum === 0 ? UNKNOWN : isThere(key) ? known(identities.identityOf(key)) : undefined,
      ofCgroup: (id: bigint) => {
        if (id === 0n) return undefined;
        if (!guests.has(id)) {
          const identity = identities.identityOfCgroup(id);
          guests.set(id, identity === undefined ? undefined : this.#ownerOf(identity));
        }
        return guests.get(id);
      },
      ofProcess: (pid: number) => known(identities.identityOfProcess(pid)),
      ...this.#addresses,
    };
  }

  *#present(): Iterable<string> {
    yield HOST.key;
    yield "unknown";
    const { identities } = this.#parts;
    for (const { namespace, name } of identities.pods()) yield keyOf(namespace, name);
    for (const identity of identities.members().keys()) yield this.#ownerOf(identity).key;
    for (const identity of identities.pastGuests()) yield this.#ownerOf(identity).key;
  }

  #ownerOf(identity: Identity): Owner {
    if (identity.kind === "host") return HOST;
    const cached = this.#owners.get(identity);
    if (cached !== undefined) return cached;
    const { namespace, name, labels, workload } = identity;
    const owner = {
      ...{ key: keyOf(namespace, name), namespace, pod: name },
      ...(labels === undefined ? {} : { labels }),
      ...(workload === undefined ? {} : { workload }),
    };
    this.#owners.set(identity, owner);
    return owner;
  }

  #addSelf(collection: Collection, readSeconds: number): void {
    const { identities, pipeline, kernel, http, sampling, visitor } = this.#parts;
    collection.add("build_info", HOST, [version, kernel.release], 1);
    collection.add("collections_total", HOST, [], ++this.#collections);
    collection.add("collection_read_seconds", HOST, [], readSeconds);
    const kinds = new Map<string, number>();
    for (const { kind, goneAt } of identities.pods()) {
      if (goneAt === undefined) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    for (const [kind, count] of kinds) collection.add("namespaces", HOST, [kind], count);
    collection.add("namespace_workers_hung", HOST, [], visitor.hung);
    this.#tellKernelCounts();
    for (const { probe, stage, ...results } of pipeline.counts()) {
      for (const result of ["produced", "delivered", "lost"] as const) {
        collection.add("events_total", HOST, [probe, stage, result], results[result]);
      }
    }
    for (const [limit, count] of limitsReached(this.#parts)) {
      collection.add("limit_reached_total", HOST, [limit], count);
    }
    const labels = this.#additional.refused;
    collection.add("limit_reached_total", HOST, ["additional_label_values"], labels);
    if (sampling !== undefined) {
      collection.add("bpf_sampled_seconds_total", HOST, [], sampling.seconds);
    }
    for (const { route, code, count } of http.httpCounts()) {
      collection.add("http_requests_total", HOST, [route, code], count);
    }
    addProcess(collection, this.#registry, this.#started / 1000);
  }

  #tellKernelCounts(): void {
    const { units, pipeline } = this.#parts;
    for (const [probe, counts] of units.kernelCounts()) pipeline.addKernel(probe, counts);
  }

  /** What `/status` answers. */
  status(): surface.Status {
    const { units, identities, kernel, pipeline, store, missing } = this.#parts;
    const available = units.available();
    const pods = identities.pods().filter(({ goneAt }) => goneAt === undefined);
    const size = store.size();
    return {
      available_probes: available,
      inuse_probes: units.inUse(),
      version,
      node: this.#config.nodeName,
      kernel: { release: kernel.release, btf: kernel.btf },
      started: new Date(this.#started).toISOString(),
      namespaces: new Set(pods.map(({ netns }) => netns)).size,
      pods: pods.filter(({ kind }) => kind !== "host").length,
      sources: Array.from(identities.outcomes(), ([name, outcome]) => ({
        name,
        ...stateOf(outcome),
      })),
      sinks: pipeline.sinkStatus().map(({ name, outcome, delivered, lost }) => ({
        name,
        ...stateOf(outcome),
        delivered,
        lost,
      })),
      store: {
        name: "store",
        ...stateOf(store.outcome()),
        events: size.events,
        bytes: size.bytes,
      },
      config: this.#configError === undefined
        ? { origin: this.#origin }
        : { origin: this.#origin, error: this.#configError },
      missing: [...missing(), ...this.#hiddenSymbols()],
    };
  }

  #symbol(address: bigint): string {
    const name = this.#symbols.name(address);
    if (name === HIDDEN_SYMBOL) this.#whyNoSymbols = this.#symbols.why();
    return name;
  }

  /** Why kernel functions have no names in events, once one had none. */
  #hiddenSymbols(): surface.Status["missing"] {
    if (this.#whyNoSymbols === undefined) return [];
    const disables = "names of kernel functions in locations and stacks";
    return [{ what: this.#whyNoSymbols, disables, remedy: "as it says; no restart is needed" }];
  }

  /** Whether a probe or collector that is wanted does not work. */
  hasFailures(): boolean {
    const { event, metrics } = this.#parts.units.inUse();
    return [...event, ...metrics].some(({ state }) => state === "Failed");
  }

  notReady(): string | undefined {
    return this.#ready ? undefined : "the probes are being started";
  }

  pods(): readonly surface.PodView[] {
    return this.#parts.identities.pods();
  }

  events(filter: surface.EventFilter): surface.EventPage {
    return this.#parts.pipeline.query(filter);
  }

  subscribe(filter: surface.EventFilter): surface.Subscription {
    return this.#parts.pipeline.subscribe(filter);
  }

  config(): surface.ConfigView {
    return { text: render(this.#config), origin: this.#origin };
  }

  /** Looks at the node again. */
  async tick(): Promise<void> {
    this.#tellKernelCounts();
    const looking = this.#parts.identities.tick();
    // What the scan found, before the visits: numbers are given out again at once.
    this.#endNamespaces();
    await looking;
    this.#endNamespaces();
    await this.#follow();
    await this.#watch();
  }

  /** Reads files whose changes are events, every few seconds. */
  async #watch(): Promise<void> {
    const { units, visitor, table } = this.#parts;
    const files = units.watchedFiles();
    const now = performance.now();
    if (now - this.#watchedAt < WATCH_MILLISECONDS) return;
    this.#watchedAt = now;
    if (files.length === 0) return units.watch([], 0n, () => {});
    const namespaces = table.alive();
    const readings = await readInNamespaces(visitor, namespaces, files, READ_MILLISECONDS_MAX);
    const places = namespaces.flatMap(({ inum, cookie }) => {
      const reading = readings.get(inum);
      return reading === undefined ? [] : [{ netns: { inum, cookie }, read: readerOf(reading) }];
    });
    units.watch(places, bootNow(), (unit, occurrence) => this.#take(unit, occurrence));
  }

  /** Where there are no cookies, a namespace's figures must not go to the next of its number. */
  #endNamespaces(): void {
    const { identities, table, units } = this.#parts;
    for (const namespace of table.takeEnded()) {
      const identity = identities.identityOfNamespace(namespace);
      units.end(namespace.inum, identity.kind === "unknown" ? UNKNOWN : this.#ownerOf(identity));
    }
  }

  /** Has probes listen in the namespaces that there are now. */
  async #follow(): Promise<void> {
    const { identities, table, units, visitor } = this.#parts;
    if (!units.listens) return;
    const places = table.alive().map((namespace) => ({
      namespace,
      owner: this.#ownerOf(identities.identityOfNamespace(namespace)),
    }));
    await units.follow(places, visitor);
  }

  async configure(text: string, origin = "PUT"): Promise<surface.ConfigResult> {
    return await this.#inTurn(() => this.#configure(text, origin));
  }

  /** Does it when all that came before has been done, whatever became of that. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    // Who waits for a probe's records keeps its ring from being freed, and misses a new probe's.
    this.#changes++;
    this.#ringWait?.wake();
    const turn = this.#changing.then(work, work).finally(() => this.#changes--);
    this.#changing = turn;
    return turn;
  }

  async #configure(text: string, origin: string): Promise<surface.ConfigResult> {
    if (this.#stopped) return { ok: false, errors: ["Cannot configure an agent that stops"] };
    const { cards, overrides } = this.#parts;
    const read = readConfig(text, origin, cards, overrides);
    if ("errors" in read) {
      this.#configError = read.errors.join("; ");
      return { ok: false, errors: read.errors };
    }
    const { config, warnings } = read;
    const found = changes(this.#config, config);
    if (found.listeners.length > 0) {
      try {
        await this.#parts.listenAnew(config);
      } catch (error) {
        const because = error instanceof Error ? error.message : String(error);
        this.#configError = because;
        return { ok: false, errors: [because] };
      }
    }
    this.#config = this.#withStarted(config);
    this.#setLabels(config.metrics.additionalLabels);
    this.#origin = origin;
    this.#configError = undefined;
    setLevel(config.logLevel);
    await this.#parts.pipeline.configure(config.events);
    await this.#parts.units.configure(config.units, this.#receiver);
    await this.#follow();
    return { ok: true, changed: changedNames(found), warnings };
  }

  #setLabels(entries: readonly string[]): void {
    const { refused } = this.#additional;
    this.#additional = new AdditionalLabels(entries, refused);
  }

  /** Remembers why the configuration's file was not taken, for `/status`. */
  configProblem(message: string): void {
    this.#configError = message;
  }

  /** What only the next start can change stays as it is. */
  #withStarted({ runtimeEndpoint: _, ...config }: Config): Config {
    const { dataDir, pinDir, nodeName, runtimeEndpoint, kubernetes, sidecar } = this.#config;
    const started = { ...config, dataDir, pinDir, nodeName, kubernetes, sidecar };
    return runtimeEndpoint === undefined ? started : { ...started, runtimeEndpoint };
  }
}

/** What came to each stage of the events' way and what was lost there, over all probes. */
function occurrencesOf(pipeline: EventPipeline): Readonly<Record<string, number>> {
  const figures: Record<string, number> = {};
  for (const { stage, produced, lost } of pipeline.counts()) {
    figures[`${stage}_produced`] = (figures[`${stage}_produced`] ?? 0) + produced;
    figures[`${stage}_lost`] = (figures[`${stage}_lost`] ?? 0) + lost;
  }
  return figures;
}

/** One for all: where a module is not loaded, each namespace lacks its files. */
const NO_SUCH_FILE = new Deno.errors.NotFound("there is no such file");

/** What a namespace's file says, or why it could not be read. */
function readerOf(reading: NetnsReading): (file: string) => string | Error {
  return (file) => {
    if ("error" in reading) return new Error(reading.error);
    const text = reading.files[file];
    if (text !== undefined) return text;
    const because = reading.errors[file];
    return because === undefined ? NO_SUCH_FILE : new Error(because);
  };
}

/** Counters of what named limits turned away. */
function limitsReached(
  { identities, pipeline, http, visitor, units }: Parts,
): readonly (readonly [limit: string, count: number])[] {
  const counts = identities.counts();
  const { refused = 0, forgotten = 0, rescansRefused = 0, cgroups = 0 } = counts;
  const { sandboxes = 0, containers = 0, waiting = 0 } = counts;
  const { kubernetesPods = 0, kubernetesServices = 0 } = counts;
  const { kubernetesNodes = 0, kubernetesUnread = 0, dockerContainers = 0 } = counts;
  const { unfolded, watchersRefused, watchersLost, storeCorrupted } = pipeline.counters();
  return [
    ["namespaces", refused],
    ["namespaces_gone", forgotten],
    ["namespace_scans", rescansRefused],
    ["events_waiting", waiting],
    ["cgroups", cgroups],
    ["sandboxes", sandboxes],
    ["containers", containers],
    ["docker_containers", dockerContainers],
    ["kubernetes_pods", kubernetesPods],
    ["kubernetes_services", kubernetesServices],
    ["kubernetes_nodes", kubernetesNodes],
    ["kubernetes_unread", kubernetesUnread],
    ["fold_windows", unfolded],
    ["watchers", watchersRefused],
    ["watcher_events", watchersLost],
    ["store_files_corrupt", storeCorrupted],
    ["namespace_workers", visitor.lost],
    ["listening_sockets", units.socketsRefused],
    ["http_requests", http.requestsRefused],
    ["http_streams", http.streamsRefused],
    ["http_stream_events", http.streamEventsLost],
    ["log_entries", entriesLost()],
    ["diagnoses_waiting", http.diagnosesRefused],
    ["diagnoses_kept", http.diagnosesForgotten],
  ];
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
