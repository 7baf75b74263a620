/**
 * Runs the collectors: reads their files at the level each is true at, and puts their samples into
 * a collection.
 *
 * @module
 */
import type { Collector, Reading } from "./collector.ts";
import type { Late } from "./last_readings.ts";
import type { Sample } from "./metric.ts";
import { AbsentError, type Outcome, outcomeOf } from "./outcome.ts";
import { type Collection, HOST, type Owner } from "./series.ts";

/** One network namespace to collect in. */
export interface Place {
  readonly owner: Owner;
  readonly host: boolean;
  /** Text of a file below `/proc/PID`; an error where it could not be read. */
  readonly read: (file: string) => string | Error;
  /** Set where it was not read in time; values of before that have an age are kept. */
  readonly late?: Late;
}

/** The processes of one pod. */
export interface Members {
  readonly owner: Owner;
  readonly pids: readonly number[];
}

/** What a collection has to read from. */
export interface Sources {
  readonly places: readonly Place[];
  readonly members: readonly Members[];
  readonly uplinks: ReadonlySet<string> | undefined;
  readonly nodeFile: (file: string) => string;
  readonly processFile: (pid: number, file: string) => string | undefined;
}

/** What became of one collector in one collection. */
export interface Run {
  readonly outcome: Outcome;
  readonly seconds: number;
  /**
   * Places, or processes, whose text could not be read or made no sense; the others are in the
   * collection.
   */
  readonly failures: number;
  /** Places that were not read in time, and how old the oldest values are that these show. */
  readonly late: number;
  readonly ageSeconds: number;
}

/** Files below `/proc/PID` that the collectors want of each namespace. */
export function netnsFilesOf(collectors: readonly Collector[]): readonly string[] {
  const files = collectors.flatMap(({ source }) => source.per === "netns" ? source.files : []);
  return [...new Set(files)];
}

/** Runs one collector. A failure at one place is counted and never hides the others. */
export function collect(
  collector: Collector,
  sources: Sources,
  collection: Collection,
): Run {
  const began = performance.now();
  const { per } = collector.source;
  const kept = per === "netns" ? keptOwners(sources.places) : NOBODY;
  collection.declare(collector.name, collector.metrics, kept.values());
  const tally = new Tally();
  if (per === "node") collectNode(collector, sources, collection, tally);
  else if (per === "netns") collectPlaces(collector, sources, collection, tally, kept);
  else collectMembers(collector, sources, collection, tally);
  return {
    outcome: tally.outcome(),
    seconds: (performance.now() - began) / 1000,
    failures: tally.failures,
    late: tally.late,
    ageSeconds: tally.ageSeconds,
  };
}

const NOBODY: ReadonlyMap<string, Owner> = new Map();

/** Owners that keep the values they had, as one of their places was not read in time. */
function keptOwners(places: readonly Place[]): ReadonlyMap<string, Owner> {
  const kept = new Map<string, Owner>();
  for (const { owner, late } of places) {
    if (late?.ageSeconds !== undefined) kept.set(owner.key, owner);
  }
  return kept;
}

/** Counts what worked and what did not, to tell an outcome from it. */
class Tally {
  worked = 0;
  failures = 0;
  late = 0;
  /** Of the oldest values that are shown. */
  ageSeconds = 0;
  #absent = 0;
  #why: Error | undefined;
  #whyLate: string | undefined;

  /** A place was not read in time. */
  miss(where: string, { because, ageSeconds }: Late): void {
    this.late++;
    this.ageSeconds = Math.max(this.ageSeconds, ageSeconds ?? 0);
    const shown = ageSeconds === undefined
      ? "it has no values"
      : `its values are ${Math.round(ageSeconds)} s old`;
    this.#whyLate ??= `${where}: ${because}; ${shown}`;
  }

  attempt(where: () => string, work: () => void): void {
    try {
      work();
      this.worked++;
    } catch (error) {
      this.fail(error instanceof AbsentError, where, () => error);
    }
  }

  /** Where and why is asked of the first one only. */
  fail(isAbsent: boolean, where: () => string, why: () => unknown): void {
    if (isAbsent) this.#absent++;
    else this.failures++;
    if (this.#why !== undefined) return;
    const error = why();
    const cause = error instanceof Error ? error : new Error(String(error));
    const place = where();
    this.#why = place === "" ? cause : new Error(`${place}: ${cause.message}`, { cause });
  }

  outcome(): Outcome {
    if (this.#whyLate !== undefined && this.failures === 0) {
      return {
        state: "late",
        because: `${this.late} not read in time, the first: ${this.#whyLate}`,
      };
    }
    if (this.#why === undefined) return { state: "working" };
    const because = this.#why.message;
    if (this.failures > 0 && this.worked > 0) {
      return { state: "degraded", because: `${this.failures} not read, the first: ${because}` };
    }
    if (this.failures > 0) return { state: "failed", because };
    return this.worked > 0 ? { state: "working" } : { state: "absent", because };
  }
}

function collectNode(
  collector: Collector,
  sources: Sources,
  collection: Collection,
  tally: Tally,
): void {
  tally.attempt(() => "", () => {
    const files = textsOf(collector, (file) => {
      try {
        return sources.nodeFile(file);
      } catch (error) {
        return error instanceof Error ? error : new Error(String(error));
      }
    });
    if (files instanceof Error) throw toldAs(collector, files);
    add(collector, collection, HOST, collector.parse(files, { host: true }));
  });
}

function collectPlaces(
  collector: Collector,
  sources: Sources,
  collection: Collection,
  tally: Tally,
  kept: ReadonlyMap<string, Owner>,
): void {
  for (const { owner, host, read, late } of sources.places) {
    if (late !== undefined) tally.miss(placeName(owner), late);
    // Of an owner with two places, the values kept are of both.
    if (late !== undefined || kept.has(owner.key)) continue;
    const where = () => placeName(owner);
    const files = textsOf(collector, read);
    if (files instanceof Error) {
      // Not thrown: what a node has no module for is missing in each of its namespaces.
      tally.fail(isMissing(files), where, () => toldAs(collector, files));
      continue;
    }
    tally.attempt(where, () => {
      const reading: Reading = host && sources.uplinks !== undefined
        ? { host, uplinks: sources.uplinks }
        : { host };
      add(collector, collection, owner, collector.parse(files, reading));
    });
  }
}

function placeName(owner: Owner): string {
  return owner.pod === "" ? "host" : `${owner.namespace}/${owner.pod}`;
}

function collectMembers(
  collector: Collector,
  sources: Sources,
  collection: Collection,
  tally: Tally,
): void {
  const [file] = collector.source.files;
  for (const { owner, pids } of sources.members) {
    for (const pid of pids) {
      tally.attempt(() => `process ${pid}`, () => {
        const text = sources.processFile(pid, file);
        if (text === undefined || text === "") return;
        add(collector, collection, owner, collector.parse({ [file]: text }, { host: false }));
      });
    }
  }
  for (const [name, { type }] of Object.entries(collector.metrics)) {
    if (type === "counter") collection.neverLess(name);
  }
}

/** The texts of a collector's files; the error of the first, without which there is nothing. */
function textsOf(
  { source: { files } }: Collector,
  read: (file: string) => string | Error,
): Readonly<Record<string, string>> | Error {
  const texts: Record<string, string> = {};
  for (const [index, file] of files.entries()) {
    const text = read(file);
    if (typeof text === "string") texts[file] = text;
    else if (index === 0) return text;
    else texts[file] = "";
  }
  return texts;
}

function isMissing(error: Error): boolean {
  return outcomeOf(error).state === "absent";
}

/** What the error of a collector's first file is for the collector. */
function toldAs({ source: { files: [file] } }: Collector, error: Error): Error {
  return isMissing(error) ? new AbsentError(`Cannot read "${file}": ${error.message}`) : error;
}

function add(
  collector: Collector,
  collection: Collection,
  owner: Owner,
  samples: Iterable<Sample>,
): void {
  let last: { of: Sample["labels"]; names: readonly string[]; labels: readonly string[] } = {
    ...{ of: undefined, names: NO_LABELS, labels: NO_LABELS },
  };
  // All or nothing: a text that makes no sense half-way must not leave half of its figures.
  for (const sample of Array.isArray(samples) ? samples : [...samples]) {
    const names = collector.metrics[sample.metric]?.labels ?? NO_LABELS;
    // The samples of a table have the same labels, and come one after the other.
    if (last.of !== sample.labels || last.names !== names) {
      last = { of: sample.labels, names, labels: labelsOf(sample, names) };
    }
    collection.add(sample.metric, owner, last.labels, sample.value);
  }
}

const NO_LABELS: readonly string[] = [];

function labelsOf(sample: Sample, names: readonly string[]): readonly string[] {
  if (names.length === 0) return NO_LABELS;
  const values: Readonly<Record<string, string>> = sample.labels ?? {};
  return names.map((name) => values[name] ?? "");
}
