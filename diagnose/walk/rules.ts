/**
 * The rules of policy routing: which tables a packet is looked up in, and in which order.
 *
 * @module
 */
import {
  type Address,
  type Family,
  inPrefix,
  parseAddress,
  type Prefix,
  widthOf,
} from "../packet/address.ts";
import { PROTOCOLS } from "../packet/packet.ts";
import type { NamespaceSnapshot } from "../snapshot/format.ts";
import { TABLE } from "./routes.ts";

/** What a lookup is made for: `struct flowi` of the kernel, where that is known. */
export interface Flow {
  readonly source?: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly tos: number;
  readonly mark: number;
  readonly uid?: number;
  /** The device that it came by; `lo` for what this namespace sends. */
  readonly inDevice: string;
  /** The device that it must leave by. */
  readonly outDevice?: string;
  /** The VRF that the device is in. */
  readonly vrf?: { readonly device: string; readonly table: number };
}

/** What a rule does with a packet that it fits. */
export type Action =
  | { readonly does: "lookup"; readonly table: number }
  | { readonly does: "goto"; readonly priority: number }
  | { readonly does: "nothing" | "blackhole" | "unreachable" | "prohibit" };

/** A rule. */
export interface Rule {
  readonly family: Family;
  readonly priority: number;
  readonly action: Action;
  /** Results with a prefix that is no longer are passed over. */
  readonly suppressLength?: number;
  /** So are results over devices of this group. */
  readonly suppressGroup?: number;
  readonly text: string;
  fits(flow: Flow): boolean | undefined;
}

type Given = NonNullable<NamespaceSnapshot["rules"]>[number];

/** `FR_ACT_…` of `include/uapi/linux/fib_rules.h`, as `ip -N` prints them, and by name. */
const ACTIONS: Readonly<Record<string, "blackhole" | "unreachable" | "prohibit" | "nothing">> = {
  3: "nothing",
  6: "blackhole",
  7: "unreachable",
  8: "prohibit",
  nop: "nothing",
  blackhole: "blackhole",
  unreachable: "unreachable",
  prohibit: "prohibit",
};

/** What the kernel has where nobody changed anything. */
export function defaultRules(family: Family): readonly Rule[] {
  const rule = (priority: number, table: number, name: string): Rule => ({
    family,
    priority,
    action: { does: "lookup", table },
    text: `${priority}: from all lookup ${name}`,
    fits: () => true,
  });
  return [
    rule(0, TABLE.local, "local"),
    rule(32766, TABLE.main, "main"),
    ...(family === 4 ? [rule(32767, TABLE.default, "default")] : []),
  ];
}

/** A rule from what `ip -N -d -j rule` says. */
export function ruleOf(given: Given): Rule {
  const family = given.family === "inet" ? 4 : 6;
  const suppress = given["suppress_prefixlen"] ?? given["suppress_prefixlength"];
  const group = groupOf(given["suppress_ifgroup"]);
  const fits = selectors(given, family);
  if (given["suppress_ifgroup"] !== undefined && group === undefined) fits.push(() => undefined);
  const negated = given.not !== undefined;
  return {
    family,
    priority: given.priority,
    action: actionOf(given),
    ...(typeof suppress === "number" ? { suppressLength: suppress } : {}),
    ...(group === undefined ? {} : { suppressGroup: group }),
    text: textOf(given),
    fits(flow) {
      let unknown = false;
      for (const each of fits) {
        const known = each(flow);
        if (known === false) return negated;
        if (known === undefined) unknown = true;
      }
      return unknown ? undefined : !negated;
    },
  };
}

function actionOf(given: Given): Action {
  if (given.goto !== undefined) {
    const priority = Number(given.goto);
    // Where its target is gone, such a rule does nothing.
    return Number.isFinite(priority) ? { does: "goto", priority } : { does: "nothing" };
  }
  if ("nop" in given) return { does: "nothing" };
  const named = given.action === undefined ? undefined : ACTIONS[given.action];
  if (named !== undefined) return { does: named };
  if (given.table === undefined && "l3mdev" in given) return { does: "lookup", table: 0 };
  return { does: "lookup", table: Number(given.table ?? TABLE.main) };
}

type Selector = (flow: Flow) => boolean | undefined;

/** A device's group by its number; only one has a name wherever `ip` runs. */
function groupOf(value: unknown): number | undefined {
  if (value === "default") return 0;
  return typeof value === "string" && /^\d+$/.test(value) ? Number(value) : undefined;
}

/** All that `ip` prints of a rule and that is judged here, or decides of nothing. */
const KNOWN: readonly string[] = [
  ...["family", "priority", "src", "srclen", "dst", "dstlen", "not", "fwmark", "fwmask", "iif"],
  ...["iif_detached", "oif", "oif_detached", "table", "goto", "unresolved", "nop", "action", "tos"],
  ...["dsfield", "l3mdev", "ipproto", "sport", "sport_start", "sport_end", "dport", "dport_start"],
  ...["dport_end", "uid", "uid_start", "uid_end", "tun_id", "suppress_prefixlen", "protocol"],
  ...["suppress_prefixlength", "suppress_ifgroup", "flow_from", "flow_to"],
];

function selectors(given: Given, family: Family): Selector[] {
  const found: Selector[] = [];
  const from = prefixOf(given.src, given.srclen, family);
  if (from !== undefined) {
    found.push(({ source }) => source === undefined ? false : inPrefix(source, from));
  }
  const to = given.dst === undefined ? undefined : prefixOf(given.dst, given.dstlen, family);
  if (to !== undefined) found.push(({ destination }) => inPrefix(destination, to));
  if (given.fwmark !== undefined) {
    const mask = given.fwmask === undefined ? 0xffffffff : Number(given.fwmask);
    const value = Number(given.fwmark);
    found.push(({ mark }) => ((mark ^ value) & mask) === 0);
  }
  const { iif, oif } = given;
  if (iif !== undefined) found.push(({ inDevice, vrf }) => inDevice === iif || vrf?.device === iif);
  if (oif !== undefined) {
    found.push(({ outDevice, vrf }) => outDevice === oif || vrf?.device === oif);
  }
  const tos = given["tos"] ?? given["dsfield"];
  if (tos !== undefined) found.push((flow) => (flow.tos & 0xfc) === (Number(tos) & 0xfc));
  if ("l3mdev" in given) found.push(({ vrf }) => vrf !== undefined);
  const protocol = protocolOf(given["ipproto"]);
  if (protocol !== undefined) found.push((flow) => flow.protocol === protocol);
  for (const [name, port] of [["sport", "sourcePort"], ["dport", "destinationPort"]] as const) {
    const range = rangeOf(given, name);
    if (range !== undefined) found.push((flow) => within(flow[port] ?? 0, range));
  }
  const uids = rangeOf(given, "uid");
  if (uids !== undefined) {
    found.push(({ uid }) => uid === undefined ? undefined : within(uid, uids));
  }
  if (given["tun_id"] !== undefined) found.push(() => undefined);
  if (Object.keys(given).some((key) => !KNOWN.includes(key))) found.push(() => undefined);
  return found;
}

function prefixOf(text: string, length: number | undefined, family: Family): Prefix | undefined {
  if (text === "all" || text === "any" || text === "default") return undefined;
  const address = parseAddress(text);
  return address === undefined ? undefined : { address, length: length ?? widthOf(family) };
}

function protocolOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return undefined;
  const digits = /(\d+)$/.exec(value)?.[1];
  if (digits !== undefined) return Number(digits);
  const known: Readonly<Record<string, number>> = PROTOCOLS;
  return known[value];
}

function rangeOf(given: Given, name: string): readonly [number, number] | undefined {
  const one = given[name];
  if (one !== undefined) return [Number(one), Number(one)];
  const start = given[`${name}_start`];
  return start === undefined ? undefined : [Number(start), Number(given[`${name}_end`] ?? start)];
}

function within(value: number, [low, high]: readonly [number, number]): boolean {
  return value >= low && value <= high;
}

const PLAIN = [
  ...["fwmark", "iif", "oif", "tos", "ipproto", "sport", "dport", "uid_start", "uid_end"],
  ...["sport_start", "sport_end", "dport_start", "dport_end", "suppress_prefixlen", "goto"],
];

function textOf(given: Given): string {
  const words = [`${given.priority}:`, ...(given.not === undefined ? [] : ["not"]), "from"];
  words.push(given.srclen === undefined ? given.src : `${given.src}/${given.srclen}`);
  if (given.dst !== undefined) {
    words.push("to", given.dstlen === undefined ? given.dst : `${given.dst}/${given.dstlen}`);
  }
  for (const name of PLAIN) {
    if (given[name] !== undefined) words.push(name, String(given[name]));
  }
  if (given.fwmask !== undefined) words.push("fwmask", given.fwmask);
  if ("l3mdev" in given) words.push("l3mdev");
  const action = given.action === undefined ? undefined : ACTIONS[given.action] ?? given.action;
  if (action !== undefined) words.push(action);
  else if (given.table !== undefined) words.push("lookup", given.table);
  return words.join(" ");
}
