/**
 * A device of a namespace, as far as it decides where frames go.
 *
 * @module
 */
import { type Address, type Family, parseAddress } from "../packet/address.ts";
import type { Link } from "../snapshot/parts.ts";

/** Scopes of addresses and routes, `RT_SCOPE_…` of `include/uapi/linux/rtnetlink.h`. */
export const SCOPE = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;

/** An address of a device. */
export interface DeviceAddress {
  readonly address: Address;
  /** Of the address; with a peer, of the peer's. */
  readonly length: number;
  readonly peer?: Address;
  readonly scope: number;
  readonly secondary: boolean;
  readonly deprecated: boolean;
  /** It changes with time, so that its host is not told by it (RFC 8981). */
  readonly temporary: boolean;
  readonly optimistic: boolean;
  /** Not usable yet, or found to be someone else's. */
  readonly unusable: boolean;
}

/** A device. */
export interface Device {
  readonly name: string;
  readonly index: number;
  /** As `ip link` says it; `loopback`, or `physical` for one that no kind is said of. */
  readonly kind: string;
  readonly mac: string;
  readonly mtu: number;
  /** Set up by an administrator. */
  readonly up: boolean;
  readonly carrier: boolean;
  /** Whether neighbours are asked for: neither a tunnel nor loopback. */
  readonly resolves: boolean;
  readonly type: number;
  readonly group: number;
  readonly addresses: readonly DeviceAddress[];
  readonly link: Link;
}

/** `ARPHRD_…` by what `ip` prints without `-N`. */
const LINK_TYPES: Readonly<Record<string, number>> = {
  ether: 1,
  loopback: 772,
  ipip: 768,
  sit: 776,
  gre: 778,
  tunnel6: 769,
  gre6: 823,
  none: 65534,
};

const SCOPE_NAMES: Readonly<Record<string, number>> = {
  global: SCOPE.universe,
  site: SCOPE.site,
  link: SCOPE.link,
  host: SCOPE.host,
  nowhere: SCOPE.nowhere,
};

/** A scope from its name or number. */
export function scopeOf(text: string | undefined): number {
  if (text === undefined) return SCOPE.universe;
  return SCOPE_NAMES[text] ?? Number(text);
}

/** A device from what `ip -d -j address` says of it. */
export function deviceOf(link: Link): Device {
  const type = typeOf(link.link_type ?? "");
  const flags = new Set(link.flags);
  const group = Number(link["group"]);
  return {
    name: link.ifname,
    index: link.ifindex,
    kind: link.linkinfo?.info_kind ?? (flags.has("LOOPBACK") ? "loopback" : "physical"),
    mac: (link.address ?? "").toLowerCase(),
    mtu: link.mtu,
    up: flags.has("UP"),
    carrier: flags.has("LOWER_UP") && !flags.has("NO-CARRIER") || flags.has("LOOPBACK"),
    resolves: type === 1 && !flags.has("NOARP"),
    type,
    group: Number.isFinite(group) ? group : 0,
    addresses: link.addr_info.flatMap(addressOf),
    link,
  };
}

function typeOf(text: string): number {
  const digits = /^\[?(\d+)\]?$/.exec(text)?.[1];
  return digits === undefined ? LINK_TYPES[text] ?? 0 : Number(digits);
}

function addressOf(info: Link["addr_info"][number]): DeviceAddress[] {
  if (!("local" in info) || info.local === undefined) return [];
  const address = parseAddress(info.local);
  if (address === undefined) return [];
  const peer = info.address === undefined ? undefined : parseAddress(info.address);
  const is = (flag: string) => info[flag] === true;
  return [{
    address,
    length: info.prefixlen,
    ...(peer === undefined ? {} : { peer }),
    scope: scopeOf(info.scope),
    secondary: is("secondary"),
    deprecated: is("deprecated") || info["preferred_life_time"] === 0,
    temporary: is("temporary"),
    optimistic: is("optimistic"),
    unusable: is("tentative") && !is("optimistic") || is("dadfailed"),
  }];
}

/** An attribute of the device's kind. */
export function attribute(device: Device, name: string): unknown {
  return device.link.linkinfo?.info_data?.[name];
}

/** An attribute of the device as a port of its master. */
export function portAttribute(device: Device, name: string): unknown {
  return device.link.linkinfo?.info_slave_data?.[name];
}

/** The device's addresses of one family that it can use. */
export function addressesOf(device: Device, family: Family): readonly DeviceAddress[] {
  return device.addresses.filter(({ address, unusable }) => address.family === family && !unusable);
}
