/**
 * Route lookup: the policy's rules in their order, and the tables that they name.
 *
 * Sources: the kernel's `fib_rules_lookup`, `fib_table_lookup`, `fib6_table_lookup`.
 *
 * @module
 */
import { type Address, type Family, widthOf } from "../packet/address.ts";
import type { Namespace } from "./namespace.ts";
import { fromFits, type Hop, type Route, TABLE } from "./routes.ts";
import type { Flow, Rule } from "./rules.ts";

/** What a lookup found. */
export type Found =
  | {
    readonly found: "route";
    readonly route: Route;
    readonly rule: Rule;
    readonly hops: readonly Hop[];
  }
  | { readonly found: "refusal"; readonly type: Refusal; readonly text: string }
  | { readonly found: "nothing"; readonly passed: readonly string[] }
  | { readonly found: "unknown"; readonly text: string };

/** How a route or rule refuses a packet. */
export type Refusal = "blackhole" | "unreachable" | "prohibit";

const REFUSALS: readonly string[] = ["blackhole", "unreachable", "prohibit"] satisfies Refusal[];

function refusalOf(type: string): Refusal | undefined {
  if (!REFUSALS.includes(type)) return undefined;
  return type === "blackhole" || type === "unreachable" ? type : "prohibit";
}

/** Looks a destination up as the kernel would. */
export function lookup(namespace: Namespace, flow: Flow): Found {
  const family = flow.destination.family;
  const rules = namespace.rules.filter((rule) => rule.family === family);
  const passed: string[] = [];
  let from = 0;
  for (const rule of rules) {
    if (rule.priority < from) continue;
    const fits = rule.fits(flow);
    if (fits === false) continue;
    const { action } = rule;
    if (action.does === "nothing") continue;
    if (fits === undefined) {
      return { found: "unknown", text: `whether the rule "${rule.text}" fits is not known` };
    }
    if (action.does === "goto") {
      from = Math.max(from, action.priority);
      continue;
    }
    if (action.does !== "lookup") {
      return { found: "refusal", type: action.does, text: `rule ${rule.text}` };
    }
    const table = action.table === 0 ? flow.vrf?.table ?? 0 : action.table;
    const one = inTable(namespace, table, flow, passed);
    if (one === undefined) continue;
    if ("unknown" in one) return { found: "unknown", text: one.unknown };
    if ("type" in one) return { found: "refusal", type: one.type, text: `route ${one.text}` };
    if (suppresses(namespace, rule, one.route)) {
      passed.push(`${one.route.text} (suppressed by rule ${rule.text})`);
      continue;
    }
    return { found: "route", route: one.route, rule, hops: one.hops };
  }
  return { found: "nothing", passed };
}

/** Whether a rule passes over what its table has, by the prefix's length or the device's group. */
function suppresses(
  namespace: Namespace,
  { suppressLength, suppressGroup }: Rule,
  { prefix, hops: [first] }: Route,
): boolean {
  if (suppressLength !== undefined && prefix.length <= suppressLength) return true;
  const group = namespace.device(first?.device)?.group;
  return suppressGroup !== undefined && group === suppressGroup;
}

type InTable =
  | { readonly unknown: string }
  | { readonly route: Route; readonly hops: readonly Hop[] }
  | { readonly type: Refusal; readonly text: string }
  | undefined;

function inTable(namespace: Namespace, table: number, flow: Flow, passed: string[]): InTable {
  for (const route of namespace.routes.candidates(table, flow.destination)) {
    if (route.tos !== 0 && route.tos !== (flow.tos & 0xfc)) continue;
    if (!fromFits(route, flow.source)) continue;
    if (route.type === "throw") return undefined;
    const type = refusalOf(route.type);
    if (type !== undefined) return { type, text: route.text };
    const hops = route.hops.filter((hop) => usable(namespace, flow, hop));
    const encap = hops.find((hop) => hop.encap !== undefined)?.encap;
    if (encap !== undefined) {
      const text = `the route ${route.text} puts it into others (encap ${encap})`;
      return { unknown: `${text}, which is not walked` };
    }
    if (hops.length > 0) return { route, hops };
    passed.push(route.text);
  }
  return undefined;
}

function usable(namespace: Namespace, flow: Flow, hop: Hop): boolean {
  if (hop.dead) return false;
  const { family } = flow.destination;
  if (hop.linkdown && hop.device !== undefined) {
    const ignored = family === 4
      ? namespace.most(4, hop.device, "ignore_routes_with_linkdown")
      : namespace.own(6, hop.device, "ignore_routes_with_linkdown");
    if (ignored > 0) return false;
  }
  const out = flow.outDevice;
  if (out === undefined || hop.device === out) return true;
  return flow.vrf?.device === out && namespace.vrf(namespace.device(hop.device))?.device === out;
}

/** Addresses that a packet can never be sent to as one host's. */
export function isMulticast({ family, bits }: Address): boolean {
  return family === 4 ? bits >> 28n === 0xen : bits >> 120n === 0xffn;
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback({ family, bits }: Address): boolean {
  return family === 4 ? bits >> 24n === 127n : bits === 1n;
}

/** 0.0.0.0/8, of which nothing is anyone's; or the unspecified address. */
export function isZero({ family, bits }: Address): boolean {
  return family === 4 ? bits >> 24n === 0n : bits === 0n;
}

/** 255.255.255.255. */
export function isLimitedBroadcast({ family, bits }: Address): boolean {
  return family === 4 && bits === 0xffffffffn;
}

/** fe80::/10, and in IPv4 169.254.0.0/16, which has no meaning for routing. */
export function isLinkLocal({ family, bits }: Address): boolean {
  return family === 6 && bits >> 118n === 0x3fan;
}

/**
 * The kind of an address by the local table: what `addrtype` and `fib` ask. Empty where the routes
 * are not known.
 */
export function addressType(namespace: Namespace, address: Address, device?: string): string {
  if (namespace.snapshot.routes === undefined) return "";
  const { family } = address;
  if (family === 4 && (isZero(address) || isLimitedBroadcast(address))) return "broadcast";
  if (isMulticast(address)) return "multicast";
  const tables = family === 4 ? [TABLE.local] : [TABLE.local, TABLE.main];
  for (const table of tables) {
    for (const route of namespace.routes.candidates(table, address)) {
      if (device !== undefined && !route.hops.some((hop) => hop.device === device)) break;
      return route.type;
    }
  }
  return family === 4 ? "unicast" : "unreachable";
}

/** Whether a namespace has the address as its own, by its local table. */
export function isLocal(namespace: Namespace, address: Address): boolean {
  for (const route of namespace.routes.candidates(TABLE.local, address)) {
    return route.type === "local";
  }
  return false;
}

/** Whether somebody changed the rules or put local routes elsewhere: then sources are looked up. */
export function customised(namespace: Namespace, family: Family): boolean {
  const rules = namespace.rules.filter((rule) => rule.family === family);
  if (rules.some(({ priority }) => ![0, 32766, 32767].includes(priority))) return true;
  if (rules.length !== (family === 4 ? 3 : 2)) return true;
  return namespace.routes.all.some((route) =>
    route.family === family && route.type === "local" &&
    (route.table !== TABLE.local ||
      route.prefix.length === widthOf(family) &&
        namespace.owner(route.prefix.address) === undefined)
  );
}
