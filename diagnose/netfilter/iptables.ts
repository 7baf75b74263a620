/**
 * The tables of iptables or ip6tables as chains of rules, each read when a packet comes to it.
 *
 * @module
 */
import { formatAddress, parseAddress } from "../packet/address.ts";
import type { Packet } from "../packet/packet.ts";
import type { Ipsets } from "./ipset.ts";
import { type Check, checksOf } from "./iptables_match.ts";
import { type Act, actOf } from "./iptables_target.ts";
import {
  readRule,
  RULE_CHARACTERS_MAX,
  splitTables,
  type WrittenChain,
  type WrittenRule,
  type WrittenTable,
} from "./iptables_text.ts";
import type { Hook, RuleReference } from "./outcome.ts";
import { hasPorts } from "./ports.ts";
import {
  type BaseChain,
  type Candidates,
  type Chain,
  MISS,
  type Moment,
  perhaps,
  type Rule,
  type Step,
  unknowable,
} from "./rules.ts";
import { both, type Truth } from "./truth.ts";

/** Where a text comes from. */
export interface Origin {
  readonly engine: "iptables-legacy" | "iptables-nft";
  readonly family: "ip" | "ip6";
}

const BUILT_IN: Readonly<Partial<Record<Hook, string>>> = {
  prerouting: "PREROUTING",
  input: "INPUT",
  forward: "FORWARD",
  output: "OUTPUT",
  postrouting: "POSTROUTING",
};

/** Priorities that the kernel gives iptables' tables, in the order of `NF_IP_PRI_…`. */
const PRIORITIES: Readonly<Record<string, number>> = {
  raw: -300,
  mangle: -150,
  filter: 0,
  security: 50,
};

/** Chains with fewer rules are asked rule by rule. */
const INDEXED_MIN = 32;

/** The tables of one text. */
export class Iptables {
  readonly #origin: Origin;
  readonly #tables = new Map<string, Table>();
  /** Tables of nftables that iptables could not show. */
  readonly foreign: ReadonlySet<string>;
  /** What of the text makes no sense. */
  readonly damage: readonly string[];

  constructor(text: string, origin: Origin, sets: Ipsets) {
    const { tables, foreign, damage } = splitTables(text);
    this.#origin = origin;
    this.foreign = foreign;
    this.damage = damage;
    for (const table of tables.values()) {
      this.#tables.set(table.name, new Table(table, origin, sets));
    }
  }

  /** Whether the text has the chain. */
  shows(table: string, chain: string): boolean {
    return this.#tables.get(table)?.chain(chain) !== undefined;
  }

  /** The chains that a hook begins with; `age` says how young one is. */
  bases(hook: Hook, age: (table: string, chain: string) => number): BaseChain[] {
    const name = BUILT_IN[hook];
    if (name === undefined) return [];
    return [...this.#tables.values()].flatMap((table) => {
      const chain = table.chain(name);
      const nat = table.name === "nat" ? natPriority(hook) : undefined;
      const priority = nat ?? PRIORITIES[table.name];
      if (chain === undefined || priority === undefined) return [];
      const type = nat !== undefined
        ? "nat"
        : table.name === "mangle" && hook === "output"
        ? "route"
        : "filter";
      return [{
        chain,
        chains: (wanted: string) => table.chain(wanted),
        priority,
        type,
        policy: chain.written.policy === "DROP" ? "drop" : "accept",
        policyReference: {
          ...this.#origin,
          table: table.name,
          chain: name,
          number: 0,
          text: `-P ${name} ${chain.written.policy}`,
          ...(chain.written.packets === undefined ? {} : { packets: chain.written.packets }),
        },
        age: age(table.name, name),
      }];
    });
  }
}

/** The priority of address translation at a hook, whatever a chain's own priority is. */
export function natPriority(hook: Hook): number | undefined {
  switch (hook) {
    case "prerouting":
    case "output":
      return -100;
    case "input":
    case "postrouting":
      return 100;
    default:
      return undefined;
  }
}

class Table {
  readonly name: string;
  readonly #written: WrittenTable;
  readonly #origin: Origin;
  readonly #sets: Ipsets;
  readonly #chains = new Map<string, TextChain>();

  constructor(written: WrittenTable, origin: Origin, sets: Ipsets) {
    this.name = written.name;
    this.#written = written;
    this.#origin = origin;
    this.#sets = sets;
  }

  chain(name: string): TextChain | undefined {
    const known = this.#chains.get(name);
    if (known !== undefined) return known;
    const written = this.#written.chains.get(name);
    if (written === undefined) return undefined;
    const chain = new TextChain(written, (line, number) => this.#rule(name, line, number));
    this.#chains.set(name, chain);
    return chain;
  }

  #rule(chain: string, line: string, number: number): Rule {
    const written = readRule(line);
    const reference: RuleReference = {
      ...this.#origin,
      table: this.name,
      chain,
      number,
      text: line.slice(0, RULE_CHARACTERS_MAX).replace(/^\[[^\]]*\] /, ""),
      ...(written.packets === undefined ? {} : { packets: written.packets }),
    };
    const checks = written.matches.flatMap((module) => checksOf(module, this.#sets));
    const act = this.#act(written, line);
    return { reference, step: (moment) => stepOf(moment, checks, act) };
  }

  #act({ target, goto, damage }: WrittenRule, line: string): Act {
    if (damage !== undefined) {
      const because = `its text makes no sense to podskoop: ${damage.slice(0, 80)}`;
      return ({ packet }) => unknowable(packet, because);
    }
    if (target === undefined) return ({ packet }) => ({ kind: "next", packet });
    if (this.#written.chains.has(target.name)) {
      const kind = goto ? "goto" : "jump";
      const chain = target.name;
      return ({ packet }) => ({ kind, chain, packet });
    }
    const act = goto ? undefined : actOf(target, this.#sets);
    const because = `podskoop does not know what "-j ${target.name}" does in "${
      line.slice(0, 200)
    }"`;
    return act ?? (({ packet }) => unknowable(packet, because));
  }
}

function stepOf(moment: Moment, checks: readonly Check[], act: Act): Step {
  let truth: Truth = true;
  for (const check of checks) {
    truth = both(truth, check(moment));
    if (truth === false) return MISS;
  }
  const step = act(moment);
  if (truth === true) return step;
  // Whether it matches makes no difference if it does nothing.
  if (step.kind === "next" && step.packet === moment.packet) return MISS;
  return perhaps(truth, step);
}

class TextChain implements Chain {
  readonly name: string;
  readonly written: WrittenChain;
  readonly #read: (line: string, number: number) => Rule;
  readonly #rules: (Rule | undefined)[] = [];
  #index: RuleIndex | undefined;

  constructor(written: WrittenChain, read: (line: string, number: number) => Rule) {
    this.name = written.name;
    this.written = written;
    this.#read = read;
  }

  candidates(packet: Packet): Candidates {
    const { lines } = this.written;
    if (lines.length < INDEXED_MIN) return (position) => this.#rule(position);
    this.#index ??= new RuleIndex(lines);
    const own = this.#index.of(packet);
    if (own === undefined) return (position) => this.#rule(position);
    return (position) => {
      const at = own[position];
      return at === undefined ? undefined : this.#rule(at);
    };
  }

  #rule(at: number): Rule | undefined {
    const known = this.#rules[at];
    if (known !== undefined) return known;
    const line = this.written.lines[at];
    if (line === undefined) return undefined;
    return this.#rules[at] = this.#read(line, at + 1);
  }
}

/** What a rule may ask for that its text shows at once, in the order in which it is looked for. */
const SHOWN = {
  destination: / -d ([\da-f.:]+)\/(?:32|128) /,
  port: / -m (?:tcp|udp) --dport (\d+)(?: |$)/,
  source: / -s ([\da-f.:]+)\/(?:32|128) /,
} as const;

/** Which rules of a long chain a packet can match: those that name what it has, or nothing. */
class RuleIndex {
  readonly #named = new Map<string, number[]>();
  readonly #open: number[] = [];

  constructor(lines: readonly string[]) {
    lines.forEach((line, at) => {
      const key = keyOf(line);
      const known = key === undefined ? this.#open : this.#named.get(key);
      if (known === undefined) this.#named.set(key ?? "", [at]);
      else known.push(at);
    });
  }

  /** Undefined if the packet's port is not known, so that any rule may match. */
  of(packet: Packet): readonly number[] | undefined {
    if (packet.destinationPort === undefined && hasPorts(packet)) return undefined;
    const named = [
      `destination ${formatAddress(packet.destination)}`,
      `source ${formatAddress(packet.source)}`,
      `port ${packet.destinationPort}`,
    ].flatMap((key) => this.#named.get(key) ?? []);
    if (named.length === 0) return this.#open;
    return [...named, ...this.#open].sort((a, b) => a - b);
  }
}

/** What of `SHOWN` a rule asks for. A comment may say anything, so it is not looked at. */
function keyOf(line: string): string | undefined {
  if (line.length > RULE_CHARACTERS_MAX) return undefined;
  const text = line.includes('"') ? line.replace(/"(?:[^"\\]|\\.)*"/g, '""') : line;
  for (const [name, pattern] of Object.entries(SHOWN)) {
    const found = pattern.exec(text);
    if (found?.[1] === undefined || text.slice(0, found.index).endsWith(" !")) continue;
    if (name === "port") return `port ${Number(found[1])}`;
    const address = found[1].includes(":") ? parseAddress(found[1]) : undefined;
    return `${name} ${address === undefined ? found[1] : formatAddress(address)}`;
  }
  return undefined;
}
