/**
 * What IP virtual servers (IPVS) count, asked of generic netlink (`struct genlmsghdr` before the
 * attributes): `ip_vs_genl_dump_services` and `ip_vs_genl_dump_dests` in
 * net/netfilter/ipvs/ip_vs_ctl.c, as `ipvsadm -Ln --stats` does. Strictly synchronous.
 *
 * @module
 */
import { ENOENT, u16, u32, u64 } from "./libc.ts";
import { answer, askOnce, attributes, NetlinkError } from "./netlink_message.ts";

/** Virtual and real servers of one namespace that are read, as many as of `net/ip_vs`. */
const SERVERS_MAX = 4096;
/** Then come the rows: of a virtual server, and below it of each real one, after `->`. */
const HEADING = "Prot LocalAddress:Port Conns InPkts OutPkts InBytes OutBytes";

const GENL_ID_CTRL = 16;
const GENL_HEADER_BYTES = 4;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;

const IPVS_CMD_GET_SERVICE = 4;
const IPVS_CMD_GET_DEST = 8;
const IPVS_CMD_ATTR_SERVICE = 1;
const IPVS_CMD_ATTR_DEST = 2;
/** `enum` of IPVS_SVC_ATTR_… in include/uapi/linux/ip_vs.h. */
const SERVICE = { af: 1, protocol: 2, address: 3, port: 4, mark: 5, stats: 10, stats64: 12 };
/** IPVS_DEST_ATTR_… */
const BACKEND = { address: 1, port: 2, forward: 3, stats: 10, af: 11, stats64: 12 };
/** IPVS_STATS_ATTR_CONNS to IPVS_STATS_ATTR_OUTBYTES. */
const FIGURES = 5;
const NLA_F_NESTED = 0x80;
const AF_INET = 2;
const PROTOCOLS: Readonly<Record<number, string>> = { 6: "TCP", 17: "UDP", 132: "SCTP" };
/** By IP_VS_CONN_F_FWD_MASK; ip_vs_fwd_name calls every other one `Masq`. */
const FORWARDS: Readonly<Record<number, string>> = { 1: "Local", 2: "Tunnel", 3: "Route" };
const FORWARD_MASK = 7;

/** Asks for a dump: `each` gets the span of every answer's payload, which lies in `answer`. */
export type Ask = (body: readonly number[], each: (from: number, to: number) => void) => void;

/** An attribute's bytes in `answer`. */
type Span = readonly [start: number, end: number];

interface Service {
  readonly row: string;
  readonly family: number;
  /** What names it in a question for its real servers. */
  readonly key: readonly number[];
}

/** The number of a family of generic netlink, by an open socket; asking may load its module. */
export function familyNumber(descriptor: number, name: string): number {
  const text = [...new TextEncoder().encode(name), 0];
  let number: number | undefined;
  askOnce(
    descriptor,
    GENL_ID_CTRL,
    [CTRL_CMD_GETFAMILY, 1, 0, 0, ...attribute(CTRL_ATTR_FAMILY_NAME, 0, text)],
    (from, to) =>
      attributes(from + GENL_HEADER_BYTES, to, (type, at) => {
        if (type === CTRL_ATTR_FAMILY_ID) number = u16(answer, at);
      }),
  );
  if (number !== undefined) return number;
  throw new NetlinkError(`Cannot find the generic netlink family "${name}"`, -ENOENT);
}

/** The table of what virtual and real servers have counted: addresses are as in `net/ip_vs`. */
export function ipvsText(ask: Ask): string {
  const services: Service[] = [];
  ask([IPVS_CMD_GET_SERVICE, 1, 0, 0], (from, to) => {
    const service = services.length < SERVERS_MAX ? serviceOf(from, to) : undefined;
    if (service !== undefined) services.push(service);
  });
  const rows: string[] = [];
  for (const { row, family, key } of services) {
    if (rows.length >= SERVERS_MAX) break;
    rows.push(row);
    const whose = attribute(IPVS_CMD_ATTR_SERVICE, NLA_F_NESTED, key);
    ask([IPVS_CMD_GET_DEST, 1, 0, 0, ...whose], (from, to) => {
      const backend = rows.length < SERVERS_MAX ? backendOf(from, to, family) : undefined;
      if (backend !== undefined) rows.push(backend);
    });
  }
  return `${[HEADING, ...rows].join("\n")}\n`;
}

/** `struct nlattr`, and what fills it up to four bytes. */
function attribute(type: number, flags: number, payload: readonly number[]): readonly number[] {
  const length = 4 + payload.length;
  const padding = new Array<number>(-length & 3).fill(0);
  return [length & 0xff, length >> 8, type, flags, ...payload, ...padding];
}

/** ip_vs_genl_fill_service. */
function serviceOf(from: number, to: number): Service | undefined {
  const all = nested(from, to, IPVS_CMD_ATTR_SERVICE);
  const [af, mark] = [all.get(SERVICE.af), all.get(SERVICE.mark)];
  const figures = figuresOf(all.get(SERVICE.stats64) ?? all.get(SERVICE.stats));
  if (af === undefined || figures === undefined) return undefined;
  const family = u16(answer, af[0]);
  const named = [SERVICE.af, SERVICE.protocol, SERVICE.address, SERVICE.port, SERVICE.mark];
  const key = named.flatMap((type) => {
    const span = all.get(type);
    return span === undefined ? [] : attribute(type, 0, [...answer.subarray(...span)]);
  });
  if (mark !== undefined) {
    const digits = upperHex(u32(answer, mark[0]), 8);
    return { row: `FWM ${digits} ${figures}`, family, key };
  }
  const protocol = all.get(SERVICE.protocol);
  const name = protocol === undefined ? undefined : PROTOCOLS[u16(answer, protocol[0])];
  const end = endOf(family, all.get(SERVICE.address), all.get(SERVICE.port));
  if (name === undefined || end === undefined) return undefined;
  return { row: `${name} ${end} ${figures}`, family, key };
}

/** ip_vs_genl_fill_dest; a real server may be of another family than the virtual one. */
function backendOf(from: number, to: number, service: number): string | undefined {
  const all = nested(from, to, IPVS_CMD_ATTR_DEST);
  const [af, forward] = [all.get(BACKEND.af), all.get(BACKEND.forward)];
  const figures = figuresOf(all.get(BACKEND.stats64) ?? all.get(BACKEND.stats));
  const family = af === undefined ? service : u16(answer, af[0]);
  const end = endOf(family, all.get(BACKEND.address), all.get(BACKEND.port));
  if (forward === undefined || figures === undefined || end === undefined) return undefined;
  const method = FORWARDS[u32(answer, forward[0]) & FORWARD_MASK] ?? "Masq";
  return `-> ${end} ${method} ${figures}`;
}

/** The attributes within one attribute of a message. */
function nested(from: number, to: number, outer: number): ReadonlyMap<number, Span> {
  const all = new Map<number, Span>();
  attributes(from + GENL_HEADER_BYTES, to, (type, start, end) => {
    if (type !== outer) return;
    attributes(start, end, (inner, at, until) => all.set(inner, [at, until]));
  });
  return all;
}

/** Of 64 bits each in STATS64, and in STATS, which the kernels before had alone, some of 32. */
function figuresOf(statistics: Span | undefined): string | undefined {
  if (statistics === undefined) return undefined;
  const figures = new Array<bigint | number>(FIGURES).fill(0);
  attributes(...statistics, (type, start, end) => {
    if (type < 1 || type > FIGURES) return;
    figures[type - 1] = end - start >= 8 ? u64(answer, start) : u32(answer, start);
  });
  return figures.join(" ");
}

/** `0A600001:01BB`, `[fd00:0096:…]:01BB`. */
function endOf(family: number, address?: Span, port?: Span): string | undefined {
  if (address === undefined || port === undefined) return undefined;
  const digits = (from: number, count: number) =>
    [...answer.subarray(from, from + count)].map((byte) => upperHex(byte, 2)).join("");
  const [from] = address;
  const place = family === AF_INET
    ? digits(from, 4)
    : `[${(digits(from, 16).match(/.{4}/g) ?? []).join(":").toLowerCase()}]`;
  return `${place}:${digits(port[0], 2)}`;
}

function upperHex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
