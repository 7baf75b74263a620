/**
 * Parsers of what the tools print: pure, each gives what its part's schema allows, or throws a
 * SyntaxError that says what is wrong.
 *
 * @module
 */
import * as v from "valibot";
import {
  fdbShape,
  type Filter,
  filterShape,
  type Link,
  linkShape,
  type Listener,
  neighbourShape,
  nexthopShape,
  type Program,
  programShape,
  qdiscShape,
  routeShape,
  ruleShape,
  vlanShape,
} from "./parts.ts";

/** As iproute2 calls them. */
export type Family = "inet" | "inet6";

/** Of a tool's text that goes into an error. */
const QUOTED_MAX = 80;

function nonsense(what: string, text: string, because: string): SyntaxError {
  const quoted = JSON.stringify(text.slice(0, QUOTED_MAX));
  return new SyntaxError(`Cannot parse ${what} ${quoted}: ${because}`);
}

/**
 * JSON as iproute2 writes it. It escapes an apostrophe, which JSON does not know, and leaves other
 * control characters in names as they are, which JSON forbids (`lib/json_writer.c`): a device named
 * so must not hide all the others.
 */
function json(what: string, text: string): unknown {
  if (text.trim() === "") return [];
  const mended = text
    .replace(/\\(.)/gs, (pair) => pair === "\\'" ? "'" : pair)
    .replace(
      /[^\P{Cc}\t\n\r]/gu,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  try {
    return JSON.parse(mended);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw nonsense(what, text, error.message);
  }
}

function list<S extends v.GenericSchema>(what: string, shape: S, value: unknown) {
  if (!Array.isArray(value)) throw nonsense(what, JSON.stringify(value), "it is no list");
  return value.filter((each) => !isEmpty(each)).map((each): v.InferOutput<S> => {
    const parsed = v.safeParse(shape, each);
    if (parsed.success) return parsed.output;
    const [issue] = parsed.issues;
    const path = v.getDotPath(issue) ?? "";
    throw nonsense(what, JSON.stringify(each), `"${path}": ${issue.message}`);
  });
}

/** iproute2 prints an empty object for what it has filtered away. */
function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** What each object in a list also has. */
function withDefaults(
  value: unknown,
  more: (each: object) => Readonly<Record<string, unknown>>,
): unknown {
  if (!Array.isArray(value)) return value;
  return value.map((each) =>
    typeof each === "object" && each !== null && !isEmpty(each) ? { ...more(each), ...each } : each
  );
}

/** `ip -d -j address`. */
export function parseLinks(text: string): Link[] {
  return list("a device", linkShape, json("devices", text));
}

/** `RTN_…` of `include/uapi/linux/rtnetlink.h`, in its order; `ip -N` prints the numbers. */
const ROUTE_TYPES = [
  ...["unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole"],
  ...["unreachable", "prohibit", "throw", "nat", "xresolve"],
];

/**
 * Routes of one family: `ip -4 -N -d -j route show table all`, or `-6`. Types get their names,
 * which the kernel fixes; tables, protocols and scopes stay numbers, which each node names itself.
 */
export function parseRoutes(family: Family, text: string) {
  const defaults = withDefaults(json("routes", withoutTwins(text)), () => ({
    family,
    table: "254",
    type: "unicast",
  }));
  return list("a route", routeShape, defaults)
    .map((route) => ({ ...route, type: ROUTE_TYPES[Number(route.type)] ?? route.type }));
}

/**
 * Of a route that puts packets into others, iproute2 prints the others' destination under the name
 * of the route's own, of which JSON keeps the last (`print_encap_ip` of `lwtunnel.c`).
 */
function withoutTwins(text: string): string {
  return text.replace(
    /("encap":"ip6?"(?:,"(?:id|src|ttl|tos|tc|hoplimit)":(?:"[^"]*"|\d+))*),"dst":/g,
    '$1,"encap_dst":',
  );
}

/** `ip -N -j nexthop`. */
export function parseNexthops(text: string) {
  return list("a nexthop", nexthopShape, json("nexthops", text));
}

/** `ip -4 -N -d -j rule`, or `-6`. */
export function parseRules(family: Family, text: string) {
  return list("a rule", ruleShape, withDefaults(json("rules", text), () => ({ family })));
}

/** `ip -j neighbour`, with or without `proxy`. */
export function parseNeighbours(text: string) {
  return list("a neighbour", neighbourShape, json("neighbours", text));
}

/** `bridge -j fdb`. */
export function parseFdb(text: string) {
  return list("a forwarding entry", fdbShape, json("forwarding entries", text));
}

/** `bridge -j vlan`. */
export function parseVlans(text: string) {
  return list("a port's VLANs", vlanShape, json("VLANs", text));
}

/** `tc -j qdisc`. */
export function parseQdiscs(text: string) {
  return list("a qdisc", qdiscShape, json("qdiscs", text));
}

/**
 * `tc -j filter show dev DEVICE ingress`, or `egress`: of each filter also prints an entry without
 * options, which says nothing.
 */
export function parseFilters(
  dev: string,
  direction: Filter["direction"],
  text: string,
): Filter[] {
  const value = json("filters", text);
  if (!Array.isArray(value)) throw nonsense("filters", text, "it is no list");
  const whole = value.filter((each) =>
    typeof each !== "object" || each === null || isEmpty(each) || "options" in each
  );
  return list("a filter", filterShape, withDefaults(whole, () => ({ dev, direction })))
    .map((filter) => ({ ...filter, dev, direction }));
}

const attachedShape = v.looseObject({
  devname: v.exactOptional(v.string()),
  kind: v.exactOptional(v.string()),
  name: v.exactOptional(v.string()),
  id: v.exactOptional(v.pipe(v.number(), v.finite())),
  prog_id: v.exactOptional(v.pipe(v.number(), v.finite())),
});
const netShape = v.object({
  xdp: v.array(attachedShape),
  tc: v.array(attachedShape),
  netfilter: v.exactOptional(v.array(attachedShape), []),
});

/** `bpftool -j net`: a list of one object, with a list for each kind of hook. */
export function parsePrograms(text: string): Program[] {
  const found = list("the programs", netShape, json("programs", text));
  return found.flatMap(({ xdp, tc, netfilter }) => [
    ...xdp.map((each) => programOf(each, "xdp")),
    ...tc.map((each) => programOf(each, each.kind ?? "tc")),
    ...netfilter.map((each) => programOf(each, "netfilter")),
  ]);
}

function programOf(
  { devname, name, id, prog_id = id }: v.InferOutput<typeof attachedShape>,
  hook: string,
): Program {
  const program = {
    ...(devname === undefined ? {} : { dev: devname }),
    hook,
    ...(prog_id === undefined ? {} : { id: prog_id }),
    ...(name === undefined ? {} : { name }),
  };
  return v.parse(programShape, program);
}

/**
 * `ss -H -n -l -t -u -e -O`: protocol, state, two queues, the local and the peer's address, and
 * words such as `uid:0`, `ino:1234`, `v6only:1`. A device is bound to after `%`.
 */
export function parseListeners(text: string): Listener[] {
  return text.split("\n").filter((line) => line.trim() !== "").map(listenerOf);
}

function listenerOf(line: string): Listener {
  const [protocol, state, queued, queueMax, local, , ...words] = line.trim().split(/\s+/);
  if ((protocol !== "tcp" && protocol !== "udp") || state === undefined || local === undefined) {
    throw nonsense("a socket", line, "it does not begin with tcp or udp, or ends too early");
  }
  const at = /^(.*):(\d{1,5})$/.exec(local);
  const [, address, device] = /^\[?([^\]%]*)\]?(?:%([^\]]*)\]?)?$/.exec(at?.[1] ?? "") ?? [];
  const port = Number(at?.[2]);
  if (address === undefined || address === "" || !(port <= 65_535)) {
    throw nonsense("a socket", line, `"${local}" is no address and port`);
  }
  const word = (name: string) =>
    words.find((each) => each.startsWith(`${name}:`))?.slice(name.length + 1);
  const inode = word("ino");
  const v6only = word("v6only");
  return {
    protocol,
    state,
    address,
    port,
    ...(device === undefined ? {} : { device }),
    queued: whole(line, queued),
    queueMax: whole(line, queueMax),
    ...(inode === undefined ? {} : { inode: whole(line, inode) }),
    // ss leaves the word out for root.
    uid: whole(line, word("uid") ?? "0"),
    ...(v6only === undefined ? {} : { v6only: v6only === "1" }),
  };
}

function whole(line: string, text: string | undefined): number {
  if (text !== undefined && /^\d{1,15}$/.test(text)) return Number(text);
  throw nonsense("a socket", line, `"${text ?? ""}" is no number`);
}

/**
 * `nft -j list ruleset`: each object has one key, which says what it is (libnftables-json(5)). The
 * snapshot keeps the text; this is for those who read it.
 */
export function parseNft(text: string): readonly Readonly<Record<string, unknown>>[] {
  if (text.trim() === "") return [];
  const shape = v.object({ nftables: v.array(v.record(v.string(), v.unknown())) });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw nonsense("a ruleset", text, error.message);
  }
  const parsed = v.safeParse(shape, value);
  if (parsed.success) return parsed.output.nftables;
  throw nonsense("a ruleset", text, 'it has no list "nftables" of objects');
}

/** Both figures, from two files of `/proc/sys/net/netfilter`. */
export function parseConntrack(count: string, max: string): { count: number; max: number } {
  return {
    count: whole("nf_conntrack_count", count.trim()),
    max: whole("nf_conntrack_max", max.trim()),
  };
}
