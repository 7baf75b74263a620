/**
 * Reads YAML so that every value can be traced back to its line, and gathers what is wrong with
 * them.
 *
 * @module
 */
import { isMap, isNode, isScalar, LineCounter, parseDocument, type YAMLError } from "yaml";

/** A configuration is a page of text; a larger file is something else. */
export const TEXT_MAX = 1024 * 1024;

/** The first errors of a text that is not YAML; the others mostly follow from them. */
const YAML_ERRORS_MAX = 5;

/** Where a value is: `["events", "sinks", 0, "path"]`. */
export type Path = readonly (string | number)[];

interface Finding {
  readonly line: number;
  readonly text: string;
}

/** What is wrong with a configuration, each sentence with its file, line, key and value. */
export class Findings {
  readonly #errors: Finding[] = [];
  readonly #mistakes: Finding[] = [];
  readonly #warnings: Finding[] = [];

  constructor(
    readonly origin: string,
    private readonly lineOf: (path: Path) => number | undefined = () => undefined,
  ) {}

  /** Nothing can be made of the whole. */
  get errors(): readonly string[] {
    return inOrder(this.#errors);
  }

  /** One probe or sink is not as it should be; the rest can run without it. */
  get mistakes(): readonly string[] {
    return inOrder(this.#mistakes);
  }

  /** Understood, and without effect here. */
  get warnings(): readonly string[] {
    return inOrder(this.#warnings);
  }

  /** All that is wrong. */
  get wrong(): readonly string[] {
    return inOrder([...this.#errors, ...this.#mistakes]);
  }

  readonly error = (path: Path, why: string): void => {
    this.#errors.push(this.#finding(path, (where) => `Cannot use ${where} as ${why}`));
  };

  readonly mistake = (path: Path, why: string): void => {
    this.#mistakes.push(this.#finding(path, (where) => `Cannot use ${where} as ${why}`));
  };

  readonly warning = (path: Path, why: string): void => {
    this.#warnings.push(this.#finding(path, (where) => `${where} ${why}`));
  };

  /** The text itself cannot be read. */
  unreadable(why: string, line?: number): void {
    const at = line === undefined ? "" : ` at line ${line}`;
    const text = `Cannot read the configuration ${JSON.stringify(this.origin)}${at}: ${why}`;
    this.#errors.push({ line: line ?? 0, text });
  }

  #finding(path: Path, words: (where: string) => string): Finding {
    const line = this.lineOf(path);
    const at = line === undefined ? this.origin : `${this.origin} line ${line}`;
    return { line: line ?? 0, text: words(`"${pathText(path)}" (${at})`) };
  }
}

function inOrder(findings: readonly Finding[]): readonly string[] {
  return findings.toSorted((a, b) => a.line - b.line).map(({ text }) => text);
}

/** `events.sinks[0].path` */
export function pathText(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** A value as an error quotes it: short, and on one line. */
export function quoted(value: unknown): string {
  if (value === undefined) return "absent";
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

/** A mapping's keys and values; empty for an empty document. */
export type Mapping = Readonly<Record<string, unknown>>;

/** Whether a value is a mapping, rather than a list, a number, a word. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A YAML text. */
export interface ReadDocument {
  /** Its top mapping; undefined when it is none. */
  readonly top: Mapping | undefined;
  /** Keys of it that have no value, and are not in it. */
  readonly empty: readonly string[];
  /** Where to put what is wrong with it. */
  readonly findings: Findings;
}

/** Reads a YAML text. */
export function readDocument(text: string, origin: string): ReadDocument {
  const lines = new LineCounter();
  if (text.length > TEXT_MAX) {
    const findings = new Findings(origin);
    findings.unreadable(`it must have at most ${TEXT_MAX} characters: it has ${text.length}`);
    return { top: undefined, empty: [], findings };
  }
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const findings = new Findings(origin, (path) => {
    const offset = offsetOf(document.contents, path);
    return offset === undefined ? undefined : lines.linePos(offset).line;
  });
  for (const error of document.errors.slice(0, YAML_ERRORS_MAX)) {
    findings.unreadable(sentence(error), lines.linePos(error.pos[0]).line);
  }
  if (document.errors.length > 0) return { top: undefined, empty: [], findings };
  const empty: string[] = [];
  return { top: topOf(document, findings, empty), empty, findings };
}

function topOf(
  document: { toJS(): unknown },
  findings: Findings,
  empty: string[],
): Mapping | undefined {
  let value: unknown;
  try {
    const whole = document.toJS();
    value = pruned(whole, [], findings) ?? {};
    const keys = isMapping(whole) ? Object.keys(whole) : [];
    empty.push(...keys.filter((key) => isMapping(value) && !Object.hasOwn(value, key)));
  } catch (error) {
    // Aliases that expand without end, or that name nothing.
    const because = error instanceof Error ? error.message : String(error);
    findings.unreadable(
      error instanceof RangeError
        ? "it goes too deep, or an alias stands for what it is a part of"
        : because,
    );
    return undefined;
  }
  if (isMapping(value)) return value;
  findings.unreadable(`it must be a mapping of keys to values: current value is ${quoted(value)}`);
  return undefined;
}

/**
 * Without the keys that have no value, as in `probes:`, which have their default. Keys that every
 * object of JavaScript has, such as `constructor`, would pass for known ones: none of ours is.
 */
function pruned(value: unknown, at: Path, findings: Findings): unknown {
  if (value === null) return undefined;
  if (Array.isArray(value)) {
    return value.map((each, index) =>
      each === null ? null : pruned(each, [...at, index], findings)
    );
  }
  if (!isMapping(value)) return value;
  const kept: [string, unknown][] = [];
  for (const [key, each] of Object.entries(value)) {
    // Of a probe, nothing is said: but its name may be no probe's.
    const inside = each === null && at.length === 1 && at[0] === "probes"
      ? {}
      : pruned(each, [...at, key], findings);
    if (key in Object.prototype) findings.error([...at, key], "there is no such key");
    else if (inside !== undefined) kept.push([key, inside]);
  }
  return Object.fromEntries(kept);
}

function sentence(error: YAMLError): string {
  const first = error.message.split("\n")[0] ?? error.message;
  return error.code === "TAB_AS_INDENT" ? "tabs cannot indent YAML: use spaces" : first;
}

/** Where the key of the last step is written, else of the nearest step above it that is. */
function offsetOf(contents: unknown, path: Path): number | undefined {
  let node = contents;
  let offset: number | undefined;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === `${step}`);
      if (pair === undefined) return offset;
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isNode(node) && "items" in node && Array.isArray(node.items)) {
      node = node.items[Number(step)];
      if (isNode(node)) offset = node.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}
