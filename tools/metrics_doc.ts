/**
 * Writes docs/metrics.md: the text of tools/metrics_doc.md, and what the cards of probes and
 * collectors say.
 *
 *     deno run -A tools/metrics_doc.ts > docs/metrics.md
 *
 * @module
 */
import type { Alias, Metric } from "../agent/metric.ts";
import {
  aliasesOf,
  code,
  type DocumentedMetric,
  type DocumentedUnit,
  documentedUnits,
  filled,
  namesOf,
  print,
  table,
} from "./cards.ts";

/** The whole page. */
export async function metricsPage(): Promise<string> {
  const all = await documentedUnits();
  const units = all.map((unit, index) => section(unit, all[index - 1])).join("\n");
  return await filled("tools/metrics_doc.md", { units });
}

/** A collector and a probe of the same name share a heading. */
function section(unit: DocumentedUnit, before: DocumentedUnit | undefined): string {
  const { name, kind, summary, byDefault, prose, metrics } = unit;
  const heading = before?.name === name ? "" : `## ${name}\n\n`;
  const on = byDefault.metrics || (metrics.length === 0 && byDefault.events) ? "on" : "off";
  const what = kind === "agent"
    ? `## The agent itself\n\n${summary}.`
    : `${heading}*${word(kind)}, ${on} by default.* ${summary}.`;
  return [
    what,
    "",
    ...prose === "" ? [] : [prose, ""],
    metrics.length === 0 ? "It has no metrics." : metricTable(metrics),
    "",
    ...aliasTable(metrics),
  ].join("\n");
}

function word(kind: string): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}

const COLUMNS = ["metric", "type", "unit", "of", "labels", "most", "what it is"] as const;

function metricTable(metrics: readonly DocumentedMetric[]): string {
  return table(
    COLUMNS,
    metrics.map(({ name, card, level }) => [
      code(namesOf(name, card, "podskoop")),
      card.type,
      card.unit ?? "",
      level,
      code(card.labels ?? []),
      String(card.seriesMax ?? 1),
      card.help + bucketText(card),
    ]),
  );
}

function bucketText({ buckets }: Metric): string {
  return buckets === undefined ? "" : `; buckets up to ${buckets.join(", ")}`;
}

function aliasTable(metrics: readonly DocumentedMetric[]): readonly string[] {
  const rows = metrics.flatMap(({ name, card }) =>
    aliasesOf(card).map((alias) => aliasRow(name, card, alias))
  );
  if (rows.length === 0) return [];
  return [table(["metric", "as `kubeskoop`", "as `inspector`"], rows), ""];
}

function aliasRow(
  name: string,
  card: Metric,
  { where, times, ...names }: Alias,
): readonly string[] {
  const { alias: _, ...plain } = card;
  const shown = { ...plain, alias: names };
  const own = code(namesOf(name, card, "podskoop"));
  const only = where === undefined
    ? ""
    : ` where ${code(Object.entries(where).map(([label, value]) => `${label}="${value}"`))}`;
  return [
    own + only + (times === undefined ? "" : `, × ${times}`),
    code(namesOf(name, shown, "kubeskoop")),
    code(namesOf(name, shown, "inspector")),
  ];
}

if (import.meta.main) await print(await metricsPage());
