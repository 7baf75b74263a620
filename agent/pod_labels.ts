/**
 * Labels of metrics from labels of pods: `app=${labels:app}`, as the predecessor writes them; and
 * from what made a pod: `workload=${workload}`.
 *
 * @module
 */

/** Entries of a configuration; each makes every series longer. */
export const ADDITIONAL_LABELS_MAX = 16;
/** Values that one label has at a time: a pod's label is free text, and may be new each day. */
export const VALUES_MAX = 1_024;
/** A longer value is cut: Kubernetes allows 63 characters, and an entry may join several. */
const VALUE_LENGTH_MAX = 253;
/** A value that so many texts of `/metrics` did not have makes room for another. */
const UNSEEN_MAX = 3;

/** What stands for the values above the bound. */
const OTHER = "other";

/** Labels that all series have, under any of the names. */
const RESERVED =
  /^(__.*|le|quantile|node|namespace|pod|k8s_(node|namespace|pod)|target_(node|namespace|pod))$/;

/** Stands among the keys for what made the pod; no label of a pod has such a key. */
const WORKLOAD = "${workload}";

/** What labels are made of. */
export interface Labelled {
  readonly labels?: Readonly<Record<string, string>>;
  /** `Deployment/web`. */
  readonly workload?: string;
}

/** One entry. */
export interface AdditionalLabel {
  readonly name: string;
  /** Texts, and between them keys of pod labels: one more text than keys. */
  readonly texts: readonly string[];
  readonly keys: readonly string[];
}

/** What an entry stands for; a text says what is wrong with it. */
export function parseAdditionalLabel(entry: string): AdditionalLabel | string {
  const [whole, name = "", template = ""] = /^([^=]*)=(.*)$/s.exec(entry) ?? [];
  if (whole === undefined) return "it must be NAME=TEXT, such as app=${labels:app}";
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
    return `"${name}" is no name of a label: letters, digits and '_' are allowed`;
  }
  if (RESERVED.test(name)) return `the label "${name}" has a meaning already: call it another name`;
  const parts = template.split(/\$\{labels:([^{}]*)\}|(\$\{workload\})/)
    .filter((part) => part !== undefined);
  const texts = parts.filter((_, index) => index % 2 === 0);
  const keys = parts.filter((_, index) => index % 2 === 1);
  if (keys.length === 0) {
    return `"${template}" names no label of a pod: write \${labels:KEY} or \${workload}`;
  }
  const odd = texts.find((text) => text.includes("${"));
  if (odd !== undefined) {
    return `"${odd}" is not understood: only \${labels:KEY} and \${workload} are`;
  }
  return { name, texts, keys };
}

/** Writes additional labels, with a bounded number of values for each. */
export class AdditionalLabels {
  readonly #labels: readonly AdditionalLabel[];
  /** By label, when a value was last written. */
  readonly #values = new Map<string, Map<string, number>>();
  #round = 0;
  #refused: number;

  /** @param refused What an earlier object had counted. */
  constructor(entries: readonly string[], refused = 0) {
    this.#refused = refused;
    this.#labels = entries.map(parseAdditionalLabel).filter((each) => typeof each !== "string");
  }

  /** Times a value was replaced by `other`. */
  get refused(): number {
    return this.#refused;
  }

  /** Begins another text of `/metrics`. */
  begin(): void {
    this.#round++;
  }

  /** Names among these that are additional labels too: a series cannot have both. */
  taken(names: readonly string[]): readonly string[] {
    return names.filter((each) => this.#labels.some(({ name }) => name === each));
  }

  /**
   * The labels of a pod's series, as names and values. A label whose pod has none of its keys is
   * left out.
   */
  of(
    { labels = {}, workload }: Labelled,
    taken: readonly string[] = [],
  ): readonly (readonly [name: string, value: string])[] {
    const own = (key: string) =>
      key === WORKLOAD ? workload : Object.hasOwn(labels, key) ? labels[key] : undefined;
    return this.#labels.flatMap(({ name, texts, keys }) => {
      const values = keys.map(own);
      if (taken.includes(name) || values.every((value) => value === undefined)) return [];
      const value = texts.map((text, index) => text + (values[index] ?? "")).join("");
      return [[name, this.#bounded(name, value.slice(0, VALUE_LENGTH_MAX))] as const];
    });
  }

  #bounded(name: string, value: string): string {
    let values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, values = new Map());
    if (!values.has(value) && values.size >= VALUES_MAX) {
      for (const [each, round] of values) {
        if (this.#round - round > UNSEEN_MAX) values.delete(each);
      }
      if (values.size >= VALUES_MAX) {
        this.#refused++;
        return OTHER;
      }
    }
    values.set(value, this.#round);
    return value;
  }
}
