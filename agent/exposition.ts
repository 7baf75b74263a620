/**
 * Metrics as text: Prometheus' format 0.0.4 and OpenMetrics 1.0, under our names or the
 * predecessor's. The only place that knows a prefix.
 *
 * Sources: prometheus/docs "Exposition formats"; OpenMetrics 1.0.0.
 *
 * @module
 */
import type { NameSet } from "./config/config.ts";
import type { AdditionalLabels } from "./pod_labels.ts";
import type { Alias, Histogram, Metric } from "./metric.ts";
import type { LabelSet } from "./column.ts";
import type { Collection, Family, Owner } from "./series.ts";

/** How the text is written. */
export interface Format {
  readonly names: readonly NameSet[];
  readonly openMetrics: boolean;
  readonly node: string;
  /** Labels from labels of pods. */
  readonly additional?: AdditionalLabels;
  /** How long the text was the last time, so that its buffer need not grow. */
  readonly bytesHint?: number;
}

/** Content types for `/metrics`. */
export const CONTENT_TYPE = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const;

const PREFIX: Readonly<Record<NameSet, string>> = {
  podskoop: "podskoop_",
  kubeskoop: "kubeskoop_",
  inspector: "inspector_pod_",
};

/**
 * Writes every metric of a collection. Metrics of the process (`process_…`) have no prefix, as
 * everywhere.
 */
export function expose(collection: Collection, format: Format): Uint8Array<ArrayBuffer> {
  const output = new Output(format.bytesHint ?? 0);
  const families = collection.families();
  for (const names of format.names) {
    const writer = new Writer(output, collection, format, names);
    for (const family of families) writer.write(family);
  }
  if (format.openMetrics) output.write(bytesOf("# EOF\n"));
  return output.bytes();
}

/**
 * Grows as it is written to. Texts that recur are bytes that are copied: a scrape may have a
 * hundred thousand lines, and strings of them cost five times as much.
 */
class Output {
  #buffer: Uint8Array<ArrayBuffer>;
  #used = 0;

  constructor(bytesHint: number) {
    // A little more than the last time, because numbers grow.
    this.#buffer = new Uint8Array(new ArrayBuffer(Math.max(1 << 16, Math.ceil(bytesHint * 1.02))));
  }

  write(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  /**
   * A number as JavaScript prints it, which is the shortest text that reads back as the same
   * double; then the line ends.
   */
  lastNumber(value: number): void {
    const text = String(value);
    this.#reserve(text.length + 1);
    for (let index = 0; index < text.length; index++) {
      this.#buffer[this.#used++] = text.charCodeAt(index);
    }
    this.#buffer[this.#used++] = NEWLINE;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#used);
  }

  #reserve(length: number): void {
    const needed = this.#used + length;
    if (needed <= this.#buffer.length) return;
    const larger = new Uint8Array(
      new ArrayBuffer(Math.max(needed, Math.ceil(this.#buffer.length * 1.5))),
    );
    larger.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = larger;
  }
}

const encoder = new TextEncoder();
const bytesOf = (text: string): Uint8Array => encoder.encode(text);
const NEWLINE = 0x0a;
/** Between labels and value. */
const VALUE = "} ";
/** A series without labels of its own. */
const NO_LABELS = bytesOf(VALUE);

/** Writes metrics under one set of names. */
class Writer {
  readonly #output: Output;
  readonly #collection: Collection;
  readonly #openMetrics: boolean;
  readonly #node: string;
  readonly #names: NameSet;
  readonly #additional: AdditionalLabels | undefined;
  /** By the additional labels that a metric has itself: most have none. */
  readonly #owners = new Map<string, Map<string, Uint8Array>>();
  /** The owners' labels for the metric that is being written. */
  #current = new Map<string, Uint8Array>();
  #taken: readonly string[] = [];
  /** Names that have been written; a predecessor's name may stand on several cards. */
  readonly #written = new Set<string>();
  /** The name in the lines below the last head. */
  #name: Uint8Array = new Uint8Array();

  constructor(output: Output, collection: Collection, format: Format, names: NameSet) {
    this.#output = output;
    this.#collection = collection;
    this.#openMetrics = format.openMetrics;
    this.#node = escapeLabel(format.node);
    this.#names = names;
    this.#additional = format.additional;
  }

  write(family: Family): void {
    this.#taken = this.#additional?.taken(family.card.labels ?? []) ?? [];
    const key = this.#taken.join();
    this.#current = this.#owners.get(key) ?? new Map();
    this.#owners.set(key, this.#current);
    if (this.#names === "podskoop") this.#own(family);
    else for (const alias of aliasesOf(family.card)) this.#alias(family, alias);
  }

  #own({ name: bare, card }: Family): void {
    const name = bare.startsWith("process_") ? bare : PREFIX.podskoop + bare;
    let first = true;
    this.#collection.forEach(bare, (owner, labels, value, histogram) => {
      if (first) this.#head(name, card);
      first = false;
      labels.bytes ??= bytesOf(labelText(card.labels ?? [], labels.values) + VALUE);
      const bytes = this.#owner(owner);
      if (histogram === undefined) this.#line(this.#name, bytes, labels.bytes, value);
      else this.#histogram(name, bytes, labels.bytes, card, histogram);
    });
  }

  #line(name: Uint8Array, owner: Uint8Array, labels: Uint8Array, value: number): void {
    const output = this.#output;
    output.write(name);
    output.write(owner);
    output.write(labels);
    output.lastNumber(value);
  }

  /** Buckets are cumulative in the text; the last one has no bound. */
  #histogram(
    name: string,
    owner: Uint8Array,
    labels: Uint8Array,
    card: Metric,
    histogram: Histogram,
  ): void {
    const bounds = card.buckets ?? [];
    const bucket = bytesOf(`${name}_bucket{`);
    const own = new TextDecoder().decode(labels).slice(0, -VALUE.length);
    let sum = 0;
    for (const [index, count] of histogram.counts.entries()) {
      sum += count;
      this.#line(bucket, owner, bytesOf(`${own},le="${bounds[index] ?? "+Inf"}"${VALUE}`), sum);
    }
    this.#line(bytesOf(`${name}_sum{`), owner, labels, histogram.sum);
    this.#line(bytesOf(`${name}_count{`), owner, labels, sum);
  }

  /**
   * A metric's series under a predecessor's names. Labels that the predecessor did not have are
   * dropped, and the series that become alike add up.
   */
  #alias({ name: bare, card }: Family, alias: Alias): void {
    const names = this.#names === "kubeskoop" ? alias.kubeskoop : alias.inspector;
    const fresh = (names ?? []).map((name) => PREFIX[this.#names] + name)
      .filter((name) => !this.#written.has(name));
    if (fresh.length === 0) return;
    const sums = new Map<Uint8Array, number>();
    this.#collection.forEach(bare, (owner, labels, value) => {
      if (!matches(alias.where, card, labels)) return;
      const bytes = this.#owner(owner);
      sums.set(bytes, (sums.get(bytes) ?? 0) + inTheirUnit(value, alias.times));
    });
    if (sums.size === 0) return;
    for (const name of fresh) {
      this.#written.add(name);
      this.#head(name, card);
      for (const [owner, value] of sums) this.#line(this.#name, owner, NO_LABELS, value);
    }
  }

  /**
   * `# HELP` and `# TYPE`. OpenMetrics has its counters' names end in `_total`, and types only
   * those as counters.
   */
  #head(name: string, card: Metric): void {
    const total = name.endsWith("_total");
    const open = this.#openMetrics;
    const family = open && card.type === "counter" && total ? name.slice(0, -6) : name;
    const type = open
      ? (card.type === "counter" && !total ? "unknown" : card.type)
      : (card.type === "unknown" ? "untyped" : card.type);
    const help = escapeHelp(card.help);
    this.#output.write(bytesOf(`# HELP ${family} ${help}\n# TYPE ${family} ${type}\n`));
    this.#name = bytesOf(`${name}{`);
  }

  #owner(owner: Owner): Uint8Array {
    let bytes = this.#current.get(owner.key);
    if (bytes === undefined) {
      const [namespace, pod] = [escapeLabel(owner.namespace), escapeLabel(owner.pod)];
      const own = ownerText(this.#names, this.#node, namespace, pod);
      const more = this.#additional?.of(owner, this.#taken) ?? [];
      bytes = bytesOf(
        own + more.map(([name, value]) => `,${name}="${escapeLabel(value)}"`).join(""),
      );
      this.#current.set(owner.key, bytes);
    }
    return bytes;
  }
}

function ownerText(names: NameSet, node: string, namespace: string, pod: string): string {
  switch (names) {
    case "podskoop":
      return `node="${node}",namespace="${namespace}",pod="${pod}"`;
    case "kubeskoop":
      return `k8s_node="${node}",k8s_namespace="${namespace}",k8s_pod="${pod}"`;
    case "inspector":
      return `target_node="${node}",target_namespace="${namespace}",target_pod="${pod}",` +
        `node="${node}",namespace="${namespace}",pod="${pod}"`;
  }
}

function aliasesOf({ alias }: Metric): readonly Alias[] {
  if (alias === undefined) return [];
  return isList(alias) ? alias : [alias];
}

function isList(alias: Alias | readonly Alias[]): alias is readonly Alias[] {
  return Array.isArray(alias);
}

function matches(where: Alias["where"], card: Metric, labels: LabelSet): boolean {
  if (where === undefined) return true;
  const names = card.labels ?? [];
  return Object.entries(where).every(([label, value]) =>
    labels.values[names.indexOf(label)] === value
  );
}

/** A value in the predecessor's unit, without the digits that two roundings leave behind. */
function inTheirUnit(value: number, times: number | undefined): number {
  return times === undefined ? value : Number((value * times).toPrecision(15));
}

function labelText(names: readonly string[], values: readonly string[]): string {
  let text = "";
  for (const [index, name] of names.entries()) {
    text += `,${name}="${escapeLabel(values[index] ?? "")}"`;
  }
  return text;
}

function escapeLabel(text: string): string {
  if (!/[\\"\n]/.test(text)) return text;
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
