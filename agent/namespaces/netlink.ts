/**
 * The network devices and addresses of the calling thread's network namespace, by rtnetlink(7).
 *
 * @module
 */
import { close, errorName, openRouteSocket, u32 } from "./libc.ts";
import { answer, attributes, cString, dump, HEADER_BYTES } from "./netlink_message.ts";

/** A network device. */
export interface Interface {
  readonly index: number;
  readonly name: string;
  /** `veth`, `bridge`, `vlan`, … (`IFLA_INFO_KIND`); a physical device, and `lo`, has none. */
  readonly kind?: string;
  readonly loopback: boolean;
  /** As `inet_ntop` prints them. */
  readonly addresses: readonly string[];
}

/** Devices of one namespace that are kept; a node with more has its first ones named. */
export const INTERFACES_MAX = 4096;

const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_EXT_MASK = 29;
const RTEXT_FILTER_SKIP_STATS = 8;
const IFF_LOOPBACK = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const AF_INET = 2;

/** `struct ifinfomsg`, then the attribute that leaves statistics out of the answer. */
const LINK_REQUEST = [
  ...new Array(HEADER_BYTES).fill(0),
  ...[8, 0, IFLA_EXT_MASK, 0, RTEXT_FILTER_SKIP_STATS, 0, 0, 0],
];
/** `struct ifaddrmsg` of every family. */
const ADDRESS_REQUEST = new Array(8).fill(0);

/** Names of the devices of the thread's namespace by index, asked over an open route socket. */
export function readDeviceNames(descriptor: number): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  dump(descriptor, RTM_GETLINK, LINK_REQUEST, (from, to) => {
    if (names.size >= INTERFACES_MAX) return;
    attributes(from + 16, to, (type, start, end) => {
      if (type === IFLA_IFNAME) names.set(u32(answer, from + 4), cString(start, end));
    });
  });
  return names;
}

/** The devices of the thread's namespace, in the kernel's order. Strictly synchronous. */
export function readInterfaces(): readonly Interface[] {
  const descriptor = openRouteSocket();
  if (descriptor < 0) {
    throw new Error(`Cannot open a netlink socket: ${errorName(descriptor)}`);
  }
  try {
    const devices = new Map<number, Interface & { addresses: string[] }>();
    dump(descriptor, RTM_GETLINK, LINK_REQUEST, (from, to) => {
      if (devices.size < INTERFACES_MAX) devices.set(u32(answer, from + 4), device(from, to));
    });
    dump(descriptor, RTM_GETADDR, ADDRESS_REQUEST, (from, to) => {
      const text = addressOf(from, to);
      if (text !== undefined) devices.get(u32(answer, from + 4))?.addresses.push(text);
    });
    return [...devices.values()];
  } finally {
    close(descriptor);
  }
}

/** `struct ifinfomsg`: u8 family, u8 padding, u16 type, s32 index, u32 flags, u32 change. */
function device(from: number, to: number): Interface & { addresses: string[] } {
  let name = "";
  let kind: string | undefined;
  attributes(from + 16, to, (type, start, end) => {
    if (type === IFLA_IFNAME) name = cString(start, end);
    if (type !== IFLA_LINKINFO) return;
    attributes(start, end, (inner, innerStart, innerEnd) => {
      if (inner === IFLA_INFO_KIND) kind = cString(innerStart, innerEnd);
    });
  });
  return {
    index: u32(answer, from + 4),
    name,
    ...(kind === undefined ? {} : { kind }),
    loopback: (u32(answer, from + 8) & IFF_LOOPBACK) !== 0,
    addresses: [],
  };
}

/**
 * `struct ifaddrmsg`: u8 family, prefix length, flags, scope, u32 index. On a point-to-point device
 * `IFA_ADDRESS` is the peer's, so `IFA_LOCAL` comes first.
 */
function addressOf(from: number, to: number): string | undefined {
  const isIPv4 = answer[from] === AF_INET;
  let text: string | undefined;
  let isLocal = false;
  attributes(from + 8, to, (type, start) => {
    if (type !== IFA_LOCAL && (type !== IFA_ADDRESS || isLocal)) return;
    isLocal = type === IFA_LOCAL;
    text = isIPv4 ? answer.subarray(start, start + 4).join(".") : ipv6(start);
  });
  return text;
}

/** The URL standard prints an IPv6 host as RFC 5952 has it, and as `inet_ntop` does. */
function ipv6(start: number): string {
  const groups: string[] = [];
  for (let at = start; at < start + 16; at += 2) {
    groups.push(((answer[at] ?? 0) << 8 | (answer[at + 1] ?? 0)).toString(16));
  }
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
