/**
 * nftables' expressions: what a rule asks of a packet, in libnftables' JSON.
 *
 * @module
 */
import { type Json, kindOf, listOf, numberOf, objectOf, textOf } from "./nft_json.ts";
import { PROTOCOLS } from "../packet/packet.ts";
import { connectionKey } from "./nft_ct.ts";
import { metaKey } from "./nft_meta.ts";
import { type Layer, namedField, readBits } from "./nft_payload.ts";
import type { NftSet } from "./nft_set.ts";
import { addressTypeOf, type ValueType } from "./nft_symbols.ts";
import {
  type Atom,
  BREAK,
  constantOf,
  type Expression,
  one,
  optionsOf,
  type Seen,
  type SeenOption,
  unsure,
} from "./nft_value.ts";
import type { Moment } from "./rules.ts";
import { EITHER } from "./truth.ts";

/** Values of a generator that become branches of their own. */
const SPREAD_MAX = 4_096;

/** Finds a table's sets, read for values of these types. */
export type Sets = (name: string, types: readonly ValueType[]) => NftSet | string;

/** Makes an anonymous set. */
export type MakeSet = (
  elements: readonly unknown[],
  types: readonly ValueType[],
  mapped: boolean,
) => NftSet;

/** What expressions of a rule are read with. */
export interface Context {
  readonly sets: Sets;
  readonly makeSet: MakeSet;
}

/** An expression, from its JSON; one that is not known cannot be answered. */
export function expressionOf(json: unknown, context: Context): Expression {
  const [kind, inner] = kindOf(json) ?? [];
  const read = kind === undefined ? undefined : READERS[kind];
  const found = read?.(inner, context);
  if (found !== undefined) return found;
  const because = `podskoop does not know the expression ${JSON.stringify(json)?.slice(0, 120)}`;
  return { types: ["number"], see: () => unsure(because) };
}

type Reader = (inner: unknown, context: Context) => Expression | undefined;

function plain(type: ValueType, see: (moment: Moment) => Seen): Expression {
  return { types: [type], see };
}

const payload: Reader = (inner) => {
  const json = objectOf(inner);
  const [protocol, field] = [textOf(json?.protocol), textOf(json?.field)];
  if (protocol !== undefined && field !== undefined) {
    const named = namedField(protocol, field);
    return named && plain(named.type, (moment) => named.read(moment));
  }
  const layer = LAYERS[textOf(json?.base) ?? ""];
  const [offset, length] = [numberOf(json?.offset), numberOf(json?.len)];
  if (layer === undefined || offset === undefined || length === undefined) return undefined;
  return plain("number", (moment) => readBits(moment, layer, { offset, length }));
};

const LAYERS: Readonly<Record<string, Layer>> = { ll: "ll", nh: "nh", th: "th" };

const meta: Reader = (inner) => {
  const found = metaKey(textOf(objectOf(inner)?.key) ?? "");
  return found && plain(found.type, found.see);
};

const ct: Reader = (inner) => {
  const json = objectOf(inner);
  const found = connectionKey(
    textOf(json?.key) ?? "",
    textOf(json?.dir) === "reply" ? "reply" : "original",
    textOf(json?.dir) !== undefined,
  );
  return found && plain(found.type, found.see);
};

const fib: Reader = (inner) => {
  const json = objectOf(inner);
  const flags = listOf(json?.flags) ?? [json?.flags];
  const end = flags.includes("saddr") ? "source" : flags.includes("daddr") ? "destination" : "";
  if (end === "") return undefined;
  if (json?.result === "type") {
    return plain("addressType", ({ packet, around }) => {
      const device = flags.includes("iif")
        ? around.inDevice
        : flags.includes("oif")
        ? around.outDevice
        : undefined;
      const name = around.addressType(packet[end], device);
      const number = addressTypeOf(name);
      return number === undefined ? unsure("the type of an address is not known") : one(number);
    });
  }
  if (json?.result !== "oif" || end !== "source") {
    return plain("text", () => unsure("the route to an address is not known to the rules"));
  }
  return plain("boolean", ({ packet, around }) => {
    if (around.inDevice === "lo") return one(1);
    const asked = flags.includes("mark") ? packet : { ...packet, mark: 0 };
    const found = around.reversePath?.(asked, flags.includes("iif")) ?? "unknown";
    return found === "unknown" ? unsure("the way back is not known") : one(found === "pass");
  });
};

const numgen: Reader = (inner) => {
  const json = objectOf(inner);
  return uniform(json);
};

function uniform(json: Json | undefined): Expression | undefined {
  const modulus = numberOf(json?.mod);
  const offset = numberOf(json?.offset) ?? 0;
  if (modulus === undefined || modulus < 1) return undefined;
  if (modulus > SPREAD_MAX) return plain("number", () => ({ kind: "doubt", doubt: EITHER }));
  const options: SeenOption[] = [...Array(modulus).keys()].map((at) => ({
    chance: 1 / modulus,
    seen: { kind: "values", values: [BigInt(at + offset)] },
  }));
  const seen: Seen = modulus === 1 ? one(offset) : { kind: "spread", options };
  return plain("number", () => seen);
}

/** A packet without ports has no hash of them; the seed is not in the snapshot. */
const jhash: Reader = (inner, context) => {
  const json = objectOf(inner);
  const spread = uniform(json);
  if (spread === undefined || json?.expr === undefined) return spread;
  const hashed = expressionOf(json.expr, context);
  return plain("number", (moment) => {
    const seen = hashed.see(moment);
    return seen.kind === "break" ? seen : spread.see(moment);
  });
};

const socket: Reader = () =>
  plain("number", ({ packet, around }) => {
    const found = around.hasSocket?.(packet);
    return found === false ? BREAK : unsure("the packet's socket is not known");
  });

/** Packets are made without extension headers and options, which only one family has. */
function absent(family: 4 | 6): Reader {
  return (inner) => {
    const whole = objectOf(inner)?.field === undefined;
    return plain(
      "boolean",
      ({ packet }) => whole && packet.source.family === family ? one(0) : BREAK,
    );
  };
}

const concat: Reader = (inner, context) => {
  const parts = listOf(inner)?.map((part) => expressionOf(part, context));
  if (parts === undefined || parts.length === 0) return undefined;
  return {
    types: parts.flatMap(({ types }) => types),
    see: (moment) => {
      let all: readonly SeenOption[] = [{ seen: { kind: "values", values: [] } }];
      for (const part of parts) {
        const own = optionsOf(part.see(moment));
        all = all.flatMap((before) => own.map((option) => joined(before, option)));
        if (all.length > SPREAD_MAX) return { kind: "doubt", doubt: EITHER };
      }
      const [first, ...more] = all;
      return first !== undefined && more.length === 0
        ? first.seen
        : { kind: "spread", options: all };
    },
  };
};

function joined(before: SeenOption, option: SeenOption): SeenOption {
  const chance = before.chance === undefined ? option.chance : before.chance * (option.chance ?? 1);
  const weight = chance === undefined ? {} : { chance };
  if (before.seen.kind !== "values") return { ...weight, seen: before.seen };
  if (option.seen.kind !== "values") return { ...weight, seen: option.seen };
  const values = [...before.seen.values, ...option.seen.values];
  return { ...weight, seen: { kind: "values", values } };
}

const OPERATIONS: Readonly<Record<string, (one: bigint, other: bigint) => bigint>> = {
  "&": (one, other) => one & other,
  "|": (one, other) => one | other,
  "^": (one, other) => one ^ other,
  "<<": (one, other) => one << (other & 127n) & 0xffffffffn,
  ">>": (one, other) => one >> (other & 127n),
};

function operation(symbol: string): Reader {
  return (inner, context) => {
    const [first, ...others] = listOf(inner) ?? [];
    const operate = OPERATIONS[symbol];
    if (others.length === 0 || operate === undefined) return undefined;
    const left = expressionOf(first, context);
    const type = left.types[0] ?? "number";
    const right = others.map((other) => {
      const constant = constantOf(other, type);
      return constant === undefined ? expressionOf(other, context) : constantExpression(constant);
    });
    return plain(type, (moment) => {
      return right.reduce(
        (seen, each) => combined(seen, each.see(moment), operate),
        left.see(moment),
      );
    });
  };
}

function constantExpression(value: bigint): Expression {
  return plain("number", () => one(value));
}

function combined(one: Seen, other: Seen, operate: (a: bigint, b: bigint) => bigint): Seen {
  const options = optionsOf(one).flatMap((left) =>
    optionsOf(other).map((right) => joined(left, right))
  );
  const results = options.map(({ chance, seen }): SeenOption => {
    const weight = chance === undefined ? {} : { chance };
    if (seen.kind !== "values") return { ...weight, seen };
    const [a, b] = seen.values;
    return typeof a === "bigint" && typeof b === "bigint"
      ? { ...weight, seen: { kind: "values", values: [operate(a, b)] } }
      : { ...weight, seen: BREAK };
  });
  const [first, ...more] = results;
  return first !== undefined && more.length === 0
    ? first.seen
    : { kind: "spread", options: results };
}

/** A value for each key: an expression by what a set's elements have. */
const map: Reader = (inner, context) => {
  const json = objectOf(inner);
  const key = expressionOf(json?.key, context);
  const set = setOf(json?.data, key.types, true, context);
  return {
    types: ["number"],
    see: (moment) => lookUp(key.see(moment), set),
  };
};

/** The set that stands in a rule, or is named there. */
export function setOf(
  json: unknown,
  types: readonly ValueType[],
  mapped: boolean,
  context: Context,
): () => NftSet | string {
  const name = textOf(json);
  if (name?.startsWith("@")) return () => context.sets(name.slice(1), types);
  const elements = listOf(objectOf(json)?.set);
  if (elements === undefined) return () => "podskoop does not know the form of a set";
  const made = context.makeSet(elements, types, mapped);
  return () => made;
}

/** What a map has for each value that the key may have. */
export function lookUp(seen: Seen, set: () => NftSet | string): Seen {
  const known = set();
  const looked = optionsOf(seen).map(({ chance, seen }): SeenOption => {
    const weight = chance === undefined ? {} : { chance };
    if (seen.kind !== "values") return { ...weight, seen };
    if (typeof known === "string") {
      return { ...weight, seen: { kind: "doubt", doubt: { kind: "unknown", because: known } } };
    }
    const found = known.find(seen.values);
    if (found !== undefined) return { ...weight, seen: { kind: "data", data: found.data } };
    if (!known.damaged) return { ...weight, seen: { kind: "break" } };
    const because = "a set has an element that makes no sense";
    return { ...weight, seen: { kind: "doubt", doubt: { kind: "unknown", because } } };
  });
  const [first, ...more] = looked;
  return first !== undefined && more.length === 0
    ? first.seen
    : { kind: "spread", options: looked };
}

const tcpOption: Reader = (inner) => {
  const whole = objectOf(inner)?.field === undefined;
  return plain(whole ? "boolean" : "number", ({ packet }) => {
    if (packet.protocol === PROTOCOLS.tcp) {
      return unsure("the packet's TCP options are not known");
    }
    return whole && packet.arp === undefined ? one(0) : BREAK;
  });
};

const READERS: Readonly<Record<string, Reader>> = {
  payload,
  meta,
  ct,
  fib,
  numgen,
  jhash,
  symhash: (inner) => uniform(objectOf(inner)),
  socket,
  exthdr: absent(6),
  "ip option": absent(4),
  "tcp option": tcpOption,
  concat,
  map,
  ...Object.fromEntries(Object.keys(OPERATIONS).map((symbol) => [symbol, operation(symbol)])),
};

/** A value that a statement gives, a constant or any other expression, as one number. */
export function numberExpression(
  json: unknown,
  type: ValueType,
  context: Context,
): (moment: Moment) => Seen {
  const constant = constantOf(json, type);
  if (constant !== undefined) return () => one(constant);
  const expression = expressionOf(json, context);
  return (moment) => numeric(expression.see(moment), type);
}

/** What maps have, as numbers. */
function numeric(seen: Seen, type: ValueType): Seen {
  const options = optionsOf(seen).map((option): SeenOption => {
    if (option.seen.kind !== "data") return option;
    const value: Atom | undefined = constantOf(option.seen.data, type);
    const read = value === undefined
      ? unsure("a map has something that makes no sense")
      : one(value);
    return { ...option, seen: read.kind === "spread" ? BREAK : read };
  });
  const [first, ...more] = options;
  return first !== undefined && more.length === 0 ? first.seen : { kind: "spread", options };
}
