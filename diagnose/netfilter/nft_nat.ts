/**
 * nftables' statements that translate addresses and ports.
 *
 * @module
 */
import { type Address, parsePrefix } from "../packet/address.ts";
import { natStep, type Translation } from "./nat_step.ts";
import { type Context, expressionOf } from "./nft_expression.ts";
import { type Json, kindOf, listOf, objectOf, textOf } from "./nft_json.ts";
import {
  addressConstant,
  addressFrom,
  type Atom,
  constantOf,
  optionsOf,
  patternOf,
  type Seen,
} from "./nft_value.ts";
import type { PortRange } from "./ports.ts";
import { type Branch, MISS, type Moment, type Step, unknowable } from "./rules.ts";

/** What an address or port comes to: all that a statement needs. */
type Part = Pick<Translation, "addresses" | "ports" | "prefix">;

/** `snat`, `dnat`, `masquerade`, `redirect`. */
export function translation(end: Translation["end"]) {
  return (inner: unknown, context: Context): ((moment: Moment) => Step) | undefined => {
    const json = objectOf(inner);
    if (inner !== null && json === undefined) return undefined;
    const flags = [json?.flags].flat();
    const netmap = flags.includes("netmap");
    const random = flags.includes("random") || flags.includes("fully-random");
    const address = partOf(json?.addr, "addr", netmap, context);
    const port = partOf(json?.port, "port", false, context);
    const family = FAMILIES[textOf(json?.family) ?? ""];
    return (moment) => {
      if (family !== undefined && family !== moment.packet.source.family) return MISS;
      return forked(moment, address, (one) =>
        forked(moment, port, (other) => {
          const range = one.addresses;
          const { family } = moment.packet.source;
          if (range !== undefined && range[0].family !== family) return MISS;
          return natStep(moment, { ...one, ...other, end, random });
        }));
    };
  };
}

const FAMILIES: Readonly<Record<string, number>> = { ip: 4, ip6: 6 };

/** Undefined for what is not written. */
type PartSource = ((moment: Moment) => Seen | Part) | undefined;

function partOf(
  json: unknown,
  what: "addr" | "port",
  netmap: boolean,
  context: Context,
): ReadPart {
  const read = (data: unknown): Part | undefined => dataPart(data, what, netmap);
  if (json === undefined) return { what, see: undefined, read };
  const constant = read(json);
  if (constant !== undefined) return { what, see: () => constant, read };
  const expression = expressionOf(json, context);
  return { what, see: (moment) => expression.see(moment), read };
}

/** A part as it is written, and how what a map has for it is read. */
interface ReadPart {
  readonly what: "addr" | "port";
  readonly see: PartSource;
  readonly read: (data: unknown) => Part | undefined;
}

function forked(
  moment: Moment,
  { what, see, read }: ReadPart,
  then: (part: Part) => Step,
): Step {
  if (see === undefined) return then({});
  const seen = see(moment);
  if (!("kind" in seen)) return then(seen);
  const branches = optionsOf(seen).map(({ chance, seen }): Branch => ({
    ...(chance === undefined ? {} : { chance }),
    step: stepFor(moment, seen, { what, read }, then),
  }));
  const [first, ...more] = branches;
  if (first !== undefined && more.length === 0) return first.step;
  return { kind: "fork", doubt: { kind: "chance" }, branches };
}

function stepFor(
  moment: Moment,
  seen: Seen,
  { what, read }: Pick<ReadPart, "what" | "read">,
  then: (part: Part) => Step,
): Step {
  const { packet } = moment;
  if (seen.kind === "break") return MISS;
  if (seen.kind === "data") {
    const part = read(seen.data);
    return part === undefined
      ? unknowable(packet, "a map has something that makes no sense")
      : then(part);
  }
  if (seen.kind === "values" && what === "port") {
    const [port] = seen.values;
    if (typeof port === "bigint" && port <= 65_535n) return then({ ports: range(port, port) });
  } else if (seen.kind === "values") {
    const address = addressFrom(seen.values[0], packet.source.family);
    if (address !== undefined) return then({ addresses: [address, address] });
  }
  const where = what === "addr" ? "address" : "port";
  return unknowable(packet, `the ${where} to translate to is not known`);
}

function dataPart(data: unknown, what: "addr" | "port", netmap: boolean): Part | undefined {
  const both = listOf(objectOf(data)?.concat);
  if (both !== undefined) {
    const [first, second] = both;
    return { ...addressPart(first, netmap), ...portPart(second) };
  }
  return what === "addr" ? addressPart(data, netmap) : portPart(data);
}

function addressPart(data: unknown, netmap: boolean): Part | undefined {
  const single = addressConstant(data);
  if (single !== undefined) return { addresses: [single, single] };
  const [kind, inner] = kindOf(data) ?? [];
  if (kind === "prefix") {
    const object: Json | undefined = objectOf(inner);
    const prefix = parsePrefix(`${textOf(object?.addr) ?? ""}/${object?.len}`);
    if (prefix === undefined) return undefined;
    if (netmap) return { prefix };
    const pattern = patternOf(data, "number");
    if (pattern === undefined || "text" in pattern) return undefined;
    return { addresses: ends(prefix.address, pattern.low, pattern.high) };
  }
  if (kind !== "range") return undefined;
  const [from, to] = (listOf(inner) ?? []).map(addressConstant);
  return from === undefined || to === undefined ? undefined : { addresses: [from, to] };
}

function ends({ family }: Address, low: bigint, high: bigint): readonly [Address, Address] {
  return [{ family, bits: low }, { family, bits: high }];
}

function portPart(data: unknown): Part | undefined {
  const value: Atom | undefined = constantOf(data, "number");
  if (value !== undefined) return { ports: range(value, value) };
  const pattern = patternOf(data, "number");
  if (pattern === undefined || "text" in pattern) return undefined;
  return { ports: range(pattern.low, pattern.high) };
}

function range(from: bigint, to: bigint): PortRange {
  return { from: Number(from), to: Number(to) };
}
