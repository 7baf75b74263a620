/**
 * What the pages below docs/ are made of: the cards of probes and collectors, what their modules
 * say, and how `/metrics` shows their figures.
 *
 * @module
 */
import type { Change, Collector } from "../agent/collector.ts";
import type { NameSet } from "../agent/config/config.ts";
import { discoverCollectors, discoverProbes } from "../agent/discover.ts";
import { expose } from "../agent/exposition.ts";
import type { Alias, Metric, Metrics } from "../agent/metric.ts";
import type { Probe, Totals } from "../agent/probe.ts";
import { netns, tgid } from "../agent/schema.ts";
import { SELF, SELF_METRICS, SELF_POD_METRICS } from "../agent/self.ts";
import { HOST, Registry } from "../agent/series.ts";

/** What a figure is of. */
export type Level = "node" | "namespace" | "processes";

/** A metric, as the pages show it. */
export interface DocumentedMetric {
  readonly name: string;
  readonly card: Metric;
  readonly level: Level;
}

/** A probe or a collector, or the agent itself. */
export interface DocumentedUnit {
  readonly name: string;
  readonly kind: "probe" | "collector" | "agent";
  readonly summary: string;
  readonly byDefault: { readonly metrics: boolean; readonly events: boolean };
  /** What the unit's module says of it, in Markdown. */
  readonly prose: string;
  readonly metrics: readonly DocumentedMetric[];
  readonly probe?: Probe;
  /** What a collector's files may say when they change. */
  readonly changes?: readonly Change[];
}

const ROOT = new URL("../", import.meta.url);

/** Every unit by name, and the agent itself last. */
export async function documentedUnits(): Promise<readonly DocumentedUnit[]> {
  const [probes, collectors] = await Promise.all([discoverProbes(), discoverCollectors()]);
  const units = await Promise.all([...probes.map(ofProbe), ...collectors.map(ofCollector)]);
  // A collector comes before the probe of its name.
  const keyOf = ({ name, kind }: DocumentedUnit) => `${name} ${kind}`;
  return [...units.sort((a, b) => keyOf(a) < keyOf(b) ? -1 : 1), ofAgent()];
}

async function ofProbe(probe: Probe): Promise<DocumentedUnit> {
  const { name, summary, byDefault } = probe;
  const cards: readonly Totals[] = probe.totals ?? [];
  const metrics = cards.flatMap(({ key, metrics }) => {
    const fields = Object.values(key.fields);
    const level = fields.includes(netns)
      ? "namespace"
      : fields.includes(tgid)
      ? "processes"
      : "node";
    return withLevel(metrics, level);
  });
  const prose = await proseOf(`probes/${name}/${name}.ts`);
  return { name, kind: "probe", summary, byDefault, prose, metrics, probe };
}

const LEVELS = { node: "node", netns: "namespace", process: "processes" } as const;

async function ofCollector(collector: Collector): Promise<DocumentedUnit> {
  const { name, summary, byDefault, source } = collector;
  const metrics = withLevel(collector.metrics, LEVELS[source.per]);
  const prose = await proseOf(`collectors/${name}/${name}.ts`);
  const changes = collector.watch?.examples;
  const gives = {
    metrics: byDefault && (changes === undefined || metrics.length > 0),
    events: byDefault && changes !== undefined,
  };
  const more = changes === undefined ? {} : { changes };
  return { name, kind: "collector", summary, byDefault: gives, prose, metrics, ...more };
}

function ofAgent(): DocumentedUnit {
  return {
    name: SELF,
    kind: "agent",
    summary: "What the agent says of itself: outcomes, durations, losses, limits, and its cost",
    byDefault: { metrics: true, events: false },
    prose: "",
    metrics: [
      ...withLevel(SELF_METRICS, "node"),
      ...withLevel(SELF_POD_METRICS, "namespace"),
    ],
  };
}

function withLevel(metrics: Metrics, level: Level): readonly DocumentedMetric[] {
  return Object.entries(metrics).map(([name, card]) => ({ name, card, level }));
}

/** The comment at the beginning of a module, without its marks. */
export async function proseOf(path: string): Promise<string> {
  const text = await Deno.readTextFile(new URL(path, ROOT));
  const [, comment] = /^\/\*\*\n(.*?)^ \*\/$/ms.exec(text) ?? [];
  if (comment === undefined || !comment.includes("@module")) {
    throw new SyntaxError(`Cannot document "${path}": it does not begin with a @module comment`);
  }
  return comment.replace(/^ \* ?/gm, "").replace(/\n*@module\n*$/, "");
}

/** What `/metrics` shows of some metrics, each with one series whose labels are empty. */
export function exposed(metrics: Metrics, names: NameSet): string {
  const collection = new Registry().begin();
  collection.declare("docs", metrics);
  for (const [name, { type, labels = [], buckets = [] }] of Object.entries(metrics)) {
    const empty = labels.map(() => "");
    if (type === "histogram") {
      const counts = [...buckets, Infinity].map(() => 0);
      collection.observe(name, HOST, empty, { counts, sum: 0 });
    } else collection.add(name, HOST, empty, 0);
  }
  return new TextDecoder().decode(
    expose(collection, { names: [names], openMetrics: false, node: "" }),
  );
}

/** The names that a metric has in `/metrics`. An alias of some series only has none here. */
export function namesOf(name: string, card: Metric, names: NameSet): readonly string[] {
  return [...exposed({ [name]: card }, names).matchAll(/^# TYPE (\S+) /gm)].map(([, found]) =>
    found ?? ""
  );
}

/** A card's aliases, one by one. */
export function aliasesOf({ alias }: Metric): readonly Alias[] {
  return alias === undefined ? [] : [alias].flat();
}

/** A table in Markdown; a bar in a cell would end the cell. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heading), `|${"---|".repeat(heading.length)}`, ...rows.map(line)].join("\n");
}

/** A text in which each `{{name}}` stands for a part of that name, and none is left over. */
export async function filled(
  path: string,
  parts: Readonly<Record<string, string>>,
): Promise<string> {
  const text = await Deno.readTextFile(new URL(path, ROOT));
  const used = new Set<string>();
  const page = text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const part = parts[name];
    if (part === undefined) throw new RangeError(`Cannot fill "${path}": it has no "${name}"`);
    used.add(name);
    return part;
  });
  const unused = Object.keys(parts).filter((name) => !used.has(name));
  if (unused.length === 0) return page;
  throw new RangeError(`Cannot fill "${path}": it leaves out ${unused.join(", ")}`);
}

/** Words as code, joined. */
export function code(words: readonly string[], between = ", "): string {
  return words.map((word) => `\`${word}\``).join(between);
}

/** Writes a page to standard output. */
export async function print(page: string): Promise<void> {
  let bytes = new TextEncoder().encode(page);
  while (bytes.length > 0) bytes = bytes.subarray(await Deno.stdout.write(bytes));
}
