/**
 * What flannel sets up between two nodes, by the annotations that it gives them.
 *
 * Source: flannel v0.26, `pkg/backend/{vxlan,hostgw}`, `pkg/subnet/kube`.
 *
 * @module
 */
import * as v from "valibot";
import {
  type Address,
  formatAddress,
  inPrefix,
  parseAddress,
  parsePrefix,
  sameAddress,
} from "../packet/address.ts";
import { attribute, type Device } from "../walk/device.ts";
import type { Namespace } from "../walk/namespace.ts";
import { carriesFamily } from "../walk/tunnels.ts";
import {
  annotatedAddress,
  type Between,
  type Difference,
  isOther,
  ledTo,
  OVERHEAD,
  roomDifference,
} from "./expected.ts";
import type { NodeObject } from "./objects.ts";

const PREFIX = "flannel.alpha.coreos.com";

const vtepShape = v.object({ VNI: v.number(), VtepMAC: v.string() });
type Vtep = v.InferOutput<typeof vtepShape>;

/** Names of annotations, by family. */
const KEYS = {
  4: { address: `${PREFIX}/public-ip`, data: `${PREFIX}/backend-data` },
  6: { address: `${PREFIX}/public-ipv6`, data: `${PREFIX}/backend-v6-data` },
} as const;

/** What is not as flannel sets it up; nothing where it is not flannel that does. */
export function flannelDifferences(between: Between): readonly Difference[] {
  const { other, address: { family } } = between;
  const type = other.metadata.annotations?.[`${PREFIX}/backend-type`];
  const gateway = annotatedAddress(other, KEYS[family].address);
  if (gateway === undefined) return [];
  if (type === "vxlan") return overVxlan(between, gateway);
  return type === "host-gw" ? overRoutes(between, gateway) : [];
}

function overRoutes({ host, address }: Between, gateway: Address): readonly Difference[] {
  const led = ledTo(host, address);
  if (led.hops?.some((hop) => hop.gateway !== undefined && sameAddress(hop.gateway, gateway))) {
    return [];
  }
  return [routeDifference(host, address, led.text, `via ${formatAddress(gateway)}`)];
}

function routeDifference(
  host: Namespace,
  address: Address,
  actual: string,
  expected: string,
): Difference {
  const to = formatAddress(address);
  return {
    id: "flannel-route",
    message: `packets for ${to} are not led as flannel leads them: ${expected}`,
    ...{ expected, actual },
    confirm: host.command(`ip route get ${to}`),
    fix: "look whether flannel runs on that node, and what it logs",
  };
}

function overVxlan(between: Between, gateway: Address): readonly Difference[] {
  const { host, own, other, address } = between;
  const [far, near] = [vtepOf(other, address.family), vtepOf(own, address.family)];
  const cidr = cidrOf(other, address);
  if (far === undefined || cidr === undefined) return [];
  // One for each family, of the same number.
  const device = host.devices.find((each) =>
    each.kind === "vxlan" && attribute(each, "id") === far.VNI &&
    carriesFamily(each, gateway.family)
  );
  if (device === undefined) {
    return [{
      id: "flannel-device",
      message: `there is no vxlan device of the number ${far.VNI}, by which flannel's nodes talk`,
      expected: `flannel.${far.VNI}`,
      actual: host.devices.filter(({ kind }) => kind === "vxlan").map(({ name }) => name).join(
        ", ",
      ),
      confirm: host.command("ip -d link show type vxlan"),
      fix: "look whether flannel runs on that node: it makes the device when it starts",
    }];
  }
  const led = ledTo(host, address);
  const is = (one: Address | undefined, two: Address) => one !== undefined && sameAddress(one, two);
  // Nodes of one network may be led directly: DirectRouting.
  if (led.hops?.some((hop) => is(hop.gateway, gateway) && hop.device !== device.name)) return [];
  const found = ownDifferences(between, device, near);
  const expected = `via ${formatAddress(cidr)} dev ${device.name}`;
  if (led.hops?.some((hop) => is(hop.gateway, cidr) && hop.device === device.name) !== true) {
    return [routeDifference(host, address, led.text, expected), ...found];
  }
  return [...entryDifferences(host, device, far, { cidr, gateway }), ...found];
}

/** The neighbour and the forwarding entry of the other node. */
function entryDifferences(
  host: Namespace,
  device: Device,
  { VtepMAC }: Vtep,
  { cidr, gateway }: { readonly cidr: Address; readonly gateway: Address },
): readonly Difference[] {
  const mac = VtepMAC.toLowerCase();
  const found: Difference[] = [];
  const neighbour = host.neighbour(device.name, cidr);
  const at = formatAddress(cidr);
  const fix = "look whether flannel runs on that node, and what it logs";
  if (neighbour?.lladdr?.toLowerCase() !== mac) {
    found.push({
      id: "flannel-neighbour",
      message: `the neighbour ${at} on "${device.name}" is not the one that the other node tells`,
      expected: `${at} lladdr ${mac} PERMANENT`,
      actual: neighbour === undefined ? "no entry" : `${at} lladdr ${neighbour.lladdr ?? "none"}`,
      confirm: host.command(`ip neighbour show dev ${device.name}`),
      fix,
    });
  }
  const entries = (host.snapshot.fdb ?? []).filter((each) =>
    each.ifname === device.name && each.mac.toLowerCase() === mac && each.dst !== undefined
  );
  const to = formatAddress(gateway);
  const isThere = entries.some(({ dst }) => {
    const address = parseAddress(dst ?? "");
    return address !== undefined && sameAddress(address, gateway);
  });
  if (!isThere && host.snapshot.fdb !== undefined) {
    found.push({
      id: "flannel-fdb",
      message: `"${device.name}" does not send frames for ${mac} to the other node's address`,
      expected: `${mac} dst ${to}`,
      actual: entries.length === 0
        ? "no entry"
        : entries.map(({ dst }) => `${mac} dst ${dst}`).join(", "),
      confirm: host.command(`bridge fdb show dev ${device.name}`),
      fix,
    });
  }
  return found;
}

/** What the node tells the others of its own device. */
function ownDifferences(
  { host, own, address: { family } }: Between,
  device: Device,
  near: Vtep | undefined,
): readonly Difference[] {
  const found: Difference[] = [];
  const confirm = host.command(`ip -d link show dev ${device.name}`);
  const fix = "restart flannel on that node, so that it tells what it has";
  if (near !== undefined && near.VtepMAC.toLowerCase() !== device.mac) {
    found.push({
      id: "flannel-device",
      message: `other nodes are told another hardware address than "${device.name}" has`,
      expected: `${device.name} ${near.VtepMAC.toLowerCase()}`,
      actual: `${device.name} ${device.mac}`,
      ...{ confirm, fix },
    });
  }
  const told = annotatedAddress(own, KEYS[family].address);
  if (told === undefined) return found;
  const local = told.family === 4 ? "local" : "local6";
  if (isOther(device, local, told)) {
    found.push({
      id: "flannel-device",
      message: `"${device.name}" sends from another address than other nodes are told`,
      expected: `local ${formatAddress(told)}`,
      actual: `local ${String(attribute(device, local))}`,
      ...{ confirm, fix },
    });
  }
  const overhead = OVERHEAD.vxlan[told.family];
  return [...found, ...roomDifference(host, "flannel-mtu", device, told, overhead)];
}

function vtepOf({ metadata }: NodeObject, family: 4 | 6): Vtep | undefined {
  let value: unknown;
  try {
    value = JSON.parse(metadata.annotations?.[KEYS[family].data] ?? "null");
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
  const parsed = v.safeParse(vtepShape, value);
  return parsed.success ? parsed.output : undefined;
}

/** The first address of the node's range that has the pod's. */
function cidrOf({ spec }: NodeObject, address: Address): Address | undefined {
  return [...spec?.podCIDRs ?? [], spec?.podCIDR ?? ""].map(parsePrefix)
    .find((prefix) => prefix !== undefined && inPrefix(address, prefix))?.address;
}
