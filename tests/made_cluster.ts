/**
 * Clusters of two nodes with a pod on each, as flannel and Calico set them up: what the kernels
 * would have recorded of them, and their objects.
 *
 * @module
 */
import { diagnosed, namesOf } from "../agent/commands/diagnose_objects.ts";
import { Cluster } from "../diagnose/kube/cluster.ts";
import { DNS_PORT } from "../diagnose/kube/dns.ts";
import { readObjects } from "../diagnose/kube/objects.ts";
import type { NamespaceSnapshot, Snapshot } from "../diagnose/snapshot/format.ts";
import type { Diagnosis, Question } from "../diagnose/walk/diagnosis.ts";
import { Network } from "../diagnose/walk/network.ts";
import { ip } from "./made_rules.ts";
import {
  forwarding,
  macOf,
  type MadeDevice,
  type MadeNamespace,
  madeSnapshot,
} from "./made_network.ts";

/** The networks that are made, each with what carries packets between nodes. */
export type MadeNetwork =
  | ("flannel vxlan" | "flannel host-gw")
  | ("calico bgp" | "calico ipip" | "calico vxlan");

/** What differs from the plain cluster. */
export interface MadeCluster {
  /** Of the nodes' own network. */
  readonly mtu?: number;
  /** Bytes that the tunnel's devices and the pods have more than what fits. */
  readonly excess?: number;
  /** Changes of the first node's namespace, once it is made. */
  readonly change?: (node: MadeNamespace) => Partial<MadeNamespace>;
  /** What both nodes have besides, such as rules. */
  readonly both?: Partial<NamespaceSnapshot>;
  /** What both pods have besides. */
  readonly pods?: Partial<NamespaceSnapshot>;
}

/** Bytes around a packet. */
const OVERHEAD = { vxlan: 50, ipip: 20 } as const;

const ether = (number: number) => `192.168.0.1${number}`;
const six = (number: number) => `fd00:192::1${number}`;
/** The first address of a node's range, and its pod. */
const base = (number: number) => `10.244.${number}.0`;
export const podAddress = (number: number) => `10.244.${number}.2`;
export const podAddress6 = (number: number) => `fd00:244:${number}::2`;
export const serviceAddress = "10.96.0.17";

/** The snapshots of both nodes; their names are `node1` and `node2`, the pods' `shop/web-1`, … */
export function madeNodes(network: MadeNetwork, made: MadeCluster = {}): readonly Snapshot[] {
  return [1, 2].map((own) => madeNode(network, own, 3 - own, made));
}

function madeNode(network: MadeNetwork, own: number, other: number, made: MadeCluster): Snapshot {
  const { mtu = 1500, excess = 0, change, both, pods } = made;
  const [cni = "", carrier = ""] = network.split(" ");
  const inner = mtu - (carrier === "vxlan" || carrier === "ipip" ? OVERHEAD[carrier] : 0) + excess;
  const parts = cni === "flannel"
    ? flannelNode(carrier, own, other, { mtu, inner })
    : calicoNode(carrier, own, other, { mtu, inner });
  const node = { ...parts.node, ...(own === 1 ? change?.(parts.node) : {}) };
  const snapshot = madeSnapshot({
    node: { ...node, more: { ...node.more, ...both } },
    pod: { ...parts.pod, more: { ...parts.pod.more, ...pods } },
  }, `node${own}`);
  return {
    ...snapshot,
    namespaces: snapshot.namespaces.map((each): NamespaceSnapshot =>
      each.host ? each : { ...each, owner: { kind: "pod", namespace: "shop", name: `web-${own}` } }
    ),
  };
}

interface Sizes {
  readonly mtu: number;
  readonly inner: number;
}

const LISTENERS = ["tcp * 8080", "udp * 53", "tcp * 53"];

function eth0(own: number, mtu: number): MadeDevice {
  return { addresses: [`${ether(own)}/24`, `${six(own)}/64`], mtu };
}

function flannelNode(carrier: string, own: number, other: number, { mtu, inner }: Sizes) {
  const tunnel = tunnelOf(carrier, "flannel.1", own, other, inner, 8472);
  const node: MadeNamespace = {
    devices: {
      eth0: eth0(own, mtu),
      cni0: {
        kind: "bridge",
        addresses: [`10.244.${own}.1/24`, `fd00:244:${own}::1/64`],
        mtu: inner,
      },
      veth1: { kind: "veth", to: ["pod", "eth0"], master: "cni0", mtu: inner },
      ...tunnel.devices,
    },
    routes: [
      carrier === "vxlan"
        ? { dst: `${base(other)}/24`, gateway: base(other), dev: "flannel.1", flags: ["onlink"] }
        : { dst: `${base(other)}/24`, gateway: ether(other), dev: "eth0" },
      { family: "inet6", dst: `fd00:244:${other}::/64`, gateway: six(other), dev: "eth0" },
      { gateway: "192.168.0.1", dev: "eth0" },
    ],
    ...{ neighbours: tunnel.neighbours, fdb: tunnel.fdb },
    sysctls: forwarding("eth0", "cni0", "veth1", "flannel.1"),
  };
  const pod: MadeNamespace = {
    devices: {
      eth0: {
        ...{ kind: "veth", to: ["node", "veth1"], mtu: inner },
        addresses: [`${podAddress(own)}/24`, `${podAddress6(own)}/64`],
      },
    },
    routes: [
      { gateway: `10.244.${own}.1`, dev: "eth0" },
      { family: "inet6", gateway: `fd00:244:${own}::1`, dev: "eth0", metric: 1024 },
    ],
    listeners: LISTENERS,
  };
  return { node, pod };
}

/** Calico's pods have a /32, and ask for a gateway that every cable answers for. */
function calicoNode(carrier: string, own: number, other: number, { mtu, inner }: Sizes) {
  const name = carrier === "ipip" ? "tunl0" : "vxlan.calico";
  const tunnel = tunnelOf(carrier, name, own, other, inner, 4789);
  const far = {
    vxlan: { gateway: base(other), dev: name, flags: ["onlink"], protocol: "80" },
    ipip: { gateway: ether(other), dev: name, flags: ["onlink"], protocol: "12" },
  }[carrier] ?? { gateway: ether(other), dev: "eth0", protocol: "12" };
  const node: MadeNamespace = {
    devices: {
      eth0: eth0(own, mtu),
      cali1: { kind: "veth", to: ["pod", "eth0"], mtu: inner },
      ...tunnel.devices,
    },
    routes: [
      { dst: podAddress(own), dev: "cali1", scope: "253" },
      { type: "blackhole", dst: `${base(own)}/26`, protocol: "80" },
      { dst: `${base(other)}/26`, ...far },
      { gateway: "192.168.0.1", dev: "eth0" },
    ],
    ...{ neighbours: tunnel.neighbours, fdb: tunnel.fdb },
    sysctls: { ...forwarding("eth0", "cali1", name), "net/ipv4/conf/cali1/proxy_arp": "1" },
  };
  const pod: MadeNamespace = {
    devices: {
      eth0: {
        kind: "veth",
        to: ["node", "cali1"],
        addresses: [`${podAddress(own)}/32`],
        mtu: inner,
      },
    },
    routes: [
      { dst: "169.254.1.1", dev: "eth0", scope: "253" },
      { gateway: "169.254.1.1", dev: "eth0" },
    ],
    listeners: LISTENERS,
  };
  return { node, pod };
}

function tunnelOf(
  carrier: string,
  name: string,
  own: number,
  other: number,
  mtu: number,
  port: number,
): Required<Pick<MadeNamespace, "devices" | "neighbours" | "fdb">> {
  const addresses = [`${base(own)}/32`];
  if (carrier === "ipip") {
    const data = { remote: "any", local: "any" };
    return { devices: { [name]: { kind: "ipip", data, addresses, mtu } }, neighbours: [], fdb: [] };
  }
  if (carrier !== "vxlan") return { devices: {}, neighbours: [], fdb: [] };
  const lladdr = macOf("node", name);
  const id = name === "flannel.1" ? 1 : 4096;
  const data = { id, port, local: ether(own), link: "eth0" };
  return {
    devices: { [name]: { kind: "vxlan", data, addresses, mtu } },
    neighbours: [{ dst: base(other), dev: name, lladdr, state: ["PERMANENT"] }],
    fdb: [{ mac: lladdr, ifname: name, dst: ether(other), flags: ["self"], state: "permanent" }],
  };
}

/** The objects of such a cluster, with the annotations that its network writes. */
export function madeObjects(network: MadeNetwork): readonly unknown[] {
  const [cni = "", carrier = ""] = network.split(" ");
  return [
    ...[1, 2].map((own) => nodeObject(cni, carrier, own)),
    ...[1, 2].map((own) => ({
      kind: "Pod",
      metadata: { name: `web-${own}`, namespace: "shop", labels: { app: "web" } },
      spec: { nodeName: `node${own}`, containers: [] },
      status: {
        phase: "Running",
        podIP: podAddress(own),
        podIPs: [{ ip: podAddress(own) }, ...cni === "flannel" ? [{ ip: podAddress6(own) }] : []],
      },
    })),
    { kind: "Namespace", metadata: { name: "shop" } },
    ...(cni === "calico" ? [poolObject(carrier)] : []),
  ];
}

function nodeObject(cni: string, carrier: string, own: number) {
  const annotations = cni === "flannel"
    ? {
      "flannel.alpha.coreos.com/backend-type": carrier,
      "flannel.alpha.coreos.com/backend-data": carrier === "vxlan"
        ? JSON.stringify({ VNI: 1, VtepMAC: macOf("node", "flannel.1") })
        : "null",
      "flannel.alpha.coreos.com/kube-subnet-manager": "true",
      "flannel.alpha.coreos.com/public-ip": ether(own),
    }
    : {
      "projectcalico.org/IPv4Address": `${ether(own)}/24`,
      ...(carrier === "ipip" ? { "projectcalico.org/IPv4IPIPTunnelAddr": base(own) } : {}),
      ...(carrier === "vxlan" ? { "projectcalico.org/IPv4VXLANTunnelAddr": base(own) } : {}),
    };
  return {
    kind: "Node",
    metadata: { name: `node${own}`, annotations },
    spec: { podCIDR: `${base(own)}/24`, podCIDRs: [`${base(own)}/24`, `fd00:244:${own}::/64`] },
    status: {
      addresses: [{ type: "InternalIP", address: ether(own) }],
      conditions: [{ type: "Ready", status: "True" }],
    },
  };
}

function poolObject(carrier: string) {
  return {
    apiVersion: "crd.projectcalico.org/v1",
    kind: "IPPool",
    metadata: { name: "default-ipv4-ippool" },
    spec: {
      cidr: "10.244.0.0/16",
      ipipMode: carrier === "ipip" ? "Always" : "Never",
      vxlanMode: carrier === "vxlan" ? "Always" : "Never",
      natOutgoing: true,
    },
  };
}

/** What is asked of such a cluster. */
export interface MadeQuestion extends MadeCluster {
  readonly from?: string;
  readonly to?: string;
  /** Looked up by the source, instead of `to`. */
  readonly name?: string;
  readonly port?: number;
  readonly protocol?: Question["protocol"];
  readonly uid?: number;
  /** Objects besides the cluster's own. */
  readonly more?: readonly unknown[];
  /** Instead of the cluster's own. */
  readonly objects?: readonly unknown[];
  /** Objects of the wrong shape are passed over, as the command does it. */
  readonly lenient?: boolean;
  /** Instead of the cluster's own. */
  readonly nodes?: readonly Snapshot[];
}

/** The diagnosis of the first node's pod asking the second's, unless others are named. */
export function diagnosedIn(network: MadeNetwork, asked: MadeQuestion = {}): Diagnosis {
  const { from = podAddress(1), to = podAddress(2), port = 8080, protocol = "tcp", uid } = asked;
  const { objects = madeObjects(network), more = [], nodes = madeNodes(network, asked) } = asked;
  const { objects: read, mistakes } = readObjects(JSON.stringify([...objects, ...more]));
  if (mistakes.length > 0 && asked.lenient !== true) {
    throw new Error(`Cannot make the cluster: ${mistakes.join(", ")}`);
  }
  const joined = new Network(nodes);
  const user = uid === undefined ? {} : { uid };
  const cluster = new Cluster(read);
  const { name } = asked;
  const source = { addresses: [ip(from)] };
  const lookup = name === undefined ? undefined : namesOf(joined, cluster).lookUp?.(name, source);
  const destination = lookup?.addresses[0] ?? lookup?.resolver.nameservers[0] ?? ip(to);
  const isKnown = lookup === undefined || lookup.addresses.length > 0;
  const to53 = { protocol: "udp", port: DNS_PORT } as const;
  const at = isKnown ? { protocol, port } : to53;
  const question = { source: ip(from), destination, ...at, ...user };
  return diagnosed(joined, lookup === undefined ? question : { ...question, lookup }, cluster);
}
