/**
 * What a cluster's network has set up between two nodes, held against what its objects say: a
 * difference proves nothing, as it may be wanted, but shows where to look.
 *
 * @module
 */
import { type Address, formatAddress, parseAddress, sameAddress } from "../packet/address.ts";
import { attribute, type Device } from "../walk/device.ts";
import { lookup } from "../walk/lookup.ts";
import type { Namespace } from "../walk/namespace.ts";
import type { Hop } from "../walk/routes.ts";
import type { NodeObject } from "./objects.ts";

/** Something that is not as it was expected. */
export interface Difference {
  readonly id: string;
  readonly message: string;
  readonly expected: string;
  readonly actual: string;
  readonly confirm: string;
  readonly fix: string;
}

/** A node's own namespace, with what packets for a pod of another node should find there. */
export interface Between {
  readonly host: Namespace;
  readonly own: NodeObject;
  readonly other: NodeObject;
  /** The pod's. */
  readonly address: Address;
}

/** Bytes that vxlan and ipip put around a packet, by the family of the nodes' own network. */
export const OVERHEAD = {
  vxlan: { 4: 50, 6: 70 },
  ipip: { 4: 20, 6: 40 },
} as const;

/** Where a node sends packets for an address. */
export type Led =
  | { readonly hops: readonly Hop[]; readonly text: string }
  | { readonly hops: undefined; readonly text: string };

/** The route that a forwarded packet for an address takes. */
export function ledTo(host: Namespace, address: Address): Led {
  const flow = { destination: address, protocol: 6, tos: 0, mark: 0, uid: 0, inDevice: "lo" };
  const found = lookup(host, flow);
  if (found.found === "route") return { hops: found.hops, text: found.route.text };
  const text = found.found === "nothing" ? `no route to ${formatAddress(address)}` : found.text;
  return { hops: undefined, text };
}

/** A device that carries packets in others must leave room for what it puts around them. */
export function roomDifference(
  host: Namespace,
  id: string,
  tunnel: Device,
  underlay: Address,
  overhead: number,
): readonly Difference[] {
  const below = host.owner(underlay)?.device;
  if (below === undefined || tunnel.mtu <= below.mtu - overhead) return [];
  return [{
    id,
    message: `the MTU of "${tunnel.name}" leaves no room for the ${overhead} bytes that it puts ` +
      `around a packet: whole ones do not fit through "${below.name}"`,
    expected: `${tunnel.name} mtu ${below.mtu - overhead}, as ${below.name} has ${below.mtu}`,
    actual: `${tunnel.name} mtu ${tunnel.mtu}`,
    confirm: `ip -d link show dev ${tunnel.name}`,
    fix: `ip link set dev ${tunnel.name} mtu ${below.mtu - overhead}`,
  }];
}

/** An address in an annotation, with or without the length of its network. */
export function annotatedAddress({ metadata }: NodeObject, key: string): Address | undefined {
  const [text = ""] = (metadata.annotations?.[key] ?? "").split("/");
  return parseAddress(text);
}

/** Whether a device's attribute is an address that is another one than this. */
export function isOther(device: Device, name: string, address: Address): boolean {
  const value = attribute(device, name);
  const own = typeof value === "string" ? parseAddress(value) : undefined;
  return own !== undefined && own.bits !== 0n && !sameAddress(own, address);
}
