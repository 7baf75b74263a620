/**
 * A namespace's routing tables, looked up as the kernel does: the longest prefix first, and in it
 * by type of service and metric.
 *
 * @module
 */
import {
  type Address,
  type Family,
  formatPrefix,
  inPrefix,
  maskOf,
  parseAddress,
  parsePrefix,
  type Prefix,
  widthOf,
} from "../packet/address.ts";
import type { NamespaceSnapshot } from "../snapshot/format.ts";
import { SCOPE, scopeOf } from "./device.ts";

/** One way that a route leads. */
export interface Hop {
  readonly device?: string;
  readonly gateway?: Address;
  readonly weight: number;
  readonly onlink: boolean;
  readonly dead: boolean;
  readonly linkdown: boolean;
  /** What packets are put into, as `ip route` says it: `mpls`, `seg6`, `ip`. */
  readonly encap?: string;
}

/** A route. */
export interface Route {
  readonly family: Family;
  /** `unicast`, `local`, `broadcast`, `blackhole`, … */
  readonly type: string;
  readonly prefix: Prefix;
  readonly from?: Prefix;
  readonly table: number;
  readonly metric: number;
  readonly scope: number;
  readonly tos: number;
  readonly source?: Address;
  readonly mtu?: number;
  readonly hops: readonly Hop[];
  /** As `ip route` prints it. */
  readonly text: string;
}

/** Numbers of tables that every namespace has. */
export const TABLE = { default: 253, main: 254, local: 255 } as const;

type Given = NonNullable<NamespaceSnapshot["routes"]>[number];
type GivenNexthop = NonNullable<NamespaceSnapshot["nexthops"]>[number];

/** The tables of one namespace. */
export class Routes {
  readonly #tables = new Map<string, Table>();
  /** Of all tables, in the snapshot's order. */
  readonly all: readonly Route[];

  constructor(routes: readonly Given[], nexthops: readonly GivenNexthop[]) {
    const objects = new Map(nexthops.map((each) => [each.id, each]));
    this.all = routes.flatMap((given) => routeOf(given, objects));
    for (const route of this.all) {
      const key = `${route.family} ${route.table}`;
      const table = this.#tables.get(key) ?? new Table(route.family);
      this.#tables.set(key, table);
      table.add(route);
    }
    for (const table of this.#tables.values()) table.sort();
  }

  /** The routes of a table that have the address, in the order in which the kernel tries them. */
  *candidates(table: number, destination: Address): Generator<Route> {
    yield* this.#tables.get(`${destination.family} ${table}`)?.candidates(destination) ?? [];
  }

  /** Numbers of the tables that have routes of a family. */
  tables(family: Family): readonly number[] {
    return [...this.#tables.keys()].filter((key) => key.startsWith(`${family} `))
      .map((key) => Number(key.slice(2)));
  }
}

/** Routes by length and network, so that a lookup costs as many steps as there are lengths. */
class Table {
  readonly #byLength = new Map<number, Map<bigint, Route[]>>();
  #lengths: readonly number[] = [];

  constructor(readonly family: Family) {}

  add(route: Route): void {
    const { length, address } = route.prefix;
    const networks = this.#byLength.get(length) ?? new Map<bigint, Route[]>();
    this.#byLength.set(length, networks);
    const network = address.bits & maskOf(this.family, length);
    const routes = networks.get(network) ?? [];
    networks.set(network, routes);
    routes.push(route);
  }

  sort(): void {
    this.#lengths = [...this.#byLength.keys()].sort((a, b) => b - a);
    for (const networks of this.#byLength.values()) {
      for (const routes of networks.values()) {
        routes.sort((a, b) =>
          (b.from?.length ?? 0) - (a.from?.length ?? 0) || b.tos - a.tos || a.metric - b.metric
        );
      }
    }
  }

  *candidates(destination: Address): Generator<Route> {
    for (const length of this.#lengths) {
      const network = destination.bits & maskOf(this.family, length);
      yield* this.#byLength.get(length)?.get(network) ?? [];
    }
  }
}

function routeOf(given: Given, objects: ReadonlyMap<number, GivenNexthop>): Route[] {
  const family = given.family === "inet" ? 4 : 6;
  const prefix = prefixOf(given.dst, family);
  if (prefix === undefined) return [];
  const from = given.from === undefined ? undefined : prefixOf(given.from, family);
  const source = given.prefsrc === undefined ? undefined : parseAddress(given.prefsrc);
  const mtu = given.metrics?.map(({ mtu }) => mtu).find((each) => typeof each === "number");
  const tos = Number(given["tos"] ?? 0);
  return [{
    family,
    type: given.type,
    prefix,
    ...(from === undefined || from.length === 0 ? {} : { from }),
    table: Number(given.table),
    metric: given.metric ?? 0,
    scope: scopeOf(given.scope),
    tos: Number.isFinite(tos) ? tos : 0,
    ...(source === undefined ? {} : { source }),
    ...(typeof mtu === "number" ? { mtu } : {}),
    hops: hopsOf(given, objects),
    text: textOf(given, prefix),
  }];
}

function prefixOf(text: string, family: Family): Prefix | undefined {
  if (text !== "default" && text !== "all") return parsePrefix(text);
  return { address: { family, bits: 0n }, length: 0 };
}

interface GivenHop {
  readonly gateway?: string;
  readonly via?: { readonly host: string };
  readonly dev?: string;
  readonly weight?: number;
  readonly flags?: readonly string[];
  readonly encap?: unknown;
}

function hopsOf(given: Given, objects: ReadonlyMap<number, GivenNexthop>): Hop[] {
  if (given.nexthops !== undefined) return given.nexthops.map((each) => hopOf(each));
  const object = given.nhid === undefined ? undefined : objects.get(given.nhid);
  if (object?.group !== undefined) {
    return object.group.flatMap(({ id, weight }) => {
      const member = objects.get(id);
      return member === undefined ? [] : [hopOf({ ...member, weight: weight ?? 1 })];
    });
  }
  if (given.dev === undefined && object !== undefined) return [hopOf(object)];
  return [hopOf(given)];
}

function hopOf({ gateway, via, dev, weight, flags = [], encap }: GivenHop): Hop {
  const address = parseAddress(gateway ?? via?.host ?? "");
  return {
    ...(dev === undefined ? {} : { device: dev }),
    ...(address === undefined ? {} : { gateway: address }),
    weight: weight ?? 1,
    onlink: flags.includes("onlink"),
    dead: flags.includes("dead"),
    linkdown: flags.includes("linkdown"),
    ...(encap === undefined ? {} : { encap: String(encap) }),
  };
}

function textOf(given: Given, prefix: Prefix): string {
  const destination = prefix.length === 0
    ? "default"
    : prefix.length === widthOf(prefix.address.family)
    ? formatPrefix(prefix).replace(/\/\d+$/, "")
    : formatPrefix(prefix);
  const words = [...(given.type === "unicast" ? [] : [given.type]), destination];
  if (given.from !== undefined) words.push("from", given.from);
  for (const hop of [given, ...given.nexthops ?? []]) {
    if (hop !== given) words.push("nexthop");
    if (hop.gateway !== undefined) words.push("via", hop.gateway);
    if (hop.via !== undefined) words.push("via", hop.via.family, hop.via.host);
    if (hop.dev !== undefined) words.push("dev", hop.dev);
    words.push(...(hop.flags ?? []).filter((flag) => flag !== "pervasive"));
  }
  const table = TABLE_NAMES[given.table] ?? given.table;
  if (table !== "main") words.push("table", table);
  if (given.scope !== undefined && scopeOf(given.scope) === SCOPE.link) words.push("scope", "link");
  if (given.prefsrc !== undefined) words.push("src", given.prefsrc);
  if (given.metric !== undefined && given.metric > 0) words.push("metric", String(given.metric));
  return words.join(" ");
}

const TABLE_NAMES: Readonly<Record<string, string>> = {
  253: "default",
  254: "main",
  255: "local",
};

/** A table as `ip` names it. */
export function tableName(table: number): string {
  return TABLE_NAMES[String(table)] ?? String(table);
}

/** Whether a route can be taken from this source, as far as the route says. */
export function fromFits(route: Route, source: Address | undefined): boolean {
  return route.from === undefined || (source !== undefined && inPrefix(source, route.from));
}
