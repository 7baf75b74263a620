/**
 * The probes and collectors of one agent: which run, how they are, and what they give to a
 * collection.
 *
 * @module
 */
import type { Kernel } from "../bpf/kernel.ts";
import type { Ring } from "../bpf/ring.ts";
import { collect, netnsFilesOf, type Run, type Sources } from "./collecting.ts";
import type { Collector } from "./collector.ts";
import type { Config, UnitChoice } from "./config/config.ts";
import type { Occurrence } from "./events/event.ts";
import { readObject } from "./discover.ts";
import { log } from "./log.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import type { HookedProbe, NetlinkProbe, Probe } from "./probe.ts";
import { type Listened, RunningListener, type Visitor } from "./running_listener.ts";
import { type KernelCounts, type Owners, RunningProbe } from "./running_probe.ts";
import { addOccupancy, addUnits, type UnitReport } from "./self.ts";
import { type Collection, HOST, type Owner } from "./series.ts";
import type { UnitStatus } from "./surface.ts";
import { type WatchedPlace, Watching } from "./watching.ts";

/** What loading probes takes. */
export interface UnitsOptions {
  readonly probes: readonly Probe[];
  readonly collectors: readonly Collector[];
  readonly kernel: Kernel;
  /** Where to pin; undefined when nothing can be pinned, with the reason beside it. */
  readonly pinDir: string | undefined;
  readonly whyNoPins?: string;
  /** The host's network namespace, by its inode number; 0 for a pod's sidecar. */
  readonly hostNetns: number;
}

/** Who gets what the probes' kernel sides have seen, and knows who has an address. */
export interface Receiver extends Pick<Owners, "ofAddress"> {
  take(probe: string, occurrence: Occurrence): void;
  /** The last figures of a probe that has been stopped. */
  count(probe: string, counts: KernelCounts): void;
}

const NOTHING: UnitChoice = { metrics: false, events: false, parameters: {} };

/** Runs probes and collectors as configured. */
export class Units {
  readonly #options: UnitsOptions;
  readonly #running = new Map<string, RunningProbe>();
  readonly #listening = new Map<string, RunningListener>();
  readonly #runs = new Map<string, Run>();
  readonly #failures = new Map<string, number>();
  readonly #late = new Map<string, number>();
  /** A probe whose reading failed at the last collection. */
  readonly #readings = new Map<string, { outcome: Outcome; seconds: number }>();
  readonly #watching = new Watching();
  #choices: Config["units"] = {};

  constructor(options: UnitsOptions) {
    this.#options = options;
  }

  /**
   * Starts, stops and sets what differs from before; the other units are not touched. What the
   * rings of stopped ones still hold goes to `receiver`.
   */
  async configure(choices: Config["units"], receiver: Receiver): Promise<void> {
    this.#choices = choices;
    for (const card of this.#options.probes) {
      const choice = choices[card.name] ?? NOTHING;
      if (card.netlink !== undefined) {
        this.#listen(card, choice, receiver);
        continue;
      }
      const running = this.#running.get(card.name);
      const wanted = choice.metrics || choice.events;
      if (!wanted && running !== undefined) {
        await this.#stop(card.name, running, receiver);
      } else if (wanted && running === undefined) await this.#start(card, choice);
      else if (running !== undefined) running.configure(choice);
    }
  }

  #listen(card: NetlinkProbe, choice: UnitChoice, receiver: Receiver): void {
    const before = this.#listening.get(card.name);
    if (before === undefined && !choice.events) return;
    const listener = before ?? new RunningListener(card, choice);
    const was = before?.outcome.state ?? "stopped";
    if (choice.events) before?.configure(choice);
    else before?.stop((occurrence) => receiver.take(card.name, occurrence), receiver);
    this.#listening.set(card.name, listener);
    if ((was === "stopped") === choice.events) {
      log.info(`${choice.events ? "Started" : "Stopped"} the probe "${card.name}"`);
    }
  }

  /** Whether any probe listens on netlink, so that namespaces are to be followed. */
  get listens(): boolean {
    return this.#listening.size > 0;
  }

  /** Has the probes that listen on netlink do so in these namespaces, and no other. */
  async follow(places: readonly Listened[], visitor: Visitor): Promise<void> {
    for (const listener of this.#listening.values()) await listener.follow(places, visitor);
  }

  /** Namespaces that were not listened in, as there are too many. */
  get socketsRefused(): number {
    return Array.from(this.#listening.values(), ({ refused }) => refused)
      .reduce((sum, refused) => sum + refused, 0);
  }

  async #start(card: HookedProbe, choice: UnitChoice): Promise<void> {
    const { kernel, pinDir, whyNoPins, hostNetns } = this.#options;
    if (pinDir === undefined || !kernel.btf) {
      const because = kernel.btf ? whyNoPins ?? "there is nowhere to pin it" : kernel.whyNoBtf;
      this.#readings.set(card.name, {
        outcome: { state: "failed", because: because ?? "the kernel has no BTF" },
        seconds: 0,
      });
      return;
    }
    const surroundings = { kernel, pinDir, hostNetns, readObject };
    const probe = await RunningProbe.start(card, choice, surroundings);
    this.#running.set(card.name, probe);
    const { outcome, adopted, hooks } = probe;
    if (outcome.state === "failed") {
      log.error(`Cannot start the probe "${card.name}": ${outcome.because}`);
    } else {
      log.info(`${adopted ? "Adopted" : "Started"} the probe "${card.name}"`, {
        hooks: hooks ?? "",
      });
    }
  }

  async #stop(name: string, probe: RunningProbe, receiver: Receiver): Promise<void> {
    this.#running.delete(name);
    this.#readings.delete(name);
    const { left, counts } = await probe.stop((occurrence) => receiver.take(name, occurrence));
    if (counts !== undefined) receiver.count(name, counts);
    if (left.length > 0) {
      log.warn(`The kernel still has parts of the probe "${name}"`, { left: left.join(", ") });
    }
    log.info(`Stopped the probe "${name}"`);
  }

  /** Stops every probe and removes its pins. */
  async close(receiver: Receiver): Promise<void> {
    // Each waits a quarter of a second for the kernel to let go; together they wait once.
    await Promise.all(
      Array.from(this.#running, ([name, probe]) => this.#stop(name, probe, receiver)),
    );
    for (const [name, listener] of this.#listening) {
      listener.stop((occurrence) => receiver.take(name, occurrence), receiver);
      receiver.count(name, listener.kernelCounts());
    }
  }

  /** Collectors that run. */
  get collectors(): readonly Collector[] {
    return this.#options.collectors.filter(({ name }) => this.#choices[name]?.metrics === true);
  }

  /** Collectors whose files are watched for events. */
  get #watched(): readonly Collector[] {
    return this.#options.collectors.filter(({ name, watch }) =>
      watch !== undefined && this.#choices[name]?.events === true
    );
  }

  /** Files to read in each namespace every few seconds. */
  watchedFiles(): readonly string[] {
    return netnsFilesOf(this.#watched);
  }

  /** Compares what watched files say now with what they said before. */
  watch(
    places: readonly WatchedPlace[],
    at: bigint,
    take: (unit: string, occurrence: Occurrence) => void,
  ): void {
    const watched = this.#watched;
    this.#watching.keepOnly(new Set(watched.map(({ name }) => name)));
    for (const collector of watched) {
      this.#watching.look(collector, places, at, (occurrence) => take(collector.name, occurrence));
    }
  }

  /** Files to read in each namespace. */
  netnsFiles(): readonly string[] {
    return netnsFilesOf(this.collectors);
  }

  /** Files to read of the node. */
  nodeFiles(): readonly string[] {
    return this.collectors.flatMap(({ source }) => source.per === "node" ? source.files : []);
  }

  /** Puts everything into the collection; what fails is an outcome and hides nothing else. */
  addTo(collection: Collection, sources: Sources, owners: Owners): void {
    for (const collector of this.collectors) {
      const run = collect(collector, sources, collection);
      this.#runs.set(collector.name, run);
      this.#note(collector.name, run.outcome, run.failures);
      this.#late.set(collector.name, (this.#late.get(collector.name) ?? 0) + run.late);
    }
    for (const [name, probe] of this.#running) {
      if (this.#choices[name]?.metrics !== true) continue;
      const began = performance.now();
      let outcome: Outcome = probe.outcome;
      try {
        probe.addTo(collection, owners);
      } catch (error) {
        outcome = outcomeOf(error);
      }
      this.#readings.set(name, { outcome, seconds: (performance.now() - began) / 1000 });
      this.#note(name, outcome, outcome === probe.outcome ? 0 : 1);
    }
    this.#addOccupancy(collection);
    addUnits(collection, this.#reports(collection));
    for (const [unit, { name, runNs, runs, recursionMisses }] of this.#statistics()) {
      collection.add("bpf_run_seconds_total", HOST, [unit, name], runNs / 1e9);
      collection.add("bpf_runs_total", HOST, [unit, name], runs);
      collection.add("bpf_recursion_misses_total", HOST, [unit, name], recursionMisses);
    }
  }

  /** How full the maps of all running probes are, also of those whose events alone are wanted. */
  #addOccupancy(collection: Collection): void {
    for (const [name, probe] of this.#running) {
      try {
        addOccupancy(collection, name, probe.occupancy());
      } catch (error) {
        this.#note(name, outcomeOf(error), 1);
      }
    }
  }

  #note(name: string, outcome: Outcome, failures: number): void {
    const before = this.#failures.get(name) ?? 0;
    this.#failures.set(name, before + failures);
    if (failures > 0 && before === 0 && "because" in outcome) {
      log.warn(`The unit "${name}" does not work fully: ${outcome.because}`);
    }
  }

  /**
   * What programs cost and missed. To open one takes CAP_SYS_ADMIN; without it the figures are
   * absent, and nothing else.
   */
  *#statistics() {
    for (const [unit, probe] of this.#running) {
      let programs: ReturnType<typeof probe.statistics> = [];
      try {
        programs = probe.statistics();
      } catch (error) {
        log.debug(`Cannot tell what the probe "${unit}" costs: ${error}`);
      }
      for (const program of programs) yield [unit, program] as const;
    }
  }

  *#reports(collection: Collection): Iterable<UnitReport> {
    const sizes = collection.sizes();
    const failures = (name: string) => this.#failures.get(name) ?? 0;
    for (const { name } of this.#options.collectors) {
      const run = this.#runs.get(name) ?? this.#watchRun(name);
      const on = this.#choices[name]?.metrics === true || this.#isWatched(name);
      yield {
        unit: name,
        kind: "collector",
        outcome: on ? run?.outcome ?? { state: "stopped" } : { state: "stopped" },
        seconds: on ? run?.seconds : undefined,
        series: sizes.get(name) ?? 0,
        failures: failures(name),
        late: this.#late.get(name) ?? 0,
        ageSeconds: on ? this.#runs.get(name)?.ageSeconds ?? 0 : 0,
      };
    }
    for (const { name } of this.#options.probes) {
      yield {
        unit: name,
        kind: "probe",
        outcome: this.#outcomeOf(name),
        seconds: this.#readings.get(name)?.seconds,
        series: sizes.get(name) ?? 0,
        failures: failures(name),
        // Its maps are read on the main thread, which waits for them.
        late: 0,
        ageSeconds: 0,
      };
    }
  }

  #isWatched(name: string): boolean {
    return this.#watched.some((collector) => collector.name === name);
  }

  #watchRun(name: string): Pick<Run, "outcome"> & { readonly seconds?: number } | undefined {
    const outcome = this.#watching.outcome(name);
    return outcome === undefined ? undefined : { outcome };
  }

  #outcomeOf(name: string): Outcome {
    const running = this.#running.get(name) ?? this.#listening.get(name);
    return this.#readings.get(name)?.outcome ?? running?.outcome ?? { state: "stopped" };
  }

  /** A namespace that nothing but its number tells apart has ended. */
  end(inum: number, owner: Owner): void {
    for (const [name, probe] of this.#running) {
      try {
        probe.end(inum, owner);
      } catch (error) {
        log.warn(`Cannot take along what the probe "${name}" counted for "${owner.key}": ${error}`);
      }
    }
  }

  /** Takes what is in every ring; how many records there were. */
  drain(receiver: Omit<Receiver, "count">): number {
    let count = 0;
    for (const [name, listener] of this.#listening) {
      count += listener.drain((occurrence) => receiver.take(name, occurrence), receiver);
    }
    for (const [name, probe] of this.#running) {
      count += probe.drain((occurrence) => receiver.take(name, occurrence));
    }
    return count;
  }

  /** The rings of all probes that run. */
  rings(): readonly Ring[] {
    return Array.from(this.#running.values(), ({ ring }) => ring)
      .filter((ring) => ring !== undefined);
  }

  /** What each probe's kernel side counted. */
  *kernelCounts(): Iterable<readonly [probe: string, counts: KernelCounts]> {
    for (const [name, probe] of this.#running) {
      const counts = probe.kernelCounts();
      if (counts !== undefined) yield [name, counts];
    }
    for (const [name, listener] of this.#listening) yield [name, listener.kernelCounts()];
  }

  /** Names of all that exist, by what they give. */
  available(): { readonly event: readonly string[]; readonly metrics: readonly string[] } {
    const { probes, collectors } = this.#options;
    const heard = probes.filter(({ records }) => records !== undefined);
    const watched = collectors.filter(({ watch }) => watch !== undefined);
    const event = [...heard, ...watched].map(({ name }) => name);
    const totals = probes.filter(({ totals }) => totals !== undefined).map(({ name }) => name);
    // A watched collector may have nothing but events.
    const others = collectors.filter(({ watch, metrics }) =>
      watch === undefined || Object.keys(metrics).length > 0
    );
    return { event: event.sort(), metrics: [...totals, ...others.map(({ name }) => name)].sort() };
  }

  /** How the units are that are switched on, by half. */
  inUse(): { readonly event: readonly UnitStatus[]; readonly metrics: readonly UnitStatus[] } {
    const half = (key: "metrics" | "events", names: readonly string[]) =>
      names.filter((name) => this.#choices[name]?.[key] === true)
        .map((name) => this.#status(name, key));
    const { event, metrics } = this.available();
    return { event: half("events", event), metrics: half("metrics", metrics) };
  }

  #status(name: string, half: "metrics" | "events"): UnitStatus {
    // A collector and a probe may have the same name, and one half of it each.
    const isProbe = this.#options.probes.some((probe) =>
      probe.name === name && (half === "events" || probe.totals !== undefined)
    );
    if (!isProbe) {
      const run = half === "events" ? this.#watchRun(name) : this.#runs.get(name);
      return { name, ...stateOf(run?.outcome ?? { state: "working" }) };
    }
    const running = this.#running.get(name) ?? this.#listening.get(name);
    return {
      name,
      ...stateOf(this.#outcomeOf(name)),
      ...(running?.hooks === undefined ? {} : { hooks: running.hooks }),
      ...(running === undefined || running.passedOver.length === 0
        ? {}
        : { passedOver: running.passedOver }),
    };
  }
}

const STATES = {
  working: "Running",
  stopped: "Stopped",
  absent: "Absent",
  degraded: "Degraded",
  late: "Late",
  failed: "Failed",
} as const;

/** An outcome in the words of `/status`. */
export function stateOf(outcome: Outcome): Pick<UnitStatus, "state" | "because"> {
  const state = STATES[outcome.state];
  return "because" in outcome ? { state, because: outcome.because } : { state };
}
