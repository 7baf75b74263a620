/**
 * What tools print about a network namespace, as the texts that netlink's answers are made into
 * (`netlink_tables.ts`) where this process asks itself.
 *
 * @module
 */
import * as v from "valibot";
import type { Interface } from "./netlink.ts";

/** A tool printed what makes no sense. */
export class ToolError extends Error {}

/** What `tc -s -j qdisc` prints, as far as it is read. */
const QDISCS = v.array(v.object({
  kind: v.string(),
  dev: v.string(),
  handle: v.string(),
  root: v.optional(v.boolean(), false),
  parent: v.optional(v.string()),
  bytes: v.number(),
  packets: v.number(),
  drops: v.number(),
  overlimits: v.number(),
  requeues: v.number(),
  qlen: v.number(),
  backlog: v.number(),
}));
const QDISC_HEADING =
  "device kind handle parent bytes packets drops overlimits requeues qlen backlog";
/** TC_H_ROOT (include/uapi/linux/pkt_sched.h). */
const ROOT = "ffffffff";

/** What `ip -d -j address` prints, as far as it is read. */
const DEVICES = v.array(v.object({
  ifindex: v.number(),
  ifname: v.string(),
  flags: v.array(v.string()),
  linkinfo: v.optional(v.object({ info_kind: v.optional(v.string()) })),
  addr_info: v.optional(v.array(v.object({ local: v.optional(v.string()) })), []),
}));

/** Lines of `net/ip_vs` before the first server. */
const IPVS_HEADINGS = 3;
const IPVS_HEADING = "Prot LocalAddress:Port Conns InPkts OutPkts InBytes OutBytes";

/**
 * The files in what `head -v` prints of several, by their paths, in that order: a heading before
 * each one that it could open, and an empty line between them.
 */
export function filesIn(text: string, paths: readonly string[]): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  let rest = text;
  let last: string | undefined;
  for (const path of paths) {
    const heading = `==> ${path} <==\n`;
    const sought = last === undefined ? heading : `\n${heading}`;
    const at = rest.indexOf(sought);
    if (at < 0 || (last === undefined && at > 0)) continue;
    if (last !== undefined) files.set(last, rest.slice(0, at));
    rest = rest.slice(at + sought.length);
    last = path;
  }
  if (last !== undefined) files.set(last, rest);
  return files;
}

/** `netlink/qdiscs` of what `tc -s -j qdisc` prints. */
export function qdiscText(json: string): string {
  const rows = parsed(QDISCS, json, "tc").map((qdisc) => {
    const parent = qdisc.root ? ROOT : classId(qdisc.parent ?? "0:");
    const { bytes, packets, drops, overlimits, requeues, qlen, backlog } = qdisc;
    const figures = [bytes, packets, drops, overlimits, requeues, qlen, backlog];
    return [qdisc.dev, qdisc.kind, classId(qdisc.handle), parent, ...figures].join(" ");
  });
  return `${[QDISC_HEADING, ...rows].join("\n")}\n`;
}

/** `8001:2` is 80010002, and `:1` is 1: sixteen bits before the colon, and sixteen after it. */
function classId(text: string): string {
  const [, major = "", minor = ""] = /^([0-9a-f]{0,4}):([0-9a-f]{0,4})$/.exec(text) ?? [];
  if (major === "" && minor === "") throw nonsense("tc", text);
  return ((Number.parseInt(major || "0", 16) << 16 | Number.parseInt(minor || "0", 16)) >>> 0)
    .toString(16);
}

/** `netlink/conntrack` of the two settings, and of what `conntrack -S` prints of each CPU. */
export function conntrackText(count: string, most: string, statistics: string): string {
  const figures = new Map<string, number>();
  for (const line of statistics.split("\n")) {
    if (line === "") continue;
    const [cpu = "", ...words] = line.split(/\s+/).filter((word) => word !== "");
    if (!/^cpu=\d+$/.test(cpu)) throw nonsense("conntrack", line);
    for (const word of words) {
      const [, name, value] = /^([a-z_]+)=(\d+)$/.exec(word) ?? [];
      if (name === undefined) throw nonsense("conntrack", line);
      figures.set(name, (figures.get(name) ?? 0) + Number(value));
    }
  }
  const rows = [["entries", count.trim()], ["maxentries", most.trim()], ...figures];
  return rows.map(([name, value]) => `${name} ${value}\n`).join("");
}

/** Whether `net/ip_vs` lists any server. */
export function listsServers(listed: string): boolean {
  return listed.trimEnd().split("\n", IPVS_HEADINGS + 1).length > IPVS_HEADINGS;
}

/**
 * `netlink/ipvs` of what `ipvsadm -Ln --stats --exact --nosort` prints, which leaves out how a real
 * server is reached: that is in `net/ip_vs`.
 */
export function ipvsText(listed: string, statistics: string): string {
  const forwards = forwardsOf(listed);
  const rows: string[] = [];
  let service = "";
  for (const line of statistics.trimEnd().split("\n").slice(IPVS_HEADINGS)) {
    const words = line.split(/\s+/).filter((word) => word !== "");
    const figures = words.splice(-5).join(" ");
    const [first = "", place = ""] = words;
    if (!/^\d+( \d+){4}$/.test(figures) || place === "") throw nonsense("ipvsadm", line);
    if (first === "->") {
      const end = endOf(place);
      rows.push(`-> ${end} ${forwards.get(`${service} ${end}`) ?? "Masq"} ${figures}`);
      continue;
    }
    service = first === "FWM" ? `FWM ${upperHex(Number(place), 8)}` : `${first} ${endOf(place)}`;
    rows.push(`${service} ${figures}`);
  }
  return `${[IPVS_HEADING, ...rows].join("\n")}\n`;
}

/** `Route`, by the virtual and the real server: `TCP 0A600001:01BB 0A010001:192B`. */
function forwardsOf(listed: string): ReadonlyMap<string, string> {
  const forwards = new Map<string, string>();
  let service = "";
  for (const line of listed.trimEnd().split("\n").slice(IPVS_HEADINGS)) {
    const [first = "", place = "", method = ""] = line.trim().split(/\s+/);
    if (first === "->") forwards.set(`${service} ${place}`, method);
    else service = `${first} ${place}`;
  }
  return forwards;
}

/** `0A600001:01BB` for `10.96.0.1:443`, `[fd00:…:0001]:01BB` for `[fd00::1]:443`. */
function endOf(text: string): string {
  const [, place = "", port = ""] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  if (port === "") throw nonsense("ipvsadm", text);
  const digits = upperHex(Number(port), 4);
  if (!place.startsWith("[")) {
    const bytes = place.split(".").map((byte) => upperHex(Number(byte), 2));
    return `${bytes.join("")}:${digits}`;
  }
  return `[${wholeAddress(place.slice(1, -1))}]:${digits}`;
}

/** All eight groups of an IPv6 address, of four digits each. */
function wholeAddress(text: string): string {
  const [before = "", after] = text.split("::");
  const groups = (part: string) => part === "" ? [] : part.split(":");
  const [head, tail] = [groups(before), groups(after ?? "")];
  const zeros = new Array<string>(after === undefined ? 0 : 8 - head.length - tail.length).fill(
    "0",
  );
  return [...head, ...zeros, ...tail].map((group) => group.padStart(4, "0")).join(":");
}

/** What `ip -d -j address` prints, as netlink's answers are told. */
export function interfacesOf(json: string): readonly Interface[] {
  return parsed(DEVICES, json, "ip").map((device) => {
    const { ifindex, ifname, flags, linkinfo, addr_info } = device;
    const kind = linkinfo?.info_kind;
    return {
      index: ifindex,
      name: ifname,
      ...(kind === undefined ? {} : { kind }),
      loopback: flags.includes("LOOPBACK"),
      addresses: addr_info.flatMap(({ local }) => local === undefined ? [] : [local]),
    };
  });
}

function parsed<T>(schema: v.GenericSchema<unknown, T>, json: string, tool: string): T {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ToolError(`Cannot read what "${tool}" prints: ${error.message}`, { cause: error });
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [{ message }] = result.issues;
  throw new ToolError(`Cannot read what "${tool}" prints: ${message}`);
}

function nonsense(tool: string, found: string): ToolError {
  const text = JSON.stringify(found.slice(0, 80));
  return new ToolError(`Cannot read what "${tool}" prints: found ${text}`);
}

function upperHex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
