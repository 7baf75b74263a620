/**
 * Which VLANs the ports of a bridge let pass.
 *
 * Source: the kernel's `br_allowed_ingress`, `br_allowed_egress`, `br_handle_vlan`.
 *
 * @module
 */
import { attribute } from "./device.ts";
import type { Place } from "./network.ts";

/** Whether the bridge asks at all. */
export function bridgeVlans({ device }: Place): boolean {
  return attribute(device, "vlan_filtering") === 1;
}

interface Membership {
  readonly untagged: boolean;
  readonly native: boolean;
}

function memberships({ namespace }: Place, port: string): ReadonlyMap<number, Membership> {
  const found = new Map<number, Membership>();
  const entries = (namespace.snapshot.vlans ?? []).filter(({ ifname }) => ifname === port);
  for (const { vlan, vlanEnd = vlan, flags = [] } of entries.flatMap(({ vlans }) => vlans)) {
    const membership = {
      untagged: flags.includes("Egress Untagged"),
      native: flags.includes("PVID"),
    };
    for (let id = vlan; id <= vlanEnd; id++) found.set(id, membership);
  }
  return found;
}

/** The VLAN that a frame is in behind the port; undefined where the bridge has none. */
export function ingressVlan(
  bridge: Place,
  port: string,
  tag: number | undefined,
): number | undefined | "refused" {
  if (!bridgeVlans(bridge)) return tag;
  const members = memberships(bridge, port);
  if (tag !== undefined && tag !== 0) return members.has(tag) ? tag : "refused";
  for (const [id, { native }] of members) if (native) return id;
  return "refused";
}

/** The tag that a frame of a VLAN leaves the port with. */
export function egressVlan(
  bridge: Place,
  port: string,
  vlan: number | undefined,
): number | undefined | "refused" {
  if (!bridgeVlans(bridge)) return vlan;
  const members = memberships(bridge, port);
  // The bridge's own frames are in the VLAN that is native to it.
  const id = vlan ?? [...memberships(bridge, bridge.device.name)]
    .find(([, { native }]) => native)?.[0];
  if (id === undefined) return "refused";
  const membership = members.get(id);
  if (membership === undefined) return "refused";
  return membership.untagged ? undefined : id;
}
