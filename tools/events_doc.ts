/**
 * Writes docs/events.md: the text of tools/events_doc.md, with tables from the cards of probes.
 *
 *     deno run -A tools/events_doc.ts > docs/events.md
 *
 * @module
 */
import type { Change } from "../agent/collector.ts";
import type { Attribute, Event, Occurrence } from "../agent/events/event.ts";
import { lineOf } from "../agent/events/text.ts";
import type { Codec, Fields } from "../agent/schema.ts";
import { code, type DocumentedUnit, documentedUnits, filled, print, table } from "./cards.ts";

/** An event as the agent gave it on a node with the namespaces `web` and `shop`. */
export const EXAMPLE: Event = {
  id: "1795242774044003",
  time: "2026-11-21T06:33:03.014321491Z",
  node: "vm",
  probe: "packetloss",
  type: "PACKETLOSS",
  severity: "info",
  pod: { kind: "netns", namespace: "netns", name: "web" },
  source: { address: "10.8.0.2", port: 46810, pod: { namespace: "netns", name: "shop" } },
  destination: { address: "10.8.0.1", port: 5432, pod: { namespace: "netns", name: "web" } },
  network: { transport: "tcp", type: "ipv4", interface: "eth0", netns: 4026532177 },
  attributes: {
    reason: "NETFILTER_DROP",
    class: "policy",
    length_bytes: 60,
    tcp_flags: "SYN",
    location: "nft_do_chain+0x3E8",
  },
  count: 1,
  message: "A rule dropped a packet: NETFILTER_DROP",
};

/** The whole page. */
export async function eventsPage(): Promise<string> {
  const units = (await documentedUnits()).filter(({ probe, changes }) =>
    probe?.records !== undefined || changes !== undefined
  );
  const said = units.map((unit) => ({ unit, types: typesOf(unit) }));
  return await filled("tools/events_doc.md", {
    json: JSON.stringify(EXAMPLE, null, 2),
    line: lineOf(EXAMPLE),
    types: table(
      ["type", "probe", "severity", "message"],
      said.flatMap(({ unit, types }) => typeRows(unit.name, types)),
    ),
    attributes: table(
      ["attribute", "value", "in"],
      said.flatMap(({ types }) => attributeRows(types)),
    ),
    parameters: table(
      ["probe", "parameter", "default", "what it is"],
      units.flatMap(parameterRows),
    ),
  });
}

function typeRows(
  probe: string,
  types: ReadonlyMap<string, TypeWords>,
): readonly (readonly string[])[] {
  return Array.from(types, ([type, { severities, messages }]) => [
    code([type]),
    `[${probe}](metrics.md#${probe})`,
    [...severities].join(", "),
    [...messages].join("; "),
  ]);
}

function parameterRows({ name, probe }: DocumentedUnit): readonly (readonly string[])[] {
  return Object.entries(probe?.parameters ?? {}).map(([parameter, { summary, ...rest }]) => [
    name,
    code([parameter]),
    rest.default === "" ? '""' : `${rest.default}`,
    summary,
  ]);
}

interface TypeWords {
  readonly severities: Set<string>;
  readonly messages: Set<string>;
  readonly attributes: Map<string, Set<Attribute>>;
}

function attributeRows(types: ReadonlyMap<string, TypeWords>): readonly (readonly string[])[] {
  const rows = new Map<string, { values: Set<Attribute>; types: string[] }>();
  for (const [type, { attributes }] of types) {
    for (const [name, values] of attributes) {
      const known = rows.get(name) ?? { values: new Set(), types: [] };
      for (const value of values) known.values.add(value);
      rows.set(name, { values: known.values, types: [...known.types, type] });
    }
  }
  return Array.from(rows, ([name, { values, types: where }]) => {
    const everywhere = where.length === types.size && types.size > 1;
    const [first = ""] = where;
    const family = first.includes("_") ? first.split("_")[0] : first.replace(/[A-Z][a-z]+$/, "");
    return [code([name]), valuesText(values), everywhere ? `all of ${family}` : code(where)];
  });
}

/** More words than these are told by their kind. */
const WORDS_MAX = 16;

function valuesText(values: ReadonlySet<Attribute>): string {
  const [first] = values;
  if (typeof first === "number") return "a number";
  if (typeof first === "boolean") return code([...values].map(String));
  const words = [...values].map(String);
  if (words.every((word) => word === "NAME")) return "who has it, as `NAMESPACE/NAME`";
  if (words.every((word) => word.includes(":") && !word.includes(" "))) return "an address";
  if (words.some((word) => word.includes(","))) return "words, joined by `,`";
  return words.length > WORDS_MAX ? "a text" : code(words);
}

/** What a probe's records can say, found by wording many of them. */
function typesOf({ name, probe, changes }: DocumentedUnit): ReadonlyMap<string, TypeWords> {
  const types = new Map<string, TypeWords>();
  for (const change of changes ?? []) {
    types.set(change.type, types.get(change.type) ?? noWords());
    note(types, change);
  }
  if (changes !== undefined) return types;
  const { records } = probe ?? {};
  if (records === undefined) throw new TypeError(`Cannot word events of "${name}": it has none`);
  for (const type of records.types) {
    types.set(type, noWords());
  }
  for (const record of sampleRecords(records.record.fields)) {
    note(types, records.occurrence(record));
  }
  // Words for what this version does not know are for later kernels.
  for (const type of types.keys()) if (type.endsWith("_UNKNOWN")) types.delete(type);
  return types;
}

function noWords(): TypeWords {
  return { severities: new Set(), messages: new Set(), attributes: new Map() };
}

function note(
  types: ReadonlyMap<string, TypeWords>,
  occurrence: Change & Pick<Occurrence, "ends" | "location">,
): void {
  const words = types.get(occurrence.type);
  if (words === undefined) return;
  words.severities.add(occurrence.severity);
  words.messages.add(occurrence.message);
  const attributes = { ...occurrence.attributes };
  if ((occurrence.location ?? 0n) !== 0n) attributes["location"] = "function+0xOFFSET";
  for (const [name, { address }] of Object.entries(occurrence.ends ?? {})) {
    Object.assign(attributes, { [name]: address, [`${name}_port`]: 1 });
    for (const owner of ["pod", "service", "node"]) attributes[`${name}_${owner}`] = "NAME";
  }
  for (const [attribute, value] of Object.entries(attributes)) {
    const values = words.attributes.get(attribute) ?? new Set();
    words.attributes.set(attribute, values.add(value));
  }
}

/** Records in which every two fields have every pair of the values they are tried with. */
function* sampleRecords(fields: Fields): Iterable<Record<string, unknown>> {
  const tried = Object.entries(fields).map(([name, codec]) => [name, samplesOf(codec)] as const);
  const base = Object.fromEntries(tried.map(([name, [first]]) => [name, first]));
  for (const [one, values] of tried) {
    for (const [other, others] of tried) {
      for (const value of values) {
        for (const second of others) yield { ...base, [other]: second, [one]: value };
      }
    }
  }
}

/** Bytes that a field is tried with: small, all bits set, and none. */
const FILLS = [0x01, 0xff, 0x00] as const;
/** More than any field has. */
const FIELD_BYTES_MAX = 1_024;

/** What a field is tried with: every word it has, or a few numbers. */
function samplesOf(codec: Codec<unknown>): readonly unknown[] {
  const view = new DataView(new ArrayBuffer(FIELD_BYTES_MAX));
  const read = (codec: Codec<unknown>, fill: number) => {
    new Uint8Array(view.buffer).fill(fill);
    return codec.read(view, 0);
  };
  let marker: string | undefined;
  const bound = codec.bind?.((name) => {
    marker = `{${name}}`;
    return new Map([[0x01010101, marker]]);
  });
  if (bound !== undefined) {
    // What the kernel does not name is `UNKNOWN`, which needs no row of its own.
    return [marker, ...FILLS.map((fill) => read(bound, fill))].filter((word, index, all) =>
      word !== "UNKNOWN" && all.indexOf(word) === index
    );
  }
  const bytes = codec.ctypes.includes("__u8")
    ? Array.from({ length: 256 }, (_, byte) => byte)
    : FILLS;
  const values = bytes.map((byte) => read(codec, byte));
  if (values.every((value) => typeof value === "number")) {
    return [...values.slice(0, 2), ...values.slice(-1)];
  }
  const words = values.filter((value, index) =>
    value !== "unknown" && values.indexOf(value) === index
  );
  return words;
}

if (import.meta.main) await print(await eventsPage());
