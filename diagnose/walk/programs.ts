/**
 * Programs and filters on devices: XDP, tcx, and what hangs on `clsact`. What a program does nobody
 * can tell by looking at it; a few plain filters are decided.
 *
 * @module
 */
import { inPrefix, parsePrefix } from "../packet/address.ts";
import { type Packet, PROTOCOLS } from "../packet/packet.ts";
import type { Filter } from "../snapshot/parts.ts";
import { shellWord } from "./command.ts";
import type { Namespace } from "./namespace.ts";
import type { Place } from "./network.ts";
import type { Cause, Evidence } from "./trail.ts";

/** What becomes of a packet at a device's programs and filters. */
export interface Met {
  readonly assumptions: readonly string[];
  /** Why it gets no further, or why that is not known. */
  readonly stopped?: { readonly cause: Cause; readonly unknown: boolean };
}

/** Of data planes that take packets past the kernel's own: Cilium's and Calico's programs. */
const DATA_PLANES = /^(cil_|cali_tc|calico_tc)/;

const NOTHING: Met = { assumptions: [] };

/** Asks what is on a device's way in or out. */
export function met(way: "in" | "out", place: Place, packet: Packet): Met {
  const { namespace, device } = place;
  const assumptions: string[] = [];
  for (const { name, hook } of programsOf(namespace, device.name, way)) {
    const text = `the program ${JSON.stringify(name)} (${hook} of "${device.name}")`;
    if (DATA_PLANES.test(name)) {
      const what = `${text} takes it where the program's own tables say, which are not walked`;
      return { assumptions, stopped: unknownAt(place, what, text) };
    }
    assumptions.push(`${text} lets it pass`);
  }
  const direction = way === "in" ? "ingress" : "egress";
  const filters = (namespace.snapshot.filters ?? [])
    .filter((each) => each.dev === device.name && each.direction === direction)
    // Other chains are asked where an action leads to them, which is unknown.
    .filter((each) => (each["chain"] ?? 0) === 0);
  for (const filter of filters.toSorted((a, b) => (a.pref ?? 0) - (b.pref ?? 0))) {
    const does = actionOf(filter);
    if (does === "nothing") continue;
    const fits = does === undefined ? undefined : matches(filter, packet);
    const text = `${filter.kind} filter ${filter.pref ?? ""} (${direction} of "${device.name}")`;
    if (fits === false) continue;
    if (fits === undefined || does === "takes") {
      return {
        assumptions,
        stopped: unknownAt(place, `what the ${text} does is not walked`, text),
      };
    }
    if (does === "pass") break;
    return { assumptions, stopped: { unknown: false, cause: dropped(place, direction, text) } };
  }
  return assumptions.length === 0 ? NOTHING : { assumptions };
}

interface Attached {
  readonly name: string;
  readonly hook: string;
}

/** In the order in which the kernel runs them. */
function programsOf(namespace: Namespace, device: string, way: "in" | "out"): readonly Attached[] {
  const own = (namespace.snapshot.programs ?? []).filter(({ dev }) => dev === device);
  const on = (hook: string) => own.filter((each) => each.hook === hook);
  const side = way === "in" ? "ingress" : "egress";
  const found = [
    ...(way === "in"
      ? on("xdp").map((each) => ({ ...each, name: xdpName(namespace, device) }))
      : []),
    ...on(`tcx/${side}`),
    ...on(`clsact/${side}`),
  ];
  return found.map(({ hook, name, id }) => ({ hook, name: name ?? `number ${id ?? "?"}` }));
}

/** bpftool has only its number. */
function xdpName(namespace: Namespace, device: string): string | undefined {
  const xdp = namespace.device(device)?.link["xdp"];
  const program = member(xdp, "prog");
  const name = member(program, "name");
  return typeof name === "string" ? name : undefined;
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

function hasMember(value: unknown, name: string): boolean {
  return member(value, name) !== undefined;
}

/** What a filter does with what it matches; undefined where that is not known. */
function actionOf({ kind, options }: Filter): "drop" | "pass" | "takes" | "nothing" | undefined {
  // Programs are listed by themselves.
  if (kind === "bpf") return "nothing";
  const actions = options["actions"];
  if (!Array.isArray(actions) || actions.length === 0) return "nothing";
  for (const action of actions) {
    const control = member(member(action, "control_action"), "type");
    const name = member(action, "kind");
    if (name === "mirred") {
      if (member(action, "mirred_action") === "mirror") continue;
      return "takes";
    }
    if (name !== "gact" && name !== "skbedit" && name !== "police") return undefined;
    // A mark decides of routes and rules, a type of whom it is for.
    if (name === "skbedit" && (hasMember(action, "mark") || hasMember(action, "ptype"))) {
      return undefined;
    }
    if (control === "pipe" || control === "continue") continue;
    // With dice it is either.
    const dice = member(member(action, "prob"), "random_type") ?? "none";
    if (name === "gact" && dice === "none") {
      if (control === "drop" || control === "shot") return "drop";
      if (control === "pass" || control === "ok") return "pass";
    }
    return undefined;
  }
  return "nothing";
}

const FAMILIES: Readonly<Record<string, 4 | 6>> = { ip: 4, ipv4: 4, ipv6: 6 };

/** Whether a filter matches; undefined where that is not known. */
function matches({ kind, protocol, options }: Filter, packet: Packet): boolean | undefined {
  const { family } = packet.source;
  if (protocol !== undefined && protocol !== "all") {
    const wanted = FAMILIES[protocol];
    if (wanted !== family) return false;
  }
  if (kind === "matchall") return true;
  const keys = options["keys"];
  if (kind !== "flower" || typeof keys !== "object" || keys === null) return undefined;
  const all = Object.entries(keys).map(([key, value]) => keyFits(key, value, packet));
  if (all.includes(false)) return false;
  return all.includes(undefined) ? undefined : true;
}

/** One key of a flower filter. */
function keyFits(key: string, value: unknown, packet: Packet): boolean | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  switch (key) {
    case "eth_type":
      return FAMILIES[String(value)] === packet.source.family;
    case "ip_proto": {
      const number = Object.entries(PROTOCOLS).find(([name]) => name === value)?.[1];
      return number === undefined ? undefined : packet.protocol === number;
    }
    case "src_ip":
    case "dst_ip": {
      const prefix = parsePrefix(String(value));
      const end = key === "src_ip" ? packet.source : packet.destination;
      return prefix && inPrefix(end, prefix);
    }
    case "src_port":
      return portFits(packet.sourcePort, value);
    case "dst_port":
      return portFits(packet.destinationPort, value);
    default:
      return undefined;
  }
}

/** A port alone; of masks and ranges nothing is known. */
function portFits(port: number | undefined, value: string | number): boolean | undefined {
  return Number.isNaN(Number(value)) ? undefined : port === Number(value);
}

function evidence(text: string): readonly Evidence[] {
  return [{ kind: "device", text }];
}

function unknownAt({ namespace, device }: Place, what: string, text: string) {
  const cause: Cause = {
    id: "program-unknown",
    namespace,
    device: device.name,
    what,
    evidence: evidence(text),
    confirm: namespace.command("bpftool net"),
  };
  return { cause, unknown: true };
}

function dropped({ namespace, device }: Place, direction: string, text: string): Cause {
  return {
    id: "filter-drop",
    namespace,
    device: device.name,
    what: `the ${text} drops it`,
    evidence: evidence(text),
    confirm: namespace.command(`tc -s filter show dev ${shellWord(device.name)} ${direction}`),
    fix: namespace.command(`tc filter delete dev ${shellWord(device.name)} ${direction}`),
  };
}
