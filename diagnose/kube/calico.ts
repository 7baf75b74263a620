/**
 * What Calico sets up between two nodes, by its pools of addresses and the annotations of nodes.
 *
 * Source: Calico v3.30, "Configure BGP peering", "Overlay networking"; `felix/dataplane/linux`.
 *
 * @module
 */
import {
  type Address,
  formatAddress,
  inPrefix,
  parsePrefix,
  sameAddress,
} from "../packet/address.ts";
import { attribute, type Device } from "../walk/device.ts";
import type { Namespace } from "../walk/namespace.ts";
import {
  annotatedAddress,
  type Between,
  type Difference,
  ledTo,
  OVERHEAD,
  roomDifference,
} from "./expected.ts";
import type { NodeObject, PoolObject } from "./objects.ts";

/** How packets get from node to node. */
type Carrier = "ipip" | "vxlan" | "routes";

const KEYS = {
  4: "projectcalico.org/IPv4Address",
  6: "projectcalico.org/IPv6Address",
} as const;

/** What is not as Calico sets it up; nothing where no pool of its has the address. */
export function calicoDifferences(
  { host, own, other, address }: Between,
  pools: readonly PoolObject[],
): readonly Difference[] {
  const far = annotatedAddress(other, KEYS[address.family]);
  const near = annotatedAddress(own, KEYS[address.family]);
  const pool = poolOf(pools, address);
  if (far === undefined || near === undefined || pool === undefined) return [];
  const carrier = carrierOf(pool, own, far);
  const led = ledTo(host, address);
  const devices = (led.hops ?? []).map((hop) => ({ hop, device: host.device(hop.device) }));
  // WireGuard takes the place of all others where it is on.
  if (devices.some(({ device }) => device?.kind === "wireguard")) return [];
  const fitting = devices.filter(({ device }) => device !== undefined && isOf(device, carrier));
  if (fitting.length === 0) return [routeDifference(host, address, carrier, led.text)];
  if (carrier === "routes") return [];
  const wrong = carrier === "ipip" &&
    !fitting.some(({ hop }) => hop.gateway !== undefined && sameAddress(hop.gateway, far));
  const found = wrong
    ? [routeDifference(host, address, carrier, led.text, `via ${formatAddress(far)} `)]
    : [];
  return [
    ...found,
    ...fitting.flatMap(({ device }) =>
      device === undefined
        ? []
        : roomDifference(host, "calico-mtu", device, near, OVERHEAD[carrier][near.family])
    ),
  ];
}

/** The pool with the longest prefix that has the address. */
function poolOf(pools: readonly PoolObject[], address: Address): PoolObject | undefined {
  const fitting = pools.flatMap((pool) => {
    const prefix = parsePrefix(pool.spec.cidr);
    return prefix !== undefined && inPrefix(address, prefix) ? [{ pool, prefix }] : [];
  });
  return fitting.toSorted((a, b) => b.prefix.length - a.prefix.length)[0]?.pool;
}

/** `CrossSubnet` puts packets into others only for nodes of other networks. */
function carrierOf({ spec }: PoolObject, own: NodeObject, far: Address): Carrier {
  const network = parsePrefix(own.metadata.annotations?.[KEYS[far.family]] ?? "");
  const isNear = network !== undefined && inPrefix(far, network);
  const is = (mode: string | null) => mode === "Always" || mode === "CrossSubnet" && !isNear;
  if (is(spec.vxlanMode)) return "vxlan";
  return is(spec.ipipMode) ? "ipip" : "routes";
}

/** Whoever tells the routes may lead by any gateway, but not into a tunnel. */
function isOf({ kind }: Device, carrier: Carrier): boolean {
  return carrier === "routes" ? !["ipip", "vxlan", "dummy"].includes(kind) : kind === carrier;
}

function routeDifference(
  host: Namespace,
  address: Address,
  carrier: Carrier,
  actual: string,
  via = "",
): Difference {
  const to = formatAddress(address);
  const devices = host.devices.filter((each) => isOf(each, carrier));
  const name = devices.find((each) => attribute(each, "local") !== undefined)?.name ??
    devices[0]?.name ?? carrier;
  const expected = carrier === "routes" ? "a route without a tunnel" : `${via}dev ${name}`;
  return {
    id: "calico-route",
    message: `packets for ${to} are not led as their pool says: by ${
      carrier === "routes" ? "routes alone" : carrier
    }`,
    ...{ expected, actual },
    confirm: host.command(`ip route get ${to}`),
    fix: carrier === "vxlan"
      ? "look whether calico-node runs on that node, and what Felix logs"
      : "look whether both nodes' BGP sessions are up: calicoctl node status",
  };
}
