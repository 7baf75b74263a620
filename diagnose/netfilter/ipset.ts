/**
 * Sets of addresses, ports, devices and the like: the text of `ipset save`.
 *
 * @module
 */
import {
  type Address,
  type Family,
  maskOf,
  parseAddress,
  parsePrefix,
  rangeOf,
  widthOf,
} from "../packet/address.ts";
import { type Packet, PROTOCOLS } from "../packet/packet.ts";
import type { Moment } from "./rules.ts";
import { protocolOf } from "./protocols.ts";
import { negate, type Truth, unknown } from "./truth.ts";

/** Sets in a list of sets; the kernel allows one level. */
const NESTED_MAX = 2;
/** Addresses that an entry given as a range may have. */
const RANGE_MAX = 65_536;

/** What an entry, or a packet, has in one dimension of a set. */
type Kind = "ip" | "net" | "port" | "mac" | "mark" | "iface" | "set";

/** An entry's own words. */
interface Entry {
  readonly nomatch: boolean;
  readonly mark: number | undefined;
}

interface ReadSet {
  readonly kinds: readonly Kind[];
  readonly family: Family | undefined;
  readonly options: ReadonlyMap<string, string>;
  /** By the entry's key. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** Which lengths of prefixes there are, one for each dimension, longest first. */
  readonly lengths: readonly (readonly number[])[];
  readonly members: readonly string[];
  /** Entries that make no sense, or what the set has that is not known. */
  readonly damage: string | undefined;
}

/** Which of the packet's ends each dimension takes. */
export type Directions = readonly ("src" | "dst")[];

/** All sets of a namespace; each is read when a packet is looked for in it. */
export class Ipsets {
  readonly #lines = new Map<string, { readonly create: string; readonly adds: string[] }>();
  readonly #read = new Map<string, ReadSet | string>();
  readonly #absent: string | undefined;

  /** Of the text; undefined with the reason why there is none. */
  constructor(text: string | undefined, because = "the snapshot has no ipsets") {
    this.#absent = text === undefined ? because : undefined;
    for (const line of (text ?? "").split("\n")) {
      const [verb, name] = line.split(" ", 2);
      if (name === undefined) continue;
      if (verb === "create") this.#lines.set(name, { create: line, adds: [] });
      else if (verb === "add") this.#lines.get(name)?.adds.push(line);
    }
  }

  /** Whether a set has the packet, as `--match-set` asks. */
  has(name: string, directions: Directions, moment: Moment, nomatch = false): Truth {
    const found = this.find(name, directions, moment, 0, nomatch);
    if (found === undefined) return false;
    return "nomatch" in found ? true : found;
  }

  /**
   * The packet's entry; undefined if there is none. Sets of networks may have some that are none,
   * and those alone are asked for by `nomatch`, which means nothing to other sets.
   */
  find(
    name: string,
    directions: Directions,
    moment: Moment,
    depth = 0,
    nomatch = false,
  ): Entry | Extract<Truth, object> | undefined {
    const set = this.#set(name);
    if (typeof set === "string") return unknown(set);
    if (set.kinds[0] === "set") return this.#member(set, directions, moment, depth, nomatch);
    if (set.family !== undefined && set.family !== moment.packet.source.family) return undefined;
    if (directions.length < set.kinds.length) return undefined;
    const parts: (Part | undefined)[] = set.kinds.map((kind, at) =>
      partOf(kind, directions[at] ?? "src", moment, set)
    );
    let unsure: string | undefined;
    for (const lengths of set.lengths) {
      const keys = parts.map((part, at) => part?.key(lengths[at] ?? 0));
      if (keys.some((key) => key === undefined)) continue;
      if (keys.includes("?")) {
        unsure = `what set "${name}" asks of the packet is not known`;
        continue;
      }
      const entry = set.entries.get(keys.join(","));
      if (entry !== undefined) {
        return entry.nomatch === (nomatch && set.kinds.includes("net")) ? entry : undefined;
      }
    }
    const because = set.entries.size > 0 ? unsure ?? set.damage : set.damage;
    return because === undefined ? undefined : unknown(because);
  }

  #member(
    { members, damage }: ReadSet,
    directions: Directions,
    moment: Moment,
    depth: number,
    nomatch: boolean,
  ): Entry | Extract<Truth, object> | undefined {
    if (depth >= NESTED_MAX) return unknown("sets are in each other");
    let doubt: Extract<Truth, object> | undefined = damage === undefined
      ? undefined
      : unknown(damage);
    for (const member of members) {
      const found = this.find(member, directions, moment, depth + 1, nomatch);
      if (found === undefined) continue;
      if ("nomatch" in found) return found;
      doubt ??= found;
    }
    return doubt;
  }

  #set(name: string): ReadSet | string {
    const known = this.#read.get(name);
    if (known !== undefined) return known;
    const lines = this.#lines.get(name);
    const set = lines === undefined
      ? this.#absent ?? `set "${name}" is not in the snapshot`
      : readSet(name, lines.create, lines.adds);
    this.#read.set(name, set);
    return set;
  }
}

/** A packet's part of the key, by the length of the prefix; undefined if it cannot be in. */
interface Part {
  key(length: number): string | undefined;
}

function partOf(
  kind: Kind,
  direction: "src" | "dst",
  { packet, around }: Moment,
  set: ReadSet,
): Part | undefined {
  const source = direction === "src";
  const fixed = (key: string | undefined): Part => ({ key: () => key });
  switch (kind) {
    case "ip":
    case "net": {
      const address = source ? packet.source : packet.destination;
      const netmask = Number(set.options.get("netmask") ?? widthOf(address.family));
      return {
        key: (length) => addressKey(address, kind === "ip" ? Math.min(length, netmask) : length),
      };
    }
    case "port":
      return fixed(portKey(packet, source, set.kinds.length === 1));
    case "mark": {
      const mask = Number(set.options.get("markmask") ?? 0xffffffff);
      return fixed(`${(packet.mark & mask) >>> 0}`);
    }
    case "mac":
      return fixed((source ? packet.sourceMac : packet.destinationMac)?.toLowerCase() ?? "?");
    case "iface": {
      const name = source ? around.inDevice : around.outDevice;
      const port = source ? around.bridgePortIn : around.bridgePortOut;
      return {
        // The length says which form of device an entry has: by name, by wildcard, by bridge port.
        key: (length) => {
          if (length < 0) return port === undefined ? undefined : `physdev:${port}`;
          if (name === undefined || name === "") return undefined;
          return length === IFACE_EXACT ? name : `${name.slice(0, length)}*`;
        },
      };
    }
    default:
      return undefined;
  }
}

/** Devices by their whole name; other lengths are of names that are meant as beginnings. */
const IFACE_EXACT = 1_000;

function addressKey({ family, bits }: Address, length: number): string {
  return `${(bits & maskOf(family, length)).toString(36)}/${length}`;
}

function portKey(packet: Packet, source: boolean, alone: boolean): string | undefined {
  const { protocol } = packet;
  // Sets of ports alone know no others (`ip_set_get_ip_port`).
  const ported: readonly number[] = alone
    ? [PROTOCOLS.tcp, PROTOCOLS.udp]
    : [PROTOCOLS.tcp, PROTOCOLS.udp, PROTOCOLS.sctp, PROTOCOLS.udplite];
  if (ported.includes(protocol)) {
    const port = source ? packet.sourcePort : packet.destinationPort;
    if (port === undefined) return "?";
    return alone ? `${port}` : `${protocol}:${port}`;
  }
  if (alone) return undefined;
  if (protocol === PROTOCOLS.icmp || protocol === PROTOCOLS.icmpv6) {
    return packet.icmp === undefined
      ? "?"
      : `${protocol}:${packet.icmp.type * 256 + packet.icmp.code}`;
  }
  return `${protocol}:0`;
}

function readSet(name: string, create: string, adds: readonly string[]): ReadSet {
  const [, , type = "", ...words] = create.split(/\s+/);
  const options = new Map<string, string>();
  words.forEach((word, at) => options.set(word, words[at + 1] ?? ""));
  const kinds = kindsOf(type);
  const inet: Family = options.get("family") === "inet6" ? 6 : 4;
  const addressed = kinds?.some((kind) => kind === "ip" || kind === "net") ?? false;
  const family = addressed ? inet : undefined;
  const entries = new Map<string, Entry>();
  const lengths = new Map<string, readonly number[]>();
  const members: string[] = [];
  let damage = kinds === undefined ? `set "${name}" is of the unknown type "${type}"` : undefined;
  const netmask = Number(options.get("netmask") ?? widthOf(inet));
  if (options.has("bitmask") || !(Number.isInteger(netmask) && netmask <= widthOf(inet))) {
    damage = `set "${name}" has a mask that podskoop does not know`;
  }
  for (const line of damage === undefined ? adds : []) {
    const [, , element = "", ...own] = line.split(" ");
    if (kinds?.[0] === "set") {
      members.push(element);
      continue;
    }
    const wildcard = beforeComment(own).includes("wildcard");
    const keys = keysOf(element.split(","), kinds ?? [], options, wildcard);
    if (keys === undefined) {
      damage ??= `set "${name}" has an entry that makes no sense: "${element.slice(0, 80)}"`;
      continue;
    }
    const mark = /^(0x[0-9a-f]+)/i.exec(own[own.indexOf("skbmark") + 1] ?? "")?.[1];
    const entry = {
      nomatch: beforeComment(own).includes("nomatch"),
      mark: own.includes("skbmark") && mark !== undefined ? Number(mark) : undefined,
    };
    for (const { key, length } of keys) {
      entries.set(key, entry);
      lengths.set(length.join(), length);
    }
  }
  const sorted = [...lengths.values()].sort(byLength);
  return { kinds: kinds ?? [], family, options, entries, lengths: sorted, members, damage };
}

/** A comment may say anything. */
function beforeComment(words: readonly string[]): readonly string[] {
  const start = words.indexOf("comment");
  if (start < 0) return words;
  const end = words.findLastIndex((word) => word.endsWith('"'));
  return [...words.slice(0, start), ...words.slice(end + 1)];
}

function byLength(one: readonly number[], other: readonly number[]): number {
  const at = one.findIndex((length, index) => length !== other[index]);
  return (other[at] ?? 0) - (one[at] ?? 0);
}

function kindsOf(type: string): Kind[] | undefined {
  const [, method, list = ""] = /^(hash|bitmap|list):([a-z,]+)$/.exec(type) ?? [];
  if (method === undefined) return undefined;
  const kinds: Kind[] = [];
  for (const word of list.split(",")) {
    const kind = KINDS.find((each) => each === word);
    if (kind === undefined) return undefined;
    kinds.push(kind);
  }
  return kinds;
}

const KINDS: readonly Kind[] = ["ip", "net", "port", "mac", "mark", "iface", "set"];

interface EntryKey {
  readonly key: string;
  readonly length: readonly number[];
}

/** The keys of an entry: several if an address is given as a range. */
function keysOf(
  texts: readonly string[],
  kinds: readonly Kind[],
  options: ReadonlyMap<string, string>,
  wildcard: boolean,
): EntryKey[] | undefined {
  if (texts.length !== kinds.length) return undefined;
  let keys: EntryKey[] = [{ key: "", length: [] }];
  for (const [at, kind] of kinds.entries()) {
    const own = dimension(kind, texts[at] ?? "", options, wildcard, kinds.length === 1);
    if (own === undefined || keys.length * own.length > RANGE_MAX) return undefined;
    keys = keys.flatMap(({ key, length }) =>
      own.map((each) => ({
        key: at === 0 ? each.key : `${key},${each.key}`,
        length: [...length, each.length],
      }))
    );
  }
  return keys;
}

function dimension(
  kind: Kind,
  text: string,
  options: ReadonlyMap<string, string>,
  wildcard: boolean,
  alone: boolean,
): { readonly key: string; readonly length: number }[] | undefined {
  switch (kind) {
    case "ip":
    case "net":
      return addresses(text, kind === "ip" ? options.get("netmask") : undefined, kind);
    case "port": {
      const key = alone ? plainPorts(text) : protocolPort(text);
      return key?.map((each) => ({ key: each, length: 0 }));
    }
    case "mark":
      return /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text)
        ? [{ key: `${Number(text)}`, length: 0 }]
        : undefined;
    case "mac":
      return [{ key: text.toLowerCase(), length: 0 }];
    case "iface": {
      const key = wildcard ? `${text}*` : text;
      const length = text.startsWith("physdev:") ? -1 : wildcard ? text.length : IFACE_EXACT;
      return [{ key, length }];
    }
    default:
      return undefined;
  }
}

function addresses(
  text: string,
  netmask: string | undefined,
  kind: "ip" | "net",
): { readonly key: string; readonly length: number }[] | undefined {
  const [from = "", to] = text.split("-");
  const prefix = parsePrefix(from);
  if (prefix === undefined) return undefined;
  const width = widthOf(prefix.address.family);
  const length = netmask === undefined ? width : Number(netmask);
  if (kind === "net" && to === undefined) {
    return [{ key: addressKey(prefix.address, prefix.length), length: prefix.length }];
  }
  const [first, last] = to === undefined
    ? rangeOf(prefix)
    : [prefix.address, parseAddress(to) ?? prefix.address];
  const step = 1n << BigInt(width - length);
  if ((last.bits - first.bits) / step > BigInt(RANGE_MAX)) return undefined;
  const found = [];
  for (let bits = first.bits; bits <= last.bits; bits += step) {
    found.push({ key: addressKey({ ...first, bits }, length), length });
  }
  return found;
}

function plainPorts(text: string): string[] | undefined {
  const [, from, to] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (from === undefined) return undefined;
  const count = Number(to ?? from) - Number(from) + 1;
  return count > RANGE_MAX ? undefined : [...Array(Math.max(count, 0)).keys()]
    .map((at) => `${Number(from) + at}`);
}

function protocolPort(text: string): string[] | undefined {
  const [, name, rest = ""] = /^([a-z0-9-]+):(.+)$/i.exec(text) ?? [];
  const protocol = name === undefined ? undefined : protocolOf(name);
  if (protocol === undefined) return undefined;
  if (protocol === PROTOCOLS.icmp || protocol === PROTOCOLS.icmpv6) {
    const [, type, code] = /^(\d{1,3})\/(\d{1,3})$/.exec(rest) ?? [];
    const number = type === undefined
      ? ICMP_NAMES[`${protocol}:${rest}`]
      : Number(type) * 256 + Number(code);
    return number === undefined ? undefined : [`${protocol}:${number}`];
  }
  return plainPorts(rest)?.map((port) => `${protocol}:${port}`);
}

/** The ICMP types that `ipset` prints by name: type times 256, and code. */
const ICMP_NAMES: Readonly<Record<string, number>> = {
  ...{ "1:echo-reply": 0, "1:pong": 0, "1:network-unreachable": 768, "1:host-unreachable": 769 },
  ...{ "1:protocol-unreachable": 770, "1:port-unreachable": 771, "1:fragmentation-needed": 772 },
  ...{ "1:echo-request": 2048, "1:ping": 2048, "1:ttl-zero-during-transit": 2816 },
  ...{ "58:no-route": 256, "58:port-unreachable": 260, "58:packet-too-big": 512 },
  ...{ "58:echo-request": 32768, "58:ping": 32768, "58:echo-reply": 33024, "58:pong": 33024 },
  ...{ "58:router-solicitation": 34048, "58:router-advertisement": 34304 },
  ...{ "58:neighbour-solicitation": 34560, "58:neighbour-advertisement": 34816 },
};

/** A `--match-set` by its values: the set's name and its directions. */
export function matchSet(
  sets: Ipsets,
  values: readonly string[],
  negated: boolean,
  nomatch: boolean,
): ((moment: Moment) => Truth) | undefined {
  const [name, list, ...more] = values;
  const directions = directionsOf(list);
  if (name === undefined || directions === undefined || more.length > 0) return undefined;
  return (moment) => negate(sets.has(name, directions, moment, nomatch), negated);
}

/** `src,dst` as a list. */
export function directionsOf(text: string | undefined): Directions | undefined {
  const words = text?.split(",") ?? [];
  const directions: ("src" | "dst")[] = [];
  for (const word of words) {
    if (word !== "src" && word !== "dst") return undefined;
    directions.push(word);
  }
  return directions.length === 0 ? undefined : directions;
}
