/**
 * Which of its own addresses a namespace sends from.
 *
 * Sources: the kernel's `inet_select_addr`; RFC 6724 §5 for IPv6.
 *
 * @module
 */
import { type Address, type Family, inPrefix, sameAddress } from "../packet/address.ts";
import { addressesOf, type Device, type DeviceAddress, SCOPE } from "./device.ts";
import { isLinkLocal, isLoopback } from "./lookup.ts";
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
  const towards = hop.gateway?.family === 4 ? hop.gateway : destination;
  return source4(namespace, device, towards, route.scope);
}

/** A device's address for packets to somewhere: what MASQUERADE and ARP take. */
export function addressOf(
  namespace: Namespace,
  name: string,
  family: Family,
  towards: Address,
): Address | undefined {
  const device = namespace.device(name);
  if (device === undefined) return undefined;
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
  const reaching = (each: Device) =>
    addressesOf(each, 4).filter((own) => !own.secondary && own.scope <= scope);
  const own = reaching(device);
  const near = own.find((each) => towards !== undefined && inPrefix(towards, subnetOf(each)));
  const [first = undefined] = own;
  const chosen = near ?? first;
  if (chosen !== undefined) return chosen.address;
  for (const other of namespace.devices) {
    const [far] = reaching(other).filter((each) => each.scope !== SCOPE.link);
    if (far !== undefined && other.up) return far.address;
  }
  return undefined;
}

function subnetOf({ address, peer, length }: DeviceAddress) {
  return { address: peer ?? address, length };
}

function source6(
  namespace: Namespace,
  device: Device,
  destination: Address,
): Address | undefined {
  const devices = isLinkLocal(destination) ? [device] : [
    device,
    ...namespace.devices.filter((other) => other !== device && other.up),
  ];
  const candidates = devices.flatMap((each) =>
    addressesOf(each, 6).map((own) => ({ own, out: each === device }))
  );
  const usable = candidates.filter(({ own: { address } }) =>
    !isLoopback(address) || isLoopback(destination)
  );
  usable.sort((a, b) => better(b, destination) - better(a, destination));
  return usable[0]?.own.address;
}

/** RFC 6724's rules 1, 2, 3, 5, 6 and 8, the first the heaviest. */
function better(
  { own, out }: { readonly own: DeviceAddress; readonly out: boolean },
  destination: Address,
): number {
  const { address, deprecated } = own;
  const same = sameAddress(address, destination) ? 1 : 0;
  // A scope that is too small is worse than one that is larger than needed.
  const wide = isLinkLocal(destination) ? 1 : 2;
  const has = isLinkLocal(address) || isLoopback(address) ? 1 : 2;
  const scope = has < wide ? 0 : 3 - (has - wide);
  const label = labelOf(address) === labelOf(destination) ? 1 : 0;
  const shared = Math.min(sharedBits(address, destination), own.length);
  return ((((same * 4 + scope) * 2 + (deprecated ? 0 : 1)) * 2 + (out ? 1 : 0)) * 2 + label) * 256 +
    shared;
}

/** The policy table of RFC 6724 §2.1, as far as private networks and tunnels need it. */
function labelOf({ bits }: Address): number {
  if (bits === 1n) return 0;
  if (bits >> 121n === 0x7en) return 13;
  if (bits >> 112n === 0x2002n) return 2;
  if (bits >> 96n === 0x20010000n) return 5;
  return 1;
}

function sharedBits(one: Address, other: Address): number {
  const different = one.bits ^ other.bits;
  return 128 - (different === 0n ? 0 : different.toString(2).length);
}
