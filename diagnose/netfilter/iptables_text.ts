/**
 * The text of `iptables-save -c`: found by table and chain at once, read rule by rule when asked.
 *
 * @module
 */

/** An option of a rule, as `! --dport 80` is. */
export interface Option {
  readonly name: string;
  readonly negated: boolean;
  readonly values: readonly string[];
}

/** A match or target with its options; the name of the address part is "". */
export interface Module {
  readonly name: string;
  readonly options: readonly Option[];
}

/** A rule as it is written. */
export interface WrittenRule {
  readonly matches: readonly Module[];
  readonly target: Module | undefined;
  readonly goto: boolean;
  readonly packets: bigint | undefined;
  /** What of it makes no sense. */
  readonly damage: string | undefined;
}

/** A chain's lines. */
export interface WrittenChain {
  readonly name: string;
  /** `-` for a chain of the user's own. */
  readonly policy: string;
  readonly packets: bigint | undefined;
  readonly lines: string[];
}

/** A table. */
export interface WrittenTable {
  readonly name: string;
  readonly chains: Map<string, WrittenChain>;
  /** Whether it ends as a table must. */
  complete: boolean;
}

/** What a text holds. */
export interface WrittenTables {
  readonly tables: ReadonlyMap<string, WrittenTable>;
  /** Tables of nftables that iptables cannot show. */
  readonly foreign: ReadonlySet<string>;
  /** Lines that are of no table, or of none that makes sense. */
  readonly damage: readonly string[];
}

/** The kernel allows no rule whose text is longer; reading a long one could take for ever. */
export const RULE_CHARACTERS_MAX = 16_384;
/** Of damaged lines that are kept. */
const DAMAGE_MAX = 3;
const QUOTED_MAX = 80;

/** Finds tables and chains; rules stay text. */
export function splitTables(text: string): WrittenTables {
  const tables = new Map<string, WrittenTable>();
  const foreign = new Set<string>();
  const damage: string[] = [];
  let table: WrittenTable | undefined;
  for (let start = 0; start < text.length;) {
    const found = text.indexOf("\n", start);
    const end = found < 0 ? text.length : found;
    const line = text.slice(start, end);
    start = end + 1;
    const known = lineInto(line, table, foreign);
    if (known === "table") {
      table = { name: line.slice(1).trim(), chains: new Map(), complete: false };
      tables.set(table.name, table);
    } else if (known === "commit") {
      if (table !== undefined) table.complete = true;
      table = undefined;
    } else if (known === "damage" && damage.length < DAMAGE_MAX) {
      damage.push(line.slice(0, QUOTED_MAX));
    }
  }
  for (const { name, complete } of tables.values()) {
    if (!complete) damage.push(`table ${name.slice(0, QUOTED_MAX)} has no end`);
  }
  return { tables, foreign, damage };
}

function lineInto(
  line: string,
  table: WrittenTable | undefined,
  foreign: Set<string>,
): "table" | "commit" | "damage" | "known" {
  switch (line[0]) {
    case undefined:
      return "known";
    case "#": {
      const other = /^# Table `([^']+)' is incompatible/.exec(line)?.[1];
      if (other !== undefined) foreign.add(other);
      return "known";
    }
    case "*":
      return table === undefined ? "table" : "damage";
    case ":":
      return chainInto(line, table) ? "known" : "damage";
    case "-":
    case "[":
      return ruleInto(line, table) ? "known" : "damage";
    default:
      return line === "COMMIT" && table !== undefined ? "commit" : "damage";
  }
}

function chainInto(line: string, table: WrittenTable | undefined): boolean {
  const [, name, policy, packets] =
    /^:(\S+) (ACCEPT|DROP|QUEUE|-)(?: \[(\d+):\d+\])?$/.exec(line) ??
      [];
  if (name === undefined || policy === undefined || table === undefined) return false;
  if (table.chains.has(name)) return false;
  const count = packets === undefined ? undefined : BigInt(packets.slice(0, 20));
  table.chains.set(name, { name, policy, packets: count, lines: [] });
  return true;
}

function ruleInto(line: string, table: WrittenTable | undefined): boolean {
  const dash = line[0] === "-" ? 0 : line.indexOf("] ") + 2;
  if (dash === 1 || !line.startsWith("-A ", dash)) return false;
  const after = line.indexOf(" ", dash + 3);
  const chain = table?.chains.get(line.slice(dash + 3, after < 0 ? undefined : after));
  chain?.lines.push(line);
  return chain !== undefined;
}

/** A word of a rule; what was quoted is never an option. */
interface Word {
  readonly text: string;
  readonly quoted: boolean;
}

function wordsOf(line: string): Word[] | undefined {
  const words: Word[] = [];
  const next = /\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)/ys;
  const text = line.trimEnd();
  while (next.lastIndex < text.length) {
    const found = next.exec(text);
    if (found === null) return undefined;
    const [, quoted, plain] = found;
    if (quoted === undefined) words.push({ text: plain ?? "", quoted: false });
    else words.push({ text: quoted.replace(/\\(.)/gs, "$1"), quoted: true });
  }
  return words;
}

/** Options whose values may look like options, by how many they have. */
const FREE_TEXT: Readonly<Record<string, number>> = {
  ...{ "--comment": 1, "--log-prefix": 1, "--nflog-prefix": 1, "--string": 1 },
  ...{ "--hex-string": 1, "--name": 1, "--hashlimit-name": 1, "--match-set": 2, "--helper": 1 },
  ...{ "--nfacct-name": 1, "--add-set": 2, "--del-set": 2, "--map-set": 2, "--path": 1 },
  ...{ "--u32": 1, "--ulog-prefix": 1, "--label": 1, "--bytecode": 1, "--timeout-policy": 1 },
};

/** Options of the address part that have no value. */
const BARE = new Set(["-f", "-4", "-6"]);

/** Reads a rule, `-A CHAIN …` with or without counters. */
export function readRule(line: string): WrittenRule {
  const packets = /^\[(\d{1,20}):\d+\] /.exec(line)?.[1];
  const count = packets === undefined ? undefined : BigInt(packets);
  const long = line.length > RULE_CHARACTERS_MAX;
  const words = long ? undefined : wordsOf(line.replace(/^\[[^\]]*\] /, ""));
  if (words === undefined) {
    const damage = long ? "its length" : "its quotes";
    return { matches: [], target: undefined, goto: false, packets: count, damage };
  }
  return { ...new RuleReader(words.slice(2)).read(), packets: count };
}

class RuleReader {
  readonly #words: readonly Word[];
  #at = 0;

  constructor(words: readonly Word[]) {
    this.#words = words;
  }

  read(): Omit<WrittenRule, "packets"> {
    const matches: { name: string; options: Option[] }[] = [{ name: "", options: [] }];
    let target: { name: string; options: Option[] } | undefined;
    let goto = false;
    let damage: string | undefined;
    while (this.#at < this.#words.length) {
      const negated = this.#take("!");
      const word = this.#words[this.#at++];
      if (word === undefined || word.quoted || !word.text.startsWith("-")) {
        damage ??= `"${word?.text ?? "!"}" in it`;
        continue;
      }
      if (["-m", "-j", "-g"].includes(word.text)) {
        const named = { name: this.#words[this.#at++]?.text ?? "", options: [] };
        if (negated || named.name === "" || target !== undefined) damage ??= `"${word.text}" in it`;
        if (word.text === "-m") matches.push(named);
        else target = named;
        goto ||= word.text === "-g";
        continue;
      }
      const owner = word.text.startsWith("--") ? target ?? matches.at(-1) : matches[0];
      owner?.options.push({ name: word.text, negated, values: this.#values(word.text) });
    }
    return { matches, target, goto, damage };
  }

  #take(text: string): boolean {
    const word = this.#words[this.#at];
    if (word?.text !== text || word.quoted) return false;
    this.#at++;
    return true;
  }

  #values(option: string): string[] {
    const fixed = option.startsWith("--") ? FREE_TEXT[option] : BARE.has(option) ? 0 : 1;
    const values: string[] = [];
    for (; this.#at < this.#words.length; this.#at++) {
      if (fixed !== undefined && values.length >= fixed) break;
      const word = this.#words[this.#at];
      if (word === undefined) break;
      const starts = !word.quoted && (word.text === "!" || /^-(-|[a-zA-Z]$)/.test(word.text));
      if (fixed === undefined && starts) break;
      values.push(word.text);
    }
    return values;
  }
}
