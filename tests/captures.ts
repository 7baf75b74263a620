/**
 * What collectors' tests read: texts captured from a running kernel.
 * `collectors/X/testdata/CAPTURE/` holds the files of one capture under their paths below
 * `/proc/PID`; the capture `host` is of the host's namespaces.
 *
 * @module
 */
import type { Collector, Reading } from "../agent/collector.ts";
import type { Metrics, Sample } from "../agent/metric.ts";

const COLLECTORS = new URL("../collectors/", import.meta.url);

/** Names of a collector's captures. */
export function capturesOf(collector: string): readonly string[] {
  return [...Deno.readDirSync(new URL(`${collector}/testdata/`, COLLECTORS))]
    .map(({ name }) => name).sort();
}

/** The files of a capture; a file that it lacks is the empty text, as from the agent. */
export function captured<F extends string>(
  { name, source }: { readonly name: string; readonly source: { readonly files: readonly F[] } },
  capture: string,
): Record<F, string> {
  const folder = new URL(`${name}/testdata/${capture}/`, COLLECTORS);
  const texts: Partial<Record<F, string>> = {};
  for (const file of source.files) {
    try {
      texts[file] = Deno.readTextFileSync(new URL(file, folder));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      texts[file] = "";
    }
  }
  return complete(texts, source.files);
}

function complete<F extends string>(
  texts: Partial<Record<F, string>>,
  files: readonly F[],
): Record<F, string> {
  if (isComplete(texts, files)) return texts;
  throw new Error(`Cannot read all of ${files.join(", ")}`);
}

function isComplete<F extends string>(
  texts: Partial<Record<F, string>>,
  files: readonly F[],
): texts is Record<F, string> {
  return files.every((file) => texts[file] !== undefined);
}

/**
 * What a collector makes of texts, by metric and labels:
 * `udp_in_datagrams_total{family=ipv4,protocol=udp}`.
 */
export function valuesOf<M extends Metrics, F extends string>(
  collector: Collector<M, F>,
  files: Readonly<Record<F, string>>,
  reading: Reading = { host: false },
): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const sample of collector.parse(files, reading)) {
    const key = keyOf(sample);
    if (values.has(key)) throw new Error(`"${key}" is there twice`);
    values.set(key, sample.value);
  }
  return values;
}

/** A sample's metric and labels, in the order of the labels' names. */
export function keyOf(sample: Pick<Sample, "metric"> & { readonly labels?: unknown }): string {
  const labels = Object.entries(sample.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  return labels.length === 0 ? sample.metric : `${sample.metric}{${labels.sort().join(",")}}`;
}
