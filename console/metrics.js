/**
 * What the console reads: metrics as Prometheus' text, rates between two readings, server-sent events. Pure functions.
 *
 * @module
 */

/**
 * Sums the samples of some metrics for each pod.
 *
 * @param {string} text metrics in the text format 0.0.4
 * @param {ReadonlyMap<string, string>} wanted the figure that each metric's samples add to, by the metric's name
 * @returns {Map<string, {namespace: string, pod: string, figures: Map<string, number>}>} by namespace and pod
 */
export function readMetrics(text, wanted) {
  const pods = new Map();
  for (const line of text.split("\n")) {
    const brace = line.indexOf("{");
    if (brace < 0 || line.startsWith("#")) continue;
    const figure = wanted.get(line.slice(0, brace));
    if (figure === undefined) continue;
    const { labels, rest } = readLabels(line, brace + 1);
    const value = Number(rest.trim().split(" ", 1)[0]);
    if (!Number.isFinite(value)) continue;
    const { namespace = "", pod = "" } = labels;
    const key = `${namespace}/${pod}`;
    let row = pods.get(key);
    if (row === undefined) pods.set(key, row = { namespace, pod, figures: new Map() });
    row.figures.set(figure, (row.figures.get(figure) ?? 0) + value);
  }
  return pods;
}

/** Reads labels up to the closing brace; a value may hold braces, commas and escaped quotes. */
function readLabels(line, start) {
  const labels = {};
  const pattern = /\s*([a-zA-Z_][\w]*)="((?:[^"\\]|\\.)*)"\s*,?/y;
  pattern.lastIndex = start;
  let end = start;
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line)) {
    labels[match[1]] = match[2].replace(/\\(.)/g, (_, letter) => letter === "n" ? "\n" : letter);
    end = pattern.lastIndex;
  }
  return { labels, rest: line.slice(line.indexOf("}", end) + 1) };
}

/**
 * Rates of every pod between two readings. A counter that went down began anew; a pod that was not there before has
 * no rate yet.
 *
 * @param {ReturnType<typeof readMetrics>} before
 * @param {ReturnType<typeof readMetrics>} after
 * @param {number} seconds between the two
 */
export function ratesOf(before, after, seconds) {
  const rates = new Map();
  for (const [key, { namespace, pod, figures }] of after) {
    const earlier = before.get(key)?.figures;
    const row = { namespace, pod, figures: new Map() };
    for (const [figure, value] of figures) {
      const was = earlier?.get(figure);
      if (was === undefined && earlier === undefined) continue;
      const grown = value - (was ?? 0);
      row.figures.set(figure, Math.max(0, grown < 0 ? value : grown) / seconds);
    }
    rates.set(key, row);
  }
  return rates;
}

const SIZES = ["B", "kB", "MB", "GB", "TB"];

/** Bytes per second for people: number and unit. */
export function wordBytes(value) {
  let size = 0;
  let rest = value;
  while (rest >= 999.5 && size < SIZES.length - 1) {
    rest /= 1000;
    size++;
  }
  return [wordNumber(rest), `${SIZES[size]}/s`];
}

/** A figure with as many digits as matter. */
export function wordNumber(value) {
  if (value === 0) return "0";
  if (value >= 100_000) return `${(value / 1000).toFixed(0)}k`;
  if (value >= 10_000) return `${(value / 1000).toFixed(1)}k`;
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1);
  if (value >= 0.095) return value.toFixed(value >= 0.995 ? 2 : 1).replace(/\.?0+$/, "");
  return "<0.1";
}

/** The least round number that is at least `value`: where an axis ends. */
export function axisEnd(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((end) =>
    end >= value
  ) ?? 10 * power;
}

/** One message of a stream of server-sent events. */
/** @typedef {{type: string, id: string, data: string}} Message */

/** Cuts a stream of text into messages; comments and `retry` are left out. */
export class MessageReader {
  #text = "";

  /**
   * @param {string} text the next piece of the stream
   * @returns {Message[]} the messages that it completes
   */
  read(text) {
    this.#text += text;
    const parts = this.#text.split("\n\n");
    this.#text = parts.pop() ?? "";
    const messages = [];
    for (const part of parts) {
      const message = { type: "message", id: "", data: "" };
      const data = [];
      for (const line of part.split("\n")) {
        const colon = line.indexOf(":");
        if (colon <= 0) continue;
        const field = line.slice(0, colon);
        const value = line.slice(colon + 1).replace(/^ /, "");
        if (field === "event") message.type = value;
        else if (field === "id") message.id = value;
        else if (field === "data") data.push(value);
      }
      if (data.length > 0) messages.push({ ...message, data: data.join("\n") });
    }
    return messages;
  }
}
