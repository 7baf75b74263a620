/**
 * nftables' statements: what a rule does, one after the other, until one says no.
 *
 * @module
 */
import { type Json, kindOf, listOf, numberOf, objectOf, textOf } from "./nft_json.ts";
import { type Context, expressionOf, lookUp, numberExpression, setOf } from "./nft_expression.ts";
import { statusHas } from "./nft_ct.ts";
import { PROTOCOLS } from "../packet/packet.ts";
import { choosable } from "./nat.ts";
import { mangle } from "./nft_mangle.ts";
import { translation } from "./nft_nat.ts";
import type { ValueType } from "./nft_symbols.ts";
import {
  type Atom,
  constantOf,
  type Expression,
  fits,
  optionsOf,
  patternOf,
  type Seen,
} from "./nft_value.ts";
import { type Branch, kept, MISS, type Moment, perhaps, type Step, unknowable } from "./rules.ts";
import { chance, EITHER, negate, type Truth, unknown } from "./truth.ts";

/** What happens after a statement. */
export type Rest = (moment: Moment) => Step;

/** A statement: it goes on with what follows, or does not. */
export type Statement = (moment: Moment, rest: Rest) => Step;

type Reader = (inner: unknown, context: Context) => Statement | undefined;

/** A rule's statements as one step. */
export function statementsOf(expressions: readonly unknown[], context: Context): Rest {
  let rest: Rest = ({ packet }) => ({ kind: "next", packet });
  for (const json of expressions.toReversed()) {
    const statement = statementOf(json, context);
    const after = rest;
    rest = (moment) => statement(moment, after);
  }
  return rest;
}

function statementOf(json: unknown, context: Context): Statement {
  const [kind, inner] = kindOf(json) ?? [];
  const found = kind === undefined ? undefined : READERS[kind]?.(inner, context);
  if (found !== undefined) return found;
  const because = `podskoop does not know the statement ${JSON.stringify(json)?.slice(0, 120)}`;
  return ({ packet }) => unknowable(packet, because);
}

/** Goes on, if it is true. */
function given(truth: Truth, moment: Moment, rest: Rest): Step {
  if (truth === false) return MISS;
  const step = rest(moment);
  if (truth === true) return step;
  // Whether it matches makes no difference if it does nothing.
  if (step.kind === "miss" || step.kind === "next" && step.packet === moment.packet) return MISS;
  return perhaps(truth, step);
}

/** Whether any of what an expression may come to passes a test. */
function truthOf(seen: Seen, test: (values: readonly Atom[]) => Truth): Truth {
  let sum = 0;
  let certain = true;
  let all = true;
  for (const { chance: weight, seen: option } of optionsOf(seen)) {
    const truth = option.kind === "values"
      ? test(option.values)
      : option.kind === "doubt"
      ? option.doubt
      : false;
    if (typeof truth !== "boolean" && truth.kind === "unknown") return truth;
    if (truth !== true) all = false;
    const own = truth === true ? 1 : truth === false ? 0 : truth.chance;
    if (own === undefined || weight === undefined && seen.kind === "spread") certain = false;
    else sum += own * (weight ?? 1);
  }
  if (all) return true;
  return certain ? chance(sum > 1 - 1e-9 ? 1 : sum) : EITHER;
}

const ORDERS: Readonly<Record<string, (one: bigint, other: bigint) => boolean>> = {
  "<": (one, other) => one < other,
  ">": (one, other) => one > other,
  "<=": (one, other) => one <= other,
  ">=": (one, other) => one >= other,
};

const match: Reader = (inner, context) => {
  const json = objectOf(inner);
  const op = textOf(json?.op) ?? "==";
  const left = statusIn(op, json) ?? expressionOf(json?.left, context);
  const test = left.types[0] === "boolean" && op === "in"
    ? ([value]: readonly Atom[]) => value === 1n
    : testOf(op, json?.right, left.types, context);
  if (test === undefined) return undefined;
  return (moment, rest) =>
    given(truthOf(left.see(moment), (values) => test(values, moment)), moment, rest);
};

/** `ct status dnat`, which asks for one of the bits alone. */
function statusIn(op: string, json: Json | undefined): Expression | undefined {
  if (op !== "in" || objectOf(objectOf(json?.left)?.ct)?.key !== "status") return undefined;
  const bits = constantOf(json?.right, "status");
  return bits === undefined ? undefined : { types: ["boolean"], see: statusHas(bits) };
}

type Test = (values: readonly Atom[], moment: Moment) => Truth;

function testOf(
  op: string,
  right: unknown,
  types: readonly ValueType[],
  context: Context,
): Test | undefined {
  const [type = "number"] = types;
  const order = ORDERS[op];
  if (order !== undefined) {
    const bound = constantOf(right, type);
    return bound === undefined
      ? undefined
      : ([value]) => typeof value === "bigint" && order(value, bound);
  }
  if (op !== "==" && op !== "!=" && op !== "in") return undefined;
  const negated = op === "!=";
  const isSet = textOf(right)?.startsWith("@") || objectOf(right)?.set !== undefined;
  if (isSet) {
    const set = setOf(right, types, false, context);
    return (values) => negate(inSet(values, set()), negated);
  }
  if (op === "in") {
    const mask = constantOf(right, type);
    return mask === undefined
      ? undefined
      : ([value]) => typeof value === "bigint" && (value & mask) !== 0n;
  }
  return equality(right, types, negated, context);
}

function inSet(values: readonly Atom[], set: ReturnType<ReturnType<typeof setOf>>): Truth {
  if (typeof set === "string") return unknown(set);
  if (set.find(values) !== undefined) return true;
  return set.damaged ? unknown("a set has an element that makes no sense") : false;
}

function equality(
  right: unknown,
  types: readonly ValueType[],
  negated: boolean,
  context: Context,
): Test | undefined {
  const parts = types.length === 1 ? [right] : listOf(objectOf(right)?.concat) ?? [];
  const patterns = parts.map((part, at) => patternOf(part, types[at] ?? "number"));
  const known = patterns.flatMap((pattern) => pattern ?? []);
  if (known.length === types.length) {
    return (values) => {
      const all = known.every((pattern, at) => {
        const value = values[at];
        return value !== undefined && fits(value, pattern);
      });
      return all !== negated;
    };
  }
  if (kindOf(right) === undefined) return undefined;
  const other = expressionOf(right, context);
  return ([value], moment) =>
    negate(truthOf(other.see(moment), ([same]) => same === value), negated);
}

function verdict(kind: "accept" | "drop" | "reject" | "queue"): Reader {
  return () => ({ packet }) => ({ kind: "end", verdict: kind, packet });
}

/** nft hides that an answer of one protocol is only for packets of that protocol. */
const reject: Reader = (inner) => {
  const type = textOf(objectOf(inner)?.type);
  return ({ packet }) => {
    const { family } = packet.source;
    const other = type === "tcp reset" && packet.protocol !== PROTOCOLS.tcp ||
      type === "icmp" && family === 6 || type === "icmpv6" && family === 4;
    return other ? MISS : { kind: "end", verdict: "reject", packet };
  };
};

const GO_ON: Reader = () => (moment, rest) => rest(moment);

function leads(kind: "jump" | "goto"): Reader {
  return (inner) => {
    const chain = textOf(objectOf(inner)?.target);
    return chain === undefined ? undefined : ({ packet }) => ({ kind, chain, packet });
  };
}

const vmap: Reader = (inner, context) => {
  const json = objectOf(inner);
  const key = expressionOf(json?.key, context);
  const set = setOf(json?.data, key.types, true, context);
  return (moment, rest) => {
    const branches = optionsOf(lookUp(key.see(moment), set)).map(
      ({ chance: weight, seen }): Branch => ({
        ...(weight === undefined ? {} : { chance: weight }),
        step: verdictStep(seen, moment, rest, context),
      }),
    );
    const [first, ...more] = branches;
    if (first !== undefined && more.length === 0) return first.step;
    return { kind: "fork", doubt: EITHER, branches };
  };
};

function verdictStep(seen: Seen, moment: Moment, rest: Rest, context: Context): Step {
  if (seen.kind === "data") return statementOf(seen.data, context)(moment, rest);
  if (seen.kind === "doubt") {
    const because = seen.doubt.kind === "unknown" ? seen.doubt.because : "chance decides";
    return unknowable(moment.packet, because);
  }
  return MISS;
}

const BYTES: Readonly<Record<string, number>> = { bytes: 1, kbytes: 1024, mbytes: 1_048_576 };

/**
 * A quota is passed, or it is not: the snapshot has how much of it is used, and the packet counts,
 * too (`nft_overquota`).
 */
function quotaTruth(json: Json | undefined, { packet }: Moment): Truth {
  const limit = numberOf(json?.bytes) ??
    (numberOf(json?.val) ?? NaN) * (BYTES[textOf(json?.val_unit) ?? "bytes"] ?? NaN);
  const used = (numberOf(json?.used) ?? 0) * (BYTES[textOf(json?.used_unit) ?? "bytes"] ?? NaN);
  if (Number.isNaN(limit + used)) return EITHER;
  return (used + packet.length > limit) === (json?.inv === true);
}

const quota: Reader = (inner) => {
  if (typeof inner === "string") return (moment, rest) => given(EITHER, moment, rest);
  const json = objectOf(inner);
  return (moment, rest) => given(quotaTruth(json, moment), moment, rest);
};

const rate: Reader = () => (moment, rest) => given(EITHER, moment, rest);

/** Adding to a set goes on, unless the key is nothing that the packet has. */
const update: Reader = (inner, context) => {
  const json = objectOf(inner);
  const element = objectOf(objectOf(json?.elem)?.elem)?.val ?? json?.elem;
  const key = expressionOf(element, context);
  const limited = (listOf(json?.stmt) ?? []).some((each) => kindOf(each)?.[0] !== "counter");
  return (moment, rest) => {
    const options = optionsOf(key.see(moment));
    if (options.every(({ seen }) => seen.kind === "break")) return MISS;
    return given(limited ? EITHER : true, moment, rest);
  };
};

const notrack: Reader = () => (moment, rest) => {
  const { packet } = moment;
  if (!choosable(packet, moment.tracked)) return rest(moment);
  const connection = { ...packet.connection, state: "untracked" } as const;
  const untracked = { ...packet, connection };
  return kept(rest({ ...moment, packet: untracked }), untracked);
};

const tproxy: Reader = (inner, context) => {
  const json = objectOf(inner);
  const port = json?.port === undefined
    ? undefined
    : numberExpression(json.port, "number", context);
  const address = json?.addr === undefined
    ? undefined
    : numberExpression(json.addr, "number", context);
  return (moment, rest) => {
    const { packet } = moment;
    const to = single(port?.(moment)) ?? BigInt(packet.destinationPort ?? 0);
    const bits = single(address?.(moment));
    if (bits !== undefined && bits >> 32n !== 0n !== (packet.source.family === 6)) return MISS;
    const own = bits === undefined ? {} : { address: { family: packet.source.family, bits } };
    return proxied(kept(rest(moment), packet), { ...own, port: Number(to) });
  };
};

function single(seen: Seen | undefined): bigint | undefined {
  const value = seen?.kind === "values" ? seen.values[0] : undefined;
  return typeof value === "bigint" ? value : undefined;
}

function proxied(step: Step, proxy: { port: number }): Step {
  const assumption = `a transparent socket listens on port ${proxy.port}`;
  switch (step.kind) {
    case "end":
    case "next":
      return { ...step, proxy, assumption };
    case "fork":
      return {
        ...step,
        branches: step.branches.map((branch) => ({ ...branch, step: proxied(branch.step, proxy) })),
      };
    default:
      return step;
  }
}

const flow: Reader = () => (moment, rest) => {
  const step = rest(moment);
  return step.kind === "next" || step.kind === "end"
    ? { ...step, assumption: "later packets of the connection may take a flowtable's short way" }
    : step;
};

const READERS: Readonly<Record<string, Reader>> = {
  match,
  vmap,
  accept: verdict("accept"),
  drop: verdict("drop"),
  reject,
  queue: verdict("queue"),
  return: () => ({ packet }) => ({ kind: "return", packet }),
  continue: GO_ON,
  jump: leads("jump"),
  goto: leads("goto"),
  fwd: () => ({ packet }) => ({ kind: "end", verdict: "stolen", packet }),
  limit: rate,
  "ct count": rate,
  meter: rate,
  quota,
  set: update,
  map: update,
  mangle,
  notrack,
  snat: translation("source"),
  dnat: translation("destination"),
  masquerade: translation("masquerade"),
  redirect: translation("redirect"),
  tproxy,
  flow,
  ...Object.fromEntries(
    [
      ...["counter", "log", "last", "dup", "ct helper", "ct timeout", "ct expectation", "secmark"],
      "reset",
    ].map((name) => [name, GO_ON]),
  ),
};
