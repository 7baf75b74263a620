/**
 * The rule sets of nftables: `nft -j list ruleset`, each rule read when a packet comes to it.
 *
 * @module
 */
import type { NamespaceSnapshot } from "../snapshot/format.ts";
import { type Json, kindOf, listOf, numberOf, objectOf, textOf, tooDeep } from "./nft_json.ts";
import type { Context } from "./nft_expression.ts";
import { NftSet } from "./nft_set.ts";
import { statementsOf } from "./nft_statement.ts";
import type { ValueType } from "./nft_symbols.ts";
import { ruleText } from "./nft_text.ts";
import type { Hook, RuleReference } from "./outcome.ts";
import { type BaseChain, type Chain, perhaps, type Rule } from "./rules.ts";
import { unknown } from "./truth.ts";

/** One table. */
interface Table {
  readonly family: string;
  readonly name: string;
  readonly handle: number;
  readonly dormant: boolean;
  readonly chains: Map<string, NftChain>;
  readonly sets: Map<string, { readonly json: Json; readonly mapped: boolean }>;
  readonly read: Map<string, NftSet | string>;
}

/** The objects of a rule set, unchecked: there may be tens of thousands. */
function objectsIn(text: string): readonly unknown[] {
  if (text.trim() === "") return [];
  const objects = listOf(objectOf(parsed(text))?.nftables);
  if (objects !== undefined) return objects;
  throw new SyntaxError('Cannot parse a ruleset: it has no list "nftables"');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new SyntaxError(`Cannot parse a ruleset: ${error.message}`, { cause: error });
  }
}

/** All tables of a namespace. */
export class Nft {
  readonly #tables = new Map<string, Table>();

  /** @throws {SyntaxError} if the text is not what `nft -j` writes */
  constructor(text: NonNullable<NamespaceSnapshot["nft"]>) {
    for (const object of objectsIn(text)) {
      const [kind, inner] = kindOf(object) ?? [];
      const json = objectOf(inner);
      if (kind === undefined || json === undefined) continue;
      if (kind === "table") this.#table(textOf(json.family), textOf(json.name), json);
      else this.#add(kind, json);
    }
  }

  #table(family = "", name = "", json?: Json): Table {
    const key = `${family} ${name}`;
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const table: Table = {
      ...{ family, name, handle: numberOf(json?.handle) ?? 0 },
      dormant: [json?.flags].flat().includes("dormant"),
      ...{ chains: new Map(), sets: new Map(), read: new Map() },
    };
    this.#tables.set(key, table);
    return table;
  }

  #add(kind: string, json: Json): void {
    const table = this.#table(textOf(json.family), textOf(json.table));
    const name = textOf(json.name) ?? "";
    if (kind === "chain") table.chains.set(name, new NftChain(json, table));
    if (kind === "set" || kind === "map") {
      table.sets.set(name, { json, mapped: kind === "map" || json.map !== undefined });
    }
    if (kind === "rule") table.chains.get(textOf(json.chain) ?? "")?.rules.push(json);
  }

  /** How young a table's chain is, for those of equal priority. */
  age(family: string, table: string, chain: string): number | undefined {
    const found = this.#tables.get(`${family} ${table}`);
    return found?.chains.get(chain)?.age;
  }

  /** The chains that a hook begins with, of tables of these families, but for those left out. */
  bases(
    hook: Hook,
    families: readonly string[],
    device: string | undefined,
    without: (family: string, table: string, chain: string) => boolean,
  ): BaseChain[] {
    return [...this.#tables.values()].flatMap((table) => {
      if (table.dormant || !families.includes(table.family)) return [];
      return [...table.chains].flatMap(([name, chain]) =>
        without(table.family, table.name, name) ? [] : chain.base(hook, device) ?? []
      );
    });
  }
}

/** Chains are numbered within their table; tables are not so many that this could overflow. */
const CHAINS_MAX = 2 ** 24;

class NftChain implements Chain {
  readonly name: string;
  readonly rules: Json[] = [];
  readonly age: number;
  readonly #json: Json;
  readonly #table: Table;
  readonly #read: Rule[] = [];

  constructor(json: Json, table: Table) {
    this.name = textOf(json.name) ?? "";
    this.#json = json;
    this.#table = table;
    this.age = table.handle * CHAINS_MAX + (numberOf(json.handle) ?? 0);
  }

  candidates() {
    return (position: number) => this.#rule(position);
  }

  base(hook: Hook, device: string | undefined): BaseChain | undefined {
    const { type, hook: own, prio, policy } = this.#json;
    if (own !== hook) return undefined;
    const priority = numberOf(prio);
    const hooked = hook === "ingress" || hook === "egress";
    const devices = [this.#json.dev].flat().filter((each) => each !== undefined);
    if (hooked && devices.length > 0 && !devices.some((each) => each === device)) return undefined;
    const unplaced = priority === undefined || hooked && devices.length === 0;
    const drops = policy === "drop";
    return {
      chain: unplaced ? this.#unplaced() : this,
      chains: (name) => this.#table.chains.get(name),
      priority: priority ?? 0,
      type: type === "nat" || type === "route" ? type : "filter",
      policy: drops ? "drop" : "accept",
      policyReference: this.#reference(0, `policy ${drops ? "drop" : "accept"}`),
      age: this.age,
    };
  }

  /** A chain of which the snapshot does not say for which device it is. */
  #unplaced(): Chain {
    const first: Rule = {
      reference: this.#reference(0, `chain ${this.name}`),
      step: ({ packet }) =>
        perhaps(unknown("the snapshot does not say for which device this chain is"), {
          kind: "end",
          verdict: "accept",
          packet,
        }),
    };
    return {
      name: this.name,
      candidates: () => (position) => position === 0 ? first : this.#rule(position - 1),
    };
  }

  #reference(number: number, text: string, packets?: bigint): RuleReference {
    const { family, name: table } = this.#table;
    return {
      engine: "nft",
      ...{ family, table, chain: this.name, number, text },
      ...(packets === undefined ? {} : { packets }),
    };
  }

  #rule(at: number): Rule | undefined {
    const known = this.#read[at];
    const json = this.rules[at];
    if (known !== undefined || json === undefined) return known;
    const written = listOf(json.expr);
    const because = "podskoop cannot read its expressions";
    const expressions = written === undefined || tooDeep(written)
      ? [{ unreadable: because }]
      : written;
    const step = statementsOf(expressions, contextOf(this.#table));
    const reference = (number: number) =>
      this.#reference(
        number,
        ruleText(expressions, textOf(json.comment)),
        packetsOf(expressions),
      );
    let made: RuleReference | undefined;
    return this.#read[at] = {
      get reference() {
        return made ??= reference(at + 1);
      },
      step,
    };
  }
}

function packetsOf(expressions: readonly unknown[]): bigint | undefined {
  for (const expression of expressions) {
    const packets = numberOf(objectOf(objectOf(expression)?.counter)?.packets);
    if (packets !== undefined) return BigInt(packets);
  }
  return undefined;
}

function contextOf(table: Table): Context {
  return {
    sets: (name, types) => readSet(table, name, types),
    makeSet: (elements, types, mapped) => new NftSet(elements, types, mapped),
  };
}

function readSet(table: Table, name: string, types: readonly ValueType[]): NftSet | string {
  const key = `${name} ${types.join()}`;
  const known = table.read.get(key);
  if (known !== undefined) return known;
  const found = table.sets.get(name);
  const elements = listOf(found?.json.elem) ?? [];
  const made = found === undefined
    ? `set "${name}" is not in the snapshot`
    : new NftSet(elements, types, found.mapped);
  table.read.set(key, made);
  return made;
}
