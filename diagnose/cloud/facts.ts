/**
 * What somebody tells about a cloud's network: interfaces, security groups, subnets with their
 * routes and access lists. docs/diagnose.md has the format in words, and an example.
 *
 * @module
 */
import * as v from "valibot";
import { mistakeOf } from "../../agent/shape_mistake.ts";
import { parsePrefix } from "../packet/address.ts";

/** Of the file; a reader refuses any other. */
export const FACTS_VERSION = 1 as const;

/** Entries of one list. */
export const ENTRIES_MAX = 10_000;

const PORT_MAX = 65_535;

const text = v.pipe(v.string(), v.minLength(1));
const prefix = v.pipe(
  text,
  v.check((value) => parsePrefix(value) !== undefined, "it is no address, and no prefix"),
);

function list<const S extends v.GenericSchema>(item: S) {
  return v.pipe(v.array(item), v.maxLength(ENTRIES_MAX));
}

/** One, or several. */
function some<const S extends v.GenericSchema>(item: S) {
  return v.union([item, list(item)]);
}

const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(PORT_MAX));
const ports = v.union([
  port,
  v.pipe(v.string(), v.regex(/^\d{1,5}-\d{1,5}$/, "it is no port, and no range like 80-90")),
]);
const who = v.union([
  v.literal("any"),
  v.pipe(v.string(), v.startsWith("group:")),
  prefix,
]);

const ruleShape = v.strictObject({
  action: v.optional(v.picklist(["allow", "deny"]), "allow"),
  priority: v.optional(v.number(), 0),
  protocol: v.optional(v.union([text, port]), "any"),
  ports: v.optional(some(ports)),
  /** Who sends, of ingress; who receives, of egress. */
  peers: v.optional(some(who), "any"),
  name: v.optional(text),
});

/** A direction that is absent is not known; one that is empty lets nothing through. */
const rulesShape = {
  ingress: v.optional(list(ruleShape)),
  egress: v.optional(list(ruleShape)),
};

const shape = v.strictObject({
  format: v.literal("podskoop-facts"),
  version: v.literal(FACTS_VERSION),
  interfaces: list(v.strictObject({
    name: text,
    node: text,
    addresses: list(prefix),
    /** Ranges that the cloud sends to this interface as well. */
    prefixes: v.optional(list(prefix), []),
    subnet: v.optional(text),
    groups: v.optional(list(text)),
    /** Whether packets from or to addresses of others are dropped. */
    sourceCheck: v.optional(v.boolean()),
  })),
  groups: v.optional(list(v.strictObject({ name: text, ...rulesShape })), []),
  subnets: v.optional(
    list(v.strictObject({
      name: text,
      routes: v.optional(list(v.strictObject({ to: prefix, via: text }))),
      acl: v.optional(v.strictObject(rulesShape)),
    })),
    [],
  ),
});

/** The facts of a file. */
export type Facts = v.InferOutput<typeof shape>;
export type Interface = Facts["interfaces"][number];
export type CloudRule = v.InferOutput<typeof ruleShape>;

/**
 * Facts from what a file's YAML or JSON stands for.
 *
 * @throws {Error} that says what is wrong, and where.
 */
export function readFacts(value: unknown): Facts {
  const parsed = v.safeParse(shape, value);
  if (!parsed.success) {
    throw new Error(`Cannot read the facts: ${mistakeOf(parsed.issues[0])}`);
  }
  const facts = parsed.output;
  for (const { name, subnet, groups = [] } of facts.interfaces) {
    if (subnet !== undefined) known(facts.subnets, "subnet", subnet, name);
    for (const group of groups) known(facts.groups, "group", group, name);
  }
  return facts;
}

function known(
  all: readonly { readonly name: string }[],
  what: string,
  wanted: string,
  by: string,
): void {
  if (all.some(({ name }) => name === wanted)) return;
  throw new Error(
    `Cannot read the facts: the interface "${by}" is in the ${what} "${wanted}", which they lack`,
  );
}
