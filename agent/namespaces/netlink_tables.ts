/**
 * What netlink knows of the calling thread's network namespace, as texts in the manner of `/proc`,
 * so that a collector reads it as it reads a file. Strictly synchronous.
 *
 * - `netlink/qdiscs`: a heading, and a row for each queueing discipline: device, kind, handle and
 *   parent (hexadecimal), bytes, packets, drops, overlimits, requeues, qlen, backlog.
 * - `netlink/conntrack`: a name and a figure in each row: `entries` and `maxentries` of the
 *   namespace, and its counters summed over the CPUs, as `conntrack -S` names them.
 * - `netlink/ipvs`: a heading, and a row for each virtual server and, below it, each real one, with
 *   connections, and packets and bytes in and out; empty where `net/ip_vs` lists none.
 *
 * @module
 */
import {
  close,
  EINVAL,
  ENOENT,
  errorName,
  openNetlinkSocket,
  openRouteSocket,
  readBytes,
  readText,
  u32,
  u64,
} from "./libc.ts";
import { readDeviceNames } from "./netlink.ts";
import { familyNumber, ipvsText } from "./netlink_ipvs.ts";
import { answer, askOnce, attributes, cString, dump, NetlinkError } from "./netlink_message.ts";

const PREFIX = "netlink/";
/** Queueing disciplines of one namespace that are read; a node with more has its first ones. */
const QDISCS_MAX = 8192;

const NETLINK_NETFILTER = 12;
const NETLINK_GENERIC = 16;
const EPROTONOSUPPORT = 93;
const RTM_GETQDISC = 38;
const TCA_KIND = 1;
const TCA_STATS2 = 7;
const TCA_STATS_BASIC = 1;
const TCA_STATS_QUEUE = 3;
const TCA_STATS_PKT64 = 8;
/** NFNL_SUBSYS_CTNETLINK in the upper byte (include/uapi/linux/netfilter/nfnetlink_conntrack.h). */
const IPCTNL_MSG_CT_GET_STATS_CPU = 0x104;
const IPCTNL_MSG_CT_GET_STATS = 0x105;
/** `enum ctattr_stats_global`. */
const GLOBAL_NAMES: Readonly<Record<number, string>> = { 1: "entries", 2: "maxentries" };
/** `enum ctattr_stats_cpu`; the kernel sends those that it still counts. */
const CPU_NAMES: Readonly<Record<number, string>> = {
  ...{ 1: "searched", 2: "found", 3: "new", 4: "invalid", 5: "ignore", 6: "delete" },
  ...{ 7: "delete_list", 8: "insert", 9: "insert_failed", 10: "drop", 11: "early_drop" },
  ...{ 12: "error", 13: "search_restart", 14: "clash_resolve", 15: "chaintoolong" },
};
/** There in each namespace once connection tracking is; asking netlink first would load it. */
const CONNTRACK_COUNT = "/proc/sys/net/netfilter/nf_conntrack_count";
/** There in each namespace once IPVS is; asking netlink first would load it. */
const IPVS_SERVERS = "/proc/thread-self/net/ip_vs";
/** Lines of it before the first server. */
const IPVS_HEADINGS = 3;

const encoder = new TextEncoder();

const TABLES: ReadonlyMap<string, () => string> = new Map([
  [`${PREFIX}qdiscs`, qdiscs],
  [`${PREFIX}conntrack`, conntrack],
  [`${PREFIX}ipvs`, ipvs],
]);

/** Whether a collector's file is one that netlink answers. */
export function isTable(file: string): boolean {
  return file.startsWith(PREFIX);
}

/**
 * The text of a table; the errno, turned around, if the kernel cannot tell: -ENOENT if it lacks it.
 */
export function readTable(file: string): Uint8Array | number {
  const table = TABLES.get(file);
  if (table === undefined) return -ENOENT;
  try {
    return encoder.encode(table());
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    return error.failure;
  }
}

/** tc_fill_qdisc in net/sched/sch_api.c; `struct tcmsg`, `struct gnet_stats_queue`. */
function qdiscs(): string {
  const rows = ["device kind handle parent bytes packets drops overlimits requeues qlen backlog"];
  const descriptor = opened(openRouteSocket());
  try {
    const names = readDeviceNames(descriptor);
    dump(descriptor, RTM_GETQDISC, new Array(20).fill(0), (from, to) => {
      const device = names.get(u32(answer, from + 4));
      // A device that came after the names were read is in the next collection.
      if (device === undefined || rows.length > QDISCS_MAX) return;
      const handle = u32(answer, from + 8).toString(16);
      const parent = u32(answer, from + 12).toString(16);
      rows.push(`${device} ${qdisc(from + 20, to, `${handle} ${parent}`)}`);
    });
  } finally {
    close(descriptor);
  }
  return `${rows.join("\n")}\n`;
}

function qdisc(from: number, to: number, place: string): string {
  let kind = "";
  let [bytes, packets, wide] = [0n, 0n, false];
  let [drops, overlimits, requeues, qlen, backlog] = [0, 0, 0, 0, 0];
  attributes(from, to, (type, start, end) => {
    if (type === TCA_KIND) kind = cString(start, end);
    if (type !== TCA_STATS2) return;
    attributes(start, end, (inner, at) => {
      if (inner === TCA_STATS_BASIC) {
        bytes = u64(answer, at);
        if (!wide) packets = BigInt(u32(answer, at + 8));
      } else if (inner === TCA_STATS_PKT64) {
        packets = u64(answer, at);
        wide = true;
      } else if (inner === TCA_STATS_QUEUE) {
        [qlen, backlog, drops] = [u32(answer, at), u32(answer, at + 4), u32(answer, at + 8)];
        [requeues, overlimits] = [u32(answer, at + 12), u32(answer, at + 16)];
      }
    });
  });
  const figures = [bytes, packets, drops, overlimits, requeues, qlen, backlog];
  return `${kind} ${place} ${figures.join(" ")}`;
}

/** ctnetlink_ct_stat_cpu_fill_info, ctnetlink_stat_ct (net/netfilter/nf_conntrack_netlink.c). */
function conntrack(): string {
  const there = readBytes(CONNTRACK_COUNT);
  if (typeof there === "number") throw new NetlinkError(`Cannot read "${CONNTRACK_COUNT}"`, there);
  const figures = new Map<string, number>();
  const addTo = (names: Readonly<Record<number, string>>) => (from: number, to: number) =>
    attributes(from + 4, to, (type, at) => {
      const name = names[type];
      if (name !== undefined) figures.set(name, (figures.get(name) ?? 0) + bigEndian(at));
    });
  const descriptor = opened(openNetlinkSocket(NETLINK_NETFILTER));
  try {
    askOnce(descriptor, IPCTNL_MSG_CT_GET_STATS, [0, 0, 0, 0], addTo(GLOBAL_NAMES));
    dump(descriptor, IPCTNL_MSG_CT_GET_STATS_CPU, [0, 0, 0, 0], addTo(CPU_NAMES));
  } catch (error) {
    // nfnetlink's answer for a subsystem that is not loaded: nf_conntrack_netlink.
    if (!(error instanceof NetlinkError) || error.failure !== -EINVAL) throw error;
    throw new NetlinkError(error.message, -ENOENT);
  } finally {
    close(descriptor);
  }
  return Array.from(figures, ([name, value]) => `${name} ${value}\n`).join("");
}

/** Most namespaces have no servers: those cost one file. */
function ipvs(): string {
  const listed = readText(IPVS_SERVERS);
  if (typeof listed === "number") throw new NetlinkError(`Cannot read "${IPVS_SERVERS}"`, listed);
  if (listed.trimEnd().split("\n", IPVS_HEADINGS + 1).length <= IPVS_HEADINGS) return "";
  const descriptor = opened(openNetlinkSocket(NETLINK_GENERIC));
  try {
    const family = familyNumber(descriptor, "IPVS");
    return ipvsText((body, each) => dump(descriptor, family, body, each));
  } finally {
    close(descriptor);
  }
}

function opened(descriptor: number): number {
  if (descriptor >= 0) return descriptor;
  const failure = descriptor === -EPROTONOSUPPORT ? -ENOENT : descriptor;
  throw new NetlinkError(`Cannot open a netlink socket: ${errorName(descriptor)}`, failure);
}

function bigEndian(at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = answer.subarray(at, at + 4);
  return ((a << 24 | b << 16 | c << 8 | d) >>> 0);
}
