/**
 * Dataplanes that are not the kernel's own: BPF programs and Open vSwitch take packets at their
 * devices, and what becomes of them is not walked. Until then everything holds, and beyond nothing.
 *
 * Sources: Cilium's "Life of a Packet"; Calico's "eBPF dataplane"; Antrea's "OVS pipeline".
 *
 * @module
 */
import type { Packet } from "../packet/packet.ts";
import { PROTOCOLS } from "../packet/packet.ts";
import type { Device } from "./device.ts";
import { deviceText } from "./frames.ts";
import type { Namespace } from "./namespace.ts";
import type { Network } from "./network.ts";
import { listenerFor } from "./socket.ts";
import { type Cause, type End, ended, type Evidence, type Step } from "./trail.ts";

/** Someone who takes packets from the kernel. */
export interface Dataplane {
  readonly name: string;
  /** What decides. */
  readonly by: string;
  /** A command that shows what becomes of packets. */
  readonly confirm: string;
  /** Whether packets at this device of the node are its. */
  owns(device: Device): boolean;
  /** Whether it sees packets at the node's other devices as well, before the kernel does. */
  readonly first: boolean;
}

const isPods = ({ kind, link }: Device) =>
  kind === "netkit" || kind === "veth" && link.link_netnsid !== undefined;

const CILIUM: Dataplane = {
  name: "Cilium",
  by: "Cilium's BPF programs",
  confirm: "kubectl -n kube-system exec ds/cilium -- cilium-dbg monitor --type drop",
  owns: (device) => isPods(device) || /^(cilium_|lxc)/.test(device.name),
  first: true,
};

const CALICO: Dataplane = {
  name: "Calico eBPF",
  by: "Calico's BPF programs",
  confirm: "kubectl -n calico-system exec ds/calico-node -- calico-node -bpf counters dump",
  owns: (device) => isPods(device) || /^(cali|bpf|vxlan\.calico)/.test(device.name),
  first: true,
};

/** Who takes packets on a node: by the devices that each makes there; undefined for the kernel. */
export function dataplaneOf(namespace: Namespace): Dataplane | undefined {
  if (!namespace.snapshot.host) return undefined;
  if (namespace.device("cilium_host") !== undefined) return CILIUM;
  const { devices } = namespace;
  if (devices.some(({ name }) => /^bpf(nat)?(in|out)(\.cali)?$/.test(name))) return CALICO;
  if (!devices.some(({ kind }) => kind === "openvswitch")) return undefined;
  const switched = (device: Device | undefined) => device?.kind === "openvswitch";
  return {
    name: openSwitch(devices),
    by: "Open vSwitch's flows",
    confirm: "ovs-appctl ofproto/trace",
    owns: (device) => switched(device) || switched(namespace.device(device.link.master)),
    first: false,
  };
}

/** Who has set Open vSwitch up. */
function openSwitch(devices: readonly Device[]): string {
  const has = (start: string) => devices.some(({ name }) => name.startsWith(start));
  if (has("antrea-")) return "Antrea";
  if (has("ovn-k8s-")) return "OVN-Kubernetes";
  return has("ovn0") ? "Kube-OVN" : "Open vSwitch";
}

/** The end of a way; where someone else takes the packet, the way up to there, and that it does. */
export function beyondKernel(network: Network, end: End): End {
  const { steps } = end.trail;
  for (const [at, step] of steps.entries()) {
    const taken = takenAt(network, step);
    if (taken !== undefined) return cut(network, end, at, step, taken);
  }
  const { cause } = end;
  const last = steps.at(-1);
  if (end.verdict !== "blocked" || cause === undefined || last === undefined) return end;
  // It may have been led elsewhere before the kernel came to refuse it: to a node port, say.
  const plane = dataplaneOf(cause.namespace);
  const arrived = steps.find(({ namespace, does }) =>
    namespace === cause.namespace && does === "arrive"
  );
  if (plane?.first !== true || arrived === undefined) return end;
  const device = cause.namespace.device(arrived.device);
  if (device === undefined) return end;
  return cut(network, end, steps.length - 1, last, { plane, host: cause.namespace, device });
}

interface Taken {
  readonly plane: Dataplane;
  readonly host: Namespace;
  readonly device: Device;
}

/** Whose the packet is at a step: at a node's device, or at the far end of a pod's. */
function takenAt(network: Network, { namespace, device: name, does }: Step): Taken | undefined {
  if (!["route", "arrive", "leave", "decapsulate", "bridge"].includes(does)) return undefined;
  const device = namespace.device(name);
  if (device === undefined) return undefined;
  const own = dataplaneOf(namespace);
  if (own?.owns(device) === true) return { plane: own, host: namespace, device };
  const peer = device.kind === "veth" || device.kind === "netkit"
    ? network.linked({ namespace, device })
    : undefined;
  if (peer === undefined) return undefined;
  const plane = dataplaneOf(peer.namespace);
  return plane?.owns(peer.device) === true
    ? { plane, host: peer.namespace, device: peer.device }
    : undefined;
}

function cut(
  network: Network,
  { trail }: End,
  at: number,
  { packet }: Step,
  { plane, host, device }: Taken,
): End {
  const cause: Cause = {
    id: "dataplane-unknown",
    namespace: host,
    device: device.name,
    what: `${plane.by} decide at "${device.name}" what becomes of it, and they are not walked`,
    evidence: [
      { kind: "device", text: deviceText(device) },
      ...listening(network, packet),
    ],
    confirm: plane.confirm,
  };
  return ended("unknown", { ...trail, steps: trail.steps.slice(0, at + 1) }, packet, cause);
}

/** What is known all the same: whether somebody listens where it is to go. */
function listening(network: Network, packet: Packet): readonly Evidence[] {
  if (packet.protocol !== PROTOCOLS.tcp && packet.protocol !== PROTOCOLS.udp) return [];
  const [owner, ...others] = network.owners(packet.destination);
  if (owner === undefined || others.length > 0) return [];
  const heard = listenerFor(owner.namespace, owner.device.name, packet);
  const text = heard.heard ? `socket ${heard.text}` : heard.cause.what;
  return [{ kind: "socket", text: `${owner.namespace.label}: ${text}` }];
}
