/**
 * Which of its own addresses a namespace sends from.
 *
 * Sources: the kernel's `inet_select_addr`, `ipv6_dev_get_saddr` (RFC 6724 §5), `addrlabel.c`.
 *
 * @module
 */
import { type Address, type Family, inPrefix, sameAddress } from "../packet/address.ts";
import { addressesOf, type Device, type DeviceAddress, SCOPE } from "./device.ts";
import { isLinkLocal, isLoopback, isMulticast } from "./lookup.ts";
import type { Namespace } from "./namespace.ts";
import type { Hop, Route } from "./routes.ts";

/** The address that the kernel takes for a packet to `destination` by this route. */
export function sourceFor(
  namespace: Namespace,
  route: Route,
  hop: Hop,
  destination: Address,
): Address | undefined {
  if (route.source !== undefined) return route.source;
  if (route.type === "local") return destination;
  const device = namespace.device(hop.device);
  if (device === undefined) return undefined;
  if (destination.family === 6) return source6(namespace, device, destination);
  // Only a gateway draws it to its subnet.
  const towards = hop.gateway?.family === 4 ? hop.gateway : undefined;
  return source4(namespace, device, towards, route.scope);
}

/**
 * A device's address for packets to somewhere: what MASQUERADE and ARP take. Without a where, its
 * first.
 */
export function addressOf(
  namespace: Namespace,
  name: string,
  family: Family,
  towards?: Address,
): Address | undefined {
  const device = namespace.device(name);
  if (device === undefined) return undefined;
  if (towards === undefined) return addressesOf(device, family)[0]?.address;
  if (family === 6) return source6(namespace, device, towards);
  return source4(namespace, device, towards, SCOPE.universe);
}

/** `inet_select_addr`: of the device, else of any other, with a scope that reaches that far. */
export function source4(
  namespace: Namespace,
  device: Device,
  towards: Address | undefined,
  scope: number,
): Address | undefined {
  const most = namespace.own(4, device.name, "route_localnet") > 0 ? SCOPE.link : SCOPE.host;
  const own = addressesOf(device, 4)
    .filter((each) => !each.secondary && Math.min(each.scope, most) <= scope);
  const near = own.find((each) => towards !== undefined && inPrefix(towards, subnetOf(each)));
  const [first = undefined] = own;
  const chosen = near ?? first;
  if (chosen !== undefined) return chosen.address;
  const domain = namespace.vrf(device)?.device;
  const others = namespace.devices.filter((each) => namespace.vrf(each)?.device === domain);
  const master = others.filter(({ name }) => name === domain);
  for (const other of [...master, ...others]) {
    const far = addressesOf(other, 4).find((each) =>
      !each.secondary && each.scope !== SCOPE.link && each.scope <= scope
    );
    if (far !== undefined && other.up) return far.address;
  }
  return undefined;
}

function subnetOf({ address, peer, length }: DeviceAddress) {
  return { address: peer ?? address, length };
}

interface Candidate {
  readonly own: DeviceAddress;
  readonly device: Device;
}

function source6(
  namespace: Namespace,
  device: Device,
  destination: Address,
): Address | undefined {
  const near = isMulticast(destination) || scope6(destination) <= LINK_SCOPE ||
    namespace.own(6, device.name, "use_oif_addrs_only") > 0;
  const domain = namespace.vrf(device)?.device;
  const devices = near
    ? [device]
    : namespace.devices.filter((each) => namespace.vrf(each)?.device === domain);
  let best: { readonly ranks: readonly number[]; readonly address: Address } | undefined;
  for (const each of devices) {
    for (const own of addressesOf(each, 6)) {
      const ranks = ranksOf(namespace, { own, device: each }, device, destination);
      if (best !== undefined && !above(ranks, best.ranks)) continue;
      best = { ranks, address: own.address };
    }
  }
  return best?.address;
}

/** Whether the first rule that tells two candidates apart is for the one. */
function above(one: readonly number[], other: readonly number[]): boolean {
  const at = one.findIndex((rank, index) => rank !== other[index]);
  return at >= 0 && (one[at] ?? 0) > (other[at] ?? 0);
}

/** What each rule says of a candidate, in the order of `ipv6_get_saddr_eval`; more is better. */
function ranksOf(
  namespace: Namespace,
  { own, device }: Candidate,
  out: Device,
  destination: Address,
): readonly number[] {
  const { address, deprecated, temporary, optimistic, length } = own;
  const [wanted, has] = [scope6(destination), scope6(address)];
  const asked = (name: string) => namespace.most(6, device.name, name) > 0;
  const avoided = deprecated || optimistic && !asked("use_optimistic");
  const private6 = namespace.own(6, device.name, "use_tempaddr") >= 2;
  return [
    Number(sameAddress(address, destination)),
    // One that is too small is worse than one that is larger than needed.
    has >= wanted ? -has : has - 128,
    Number(!avoided || isLoopback(address)),
    Number(device.name === out.name),
    Number(labelOf(address) === labelOf(destination)),
    Number(temporary === private6),
    Number(isOrchid(address) === isOrchid(destination)),
    Math.min(sharedBits(address, destination), length),
    Number(!optimistic),
  ];
}

const LINK_SCOPE = 2;
const SITE_SCOPE = 5;
const GLOBAL_SCOPE = 14;

/** RFC 4291 §2.7, for single addresses, too. */
function scope6(address: Address): number {
  if (isMulticast(address)) return Number(address.bits >> 112n & 0xfn);
  if (isLinkLocal(address) || isLoopback(address)) return LINK_SCOPE;
  return address.bits >> 118n === 0x3fbn ? SITE_SCOPE : GLOBAL_SCOPE;
}

/** 2001:10::/28. */
function isOrchid({ bits }: Address): boolean {
  return bits >> 100n === 0x2001001n;
}

/** The kernel's table, the longest prefix first: shift, prefix, label. */
const LABELS: readonly (readonly [shift: bigint, prefix: bigint, label: number])[] = [
  [0n, 1n, 0],
  [32n, 0xffffn, 4],
  [32n, 0n, 3],
  [96n, 0x20010000n, 6],
  [100n, 0x2001001n, 7],
  [112n, 0x2002n, 2],
  [112n, 0x3ffen, 12],
  [118n, 0x3fbn, 11],
  [121n, 0x7en, 5],
];

function labelOf({ bits }: Address): number {
  return LABELS.find(([shift, prefix]) => bits >> shift === prefix)?.[2] ?? 1;
}

function sharedBits(one: Address, other: Address): number {
  const different = one.bits ^ other.bits;
  return 128 - (different === 0n ? 0 : different.toString(2).length);
}
