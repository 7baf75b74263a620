/**
 * Reads metrics as `/metrics` writes them.
 *
 * Source: Prometheus, "Exposition formats", text-based format 0.0.4.
 *
 * @module
 */

/** One sample. */
export interface TextSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/gy;
const UNESCAPED: Readonly<Record<string, string>> = { n: "\n" };

/** The samples of the metrics that `wanted` names; lines that make no sense are passed over. */
export function* readSamples(text: string, wanted: ReadonlySet<string>): Generator<TextSample> {
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name = "", labels = "", value = ""] = SAMPLE.exec(line) ?? [];
    const number = numberOf(value);
    if (!wanted.has(name) || (Number.isNaN(number) && value !== "NaN")) continue;
    yield { name, labels: labelsOf(labels), value: number };
  }
}

function labelsOf(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  for (const [, name = "", value = ""] of text.matchAll(LABEL)) {
    labels[name] = value.replace(/\\(.)/g, (_, letter: string) => UNESCAPED[letter] ?? letter);
  }
  return labels;
}

function numberOf(text: string): number {
  if (/^[+-]?Inf$/.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return Number(text);
}
