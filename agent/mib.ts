/**
 * The kernel's counter tables (MIBs): `net/snmp` and `net/netstat`, where a line of names is
 * followed by a line of figures, and `net/snmp6`, with one name and one figure on each line. A card
 * says what each field is called here; a field that no card knows, because the kernel is newer,
 * goes to the metric `…_unlisted`.
 *
 * Sources: net/ipv4/proc.c, net/ipv6/proc.c; Documentation/networking/snmp_counter.rst; RFC 1213,
 * RFC 4293.
 *
 * @module
 */
import type { Alias, Metric, Unit } from "./metric.ts";
import { count, integer, linesOf, nonsense, quoted } from "./procfs.ts";

/** A card whose labels are known when it runs only, such as one made from a table. */
export type LabelledMetric = Metric & { readonly labels: readonly string[] };

/** A sample of such a card. */
export interface LabelledSample {
  readonly metric: string;
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** A table as the kernel printed it. */
export interface MibTable {
  readonly file: string;
  /** Such as `TcpExt` or `Udp6`; before a field it makes the name that `nstat` prints. */
  readonly name: string;
  readonly fields: readonly string[];
  readonly values: readonly string[];
  /** Line of the first value, and how many further down each next one is: 0 or 1. */
  readonly line: number;
  readonly step: 0 | 1;
}

/**
 * A metric made of one field, or of twins that IPv4 and IPv6 name differently. Its type and unit
 * are in its name.
 */
export interface MibMetric {
  readonly fields: readonly string[];
  readonly help: string;
  /** What the kernel's figure is divided by, to be in the unit of the name. */
  readonly divisor?: number;
}

/**
 * A metric made of all fields whose name has a form; the form's named groups become labels, in
 * lower case.
 */
export interface MibPattern {
  readonly form: RegExp;
  readonly help: string;
  /** Names of the groups. */
  readonly labels: readonly string[];
  readonly seriesMax: number;
}

/** What a collector makes of one or more tables. */
export interface MibPlan {
  readonly collector: string;
  /** The tables, and the labels of their samples. */
  readonly tables: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly labels: readonly string[];
  readonly metrics: Readonly<Record<string, MibMetric>>;
  readonly patterns?: Readonly<Record<string, MibPattern>>;
  /**
   * Fields that the predecessor had, in lower case as it had them; with `where`, of tables with
   * these labels only.
   */
  readonly predecessor: {
    readonly names: ReadonlySet<string>;
    readonly where?: Readonly<Record<string, string>>;
  };
}

/** Headings that are remembered: each namespace has the same ones. */
const HEADINGS_MAX = 64;

/** A heading that makes sense. */
interface Heading {
  readonly name: string;
  readonly fields: readonly string[];
}

const headings = new Map<string, Heading>();

/** Fields without a card that one namespace may have. */
const UNLISTED_MAX = 128;
/** Characters of a field's name. */
const FIELD_MAX = 64;

/**
 * Reads `net/snmp` or `net/netstat`. Tables that are not asked for are passed over. Throws a
 * SyntaxError when names and figures do not match, and when a required table is missing or there
 * twice.
 */
export function readTables(
  file: string,
  text: string,
  wanted: { readonly required: readonly string[]; readonly optional?: readonly string[] },
): readonly MibTable[] {
  const lines = linesOf(file, text);
  const tables = new Map<string, MibTable>();
  for (let at = 0; at < lines.length; at += 2) {
    const [text = "", figures = ""] = [lines[at], lines[at + 1]];
    const line = at + 2;
    const name = text.slice(0, text.indexOf(": "));
    if (!/^\w+$/.test(name) || !figures.startsWith(`${name}: `)) {
      throw nonsense(file, line, `${quoted(figures)} follows the heading ${quoted(text)}`);
    }
    if (tables.has(name)) throw nonsense(file, line, `the table "${name}" is there twice`);
    if (!wanted.required.includes(name) && wanted.optional?.includes(name) !== true) continue;
    const { fields } = headings.get(text) ?? readHeading(file, text, name, line - 1);
    const values = figures.slice(name.length + 2).split(" ");
    if (fields.length !== values.length) {
      throw nonsense(file, line, `${values.length} figures for ${fields.length} names`);
    }
    tables.set(name, { file, name, fields, values, line, step: 0 });
  }
  for (const name of wanted.required) {
    if (!tables.has(name)) throw nonsense(file, lines.length, `the table "${name}" is missing`);
  }
  return [...tables.values()];
}

function readHeading(file: string, text: string, name: string, line: number): Heading {
  const heading = { name, fields: text.slice(name.length + 2).split(" ") };
  if (new Set(heading.fields).size < heading.fields.length) {
    throw nonsense(file, line, "a name is there twice");
  }
  if (headings.size < HEADINGS_MAX) headings.set(text, heading);
  return heading;
}

/** The last text's names, each with the blanks behind it; the next text mostly has the same. */
let lastNames: { readonly starts: readonly string[]; readonly tables: readonly LastTable[] } = {
  starts: [],
  tables: [],
};

/** A table of the last text. */
interface LastTable {
  readonly name: string;
  readonly fields: readonly string[];
  readonly line: number;
}

/** The tables of a text that has the names of the last one; undefined if it has not. */
function readLikeLast(file: string, lines: readonly string[]): readonly MibTable[] | undefined {
  const { starts, tables } = lastNames;
  if (lines.length === 0 || lines.length !== starts.length) return undefined;
  const values: string[] = [];
  for (let index = 0; index < lines.length; index++) {
    const [line = "", start = ""] = [lines[index], starts[index]];
    const value = line.slice(start.length);
    // What else is no number is told by whoever reads it as one.
    if (!line.startsWith(start) || value === "" || /\s/.test(value)) return undefined;
    values.push(value);
  }
  return tables.map(({ name, fields, line }) => ({
    ...{ file, name, fields, line, step: 1 },
    values: values.slice(line - 1, line - 1 + fields.length),
  }));
}

/**
 * Reads `net/snmp6`, of which the empty text stands for a node without IPv6. Throws a SyntaxError
 * for nonsense.
 */
export function readLines(file: string, text: string): readonly MibTable[] {
  const lines = text === "" ? [] : linesOf(file, text);
  const like = readLikeLast(file, lines);
  if (like !== undefined) return like;
  const tables: MibTable[] = [];
  const starts: string[] = [];
  const seen = new Set<string>();
  let table: { name: string; fields: string[]; values: string[] } | undefined;
  for (const [index, line] of lines.entries()) {
    const [, start, name, field, value] = /^(([A-Za-z]+6)([!-~]+)\s+)(\S+)$/.exec(line) ?? [];
    if (
      start === undefined || name === undefined || field === undefined || value === undefined
    ) {
      throw nonsense(file, index + 1, `expected a name and a number, found ${quoted(line)}`);
    }
    if (seen.has(name + field)) throw nonsense(file, index + 1, `"${name}${field}" is there twice`);
    seen.add(name + field);
    if (table?.name !== name) {
      table = { name, fields: [], values: [] };
      tables.push({ file, ...table, line: index + 1, step: 1 });
    }
    table.fields.push(field);
    table.values.push(value);
    starts.push(start);
  }
  lastNames = { starts, tables };
  return tables;
}

/** The metric that a field is. */
interface Target {
  readonly metric: string;
  readonly divisor: number;
  readonly counter: boolean;
}

/** The cards of a plan, and the samples of its tables. */
export class Mib {
  readonly metrics: Readonly<Record<string, LabelledMetric>>;
  readonly #tables: MibPlan["tables"];
  readonly #unlisted: string;
  readonly #targets = new Map<string, Target>();
  readonly #byFields = new WeakMap<readonly string[], readonly (Target | undefined)[]>();
  readonly #patterns: readonly (readonly [string, MibPattern])[];

  constructor(plan: MibPlan) {
    this.#tables = plan.tables;
    this.#unlisted = `${plan.collector}_unlisted`;
    const metrics: Record<string, LabelledMetric> = {};
    for (const [metric, card] of Object.entries(plan.metrics)) {
      const { fields, help, divisor = 1 } = card;
      const counter = metric.endsWith("_total");
      const alias = aliasOf(plan, card);
      metrics[metric] = {
        type: counter ? "counter" : "gauge",
        help: `${help} (${fields.join(", ")})`,
        labels: plan.labels,
        seriesMax: new Set(Object.values(plan.tables).map((set) => JSON.stringify(set))).size,
        ...unitOf(metric),
        ...(alias === undefined ? {} : { alias }),
      };
      for (const field of fields) this.#targets.set(field, { metric, divisor, counter });
    }
    this.#patterns = Object.entries(plan.patterns ?? {});
    for (const [metric, { help, labels, seriesMax }] of this.#patterns) {
      metrics[metric] = { type: "counter", help, labels: [...plan.labels, ...labels], seriesMax };
    }
    metrics[this.#unlisted] = {
      type: "unknown",
      help: "Figures that this version has no name for, by the name that nstat prints",
      labels: ["field"],
      seriesMax: UNLISTED_MAX,
    };
    this.metrics = metrics;
  }

  /**
   * Samples of those tables that are in the plan. Throws a SyntaxError for a figure that is no
   * number.
   */
  samplesOf(tables: readonly MibTable[]): LabelledSample[] {
    const samples: LabelledSample[] = [];
    for (const { file, name, fields, values, line, step } of tables) {
      const labels = this.#tables[name];
      if (labels === undefined) continue;
      const targets = this.#targetsOf(fields);
      for (let index = 0; index < fields.length; index++) {
        const target = targets[index];
        const at = line + index * step;
        if (target === undefined) {
          samples.push(this.#without(name, fields[index] ?? "", labels, values[index], file, at));
          continue;
        }
        const value = target.counter
          ? count(values[index], file, at)
          : integer(values[index], file, at);
        samples.push({ metric: target.metric, value: value / target.divisor, labels });
      }
    }
    return samples;
  }

  /** What becomes of each field; the tables of all namespaces share their list of fields. */
  #targetsOf(fields: readonly string[]): readonly (Target | undefined)[] {
    let targets = this.#byFields.get(fields);
    if (targets === undefined) {
      targets = fields.map((field) => this.#targets.get(field));
      this.#byFields.set(fields, targets);
    }
    return targets;
  }

  /** The sample of a field without a card of its own. */
  #without(
    table: string,
    field: string,
    labels: Readonly<Record<string, string>>,
    word: string | undefined,
    file: string,
    line: number,
  ): LabelledSample {
    for (const [metric, { form }] of this.#patterns) {
      const groups = form.exec(field)?.groups;
      if (groups === undefined) continue;
      const all: Record<string, string> = { ...labels };
      for (const [label, text] of Object.entries(groups)) all[label] = text.toLowerCase();
      return { metric, value: count(word, file, line), labels: all };
    }
    const value = integer(word, file, line);
    return { metric: this.#unlisted, value, labels: { field: named(table, field) } };
  }
}

/** A field as a label: what the kernel's names are made of, and nothing else. */
function named(table: string, field: string): string {
  return (table + field).replaceAll(/\W/g, "_").slice(0, FIELD_MAX);
}

function unitOf(metric: string): { readonly unit?: Unit } {
  const base = metric.replace(/_total$/, "");
  if (base.endsWith("_bytes")) return { unit: "bytes" };
  return base.endsWith("_seconds") ? { unit: "seconds" } : {};
}

function aliasOf(
  { collector, predecessor }: MibPlan,
  { fields, divisor }: MibMetric,
): Alias | undefined {
  const name = fields.map((field) => field.toLowerCase()).find((field) =>
    predecessor.names.has(field)
  );
  if (name === undefined) return undefined;
  const { where } = predecessor;
  return {
    kubeskoop: [`${collector}_${name}`],
    inspector: [`${collector}${name}`],
    ...(where === undefined ? {} : { where }),
    // The predecessor gave the kernel's own unit.
    ...(divisor === undefined ? {} : { times: divisor }),
  };
}
