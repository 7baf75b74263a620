/**
 * What network policies say of a connection: AdminNetworkPolicy, then NetworkPolicy, then
 * BaselineAdminNetworkPolicy, at the sender and at the receiver.
 *
 * Services are not seen here: policies hold for a packet once it has its backend's address.
 *
 * Source: Kubernetes documentation, "Network Policies"; API reference, networking.k8s.io/v1;
 * network-policy-api, policy.networking.k8s.io/v1alpha1.
 *
 * @module
 */
import { inPrefix, parsePrefix } from "../packet/address.ts";
import { adminVerdict } from "./admin_policy.ts";
import { type Cluster, type End, hasEnded } from "./cluster.ts";
import {
  nameOf,
  type Peer,
  type PodObject,
  type PolicyObject,
  type PolicyPorts,
} from "./objects.ts";
import {
  any,
  both,
  type Connecting,
  type Direction,
  type Match,
  namedPort,
  namespaceSelected,
} from "./match.ts";
import { selects } from "./selector.ts";

/** What holds at one end. */
export interface Ruling {
  readonly direction: Direction;
  readonly verdict: "allowed" | "denied" | "unknown";
  readonly because: string;
  /** The pod that the policies are of. */
  readonly pod?: string;
  /** Policies that select it, as `NetworkPolicy shop/web`. */
  readonly selecting: readonly string[];
  /** What decides: `NetworkPolicy shop/web ingress[0]`. */
  readonly by?: string;
}

/** Both ends together. */
export interface Rulings {
  readonly verdict: Ruling["verdict"];
  readonly egress: Ruling;
  readonly ingress: Ruling;
}

/** What policies say of a connection. */
export function rulingsOn(cluster: Cluster, connecting: Connecting): Rulings {
  const egress = rulingOn(cluster, connecting, "egress");
  const ingress = rulingOn(cluster, connecting, "ingress");
  const verdicts = [egress.verdict, ingress.verdict];
  const verdict = verdicts.includes("denied")
    ? "denied"
    : verdicts.includes("unknown")
    ? "unknown"
    : "allowed";
  return { verdict, egress, ingress };
}

/** What policies of one end say. */
export function rulingOn(cluster: Cluster, connecting: Connecting, direction: Direction): Ruling {
  const [own, other] = direction === "ingress"
    ? [connecting.destination, connecting.source]
    : [connecting.source, connecting.destination];
  const { pod } = own;
  const ruling = (verdict: Ruling["verdict"], because: string, more: Partial<Ruling> = {}) => ({
    ...{ direction, verdict, because, selecting: [] },
    ...(pod === undefined ? {} : { pod: nameOf(pod) }),
    ...more,
  });
  if (pod === undefined) {
    const what = own.node === undefined ? "it is no pod" : "it is in a node's network";
    return ruling("allowed", `${what}, and policies are pods'`);
  }
  if (other.pod === pod) return ruling("allowed", "a pod cannot be kept from itself");
  if (other.node !== undefined && other.node === pod.spec.nodeName) {
    return ruling("allowed", "a pod and its own node are always let through to each other");
  }
  const admin = adminVerdict(cluster, connecting, direction, "AdminNetworkPolicy");
  if (admin !== undefined && admin.verdict !== "pass") {
    return ruling(admin.verdict, admin.because, { by: admin.by, selecting: admin.selecting });
  }
  const selecting = selectingPolicies(cluster, pod, direction);
  if (selecting.length > 0) {
    const { verdict, because, ...more } = unionOf(cluster, connecting, direction, selecting, other);
    return ruling(verdict, because, more);
  }
  const baseline = adminVerdict(cluster, connecting, direction, "BaselineAdminNetworkPolicy");
  if (baseline !== undefined && baseline.verdict !== "pass") {
    const { verdict, because, by, selecting: theirs } = baseline;
    return ruling(verdict, because, { by, selecting: theirs });
  }
  return ruling("allowed", `no policy selects it for ${direction}`);
}

type Selecting = readonly { readonly policy: PolicyObject; readonly certain: boolean }[];

/** The policies that isolate a pod in a direction, and those of which it cannot be told. */
function selectingPolicies(cluster: Cluster, pod: PodObject, direction: Direction): Selecting {
  return cluster.policies.flatMap((policy) => {
    if (policy.metadata.namespace !== pod.metadata.namespace) return [];
    if (!typesOf(policy).includes(direction)) return [];
    const { podSelector } = policy.spec;
    const selected = podSelector === undefined || podSelector === null
      ? true
      : selects(podSelector, pod.metadata.labels);
    return selected === false ? [] : [{ policy, certain: selected === true }];
  });
}

/** Without types, a policy is of ingress, and of egress if it has rules for it. */
function typesOf({ spec }: PolicyObject): readonly Direction[] {
  const types = spec.policyTypes.map((type) => type.toLowerCase());
  const wanted: readonly Direction[] = ["ingress", "egress"];
  if (types.length > 0) return wanted.filter((each) => types.includes(each));
  return spec.egress.length > 0 ? wanted : ["ingress"];
}

/** Policies add up: what any of them allows is allowed. */
function unionOf(
  cluster: Cluster,
  connecting: Connecting,
  direction: Direction,
  all: Selecting,
  other: End,
): Omit<Ruling, "direction" | "pod"> {
  const selecting = all.map(({ policy }) => `NetworkPolicy ${nameOf(policy)}`);
  let doubt: string | undefined;
  for (const { policy, certain } of all) {
    const { ingress, egress } = policy.spec;
    const rules = direction === "ingress"
      ? ingress.map(({ from, ports }) => ({ peers: from, ports }))
      : egress.map(({ to, ports }) => ({ peers: to, ports }));
    for (const [index, { peers, ports }] of rules.entries()) {
      const match = both(
        anyPeer(cluster, policy, peers, other),
        anyPort(ports, connecting),
      );
      if (match === false) continue;
      const by = `NetworkPolicy ${nameOf(policy)} ${direction}[${index}]`;
      if (match === true && certain) {
        return { verdict: "allowed", because: `${by} allows it`, selecting, by };
      }
      doubt ??= `whether ${by} holds for it cannot be told`;
    }
  }
  if (doubt !== undefined) return { verdict: "unknown", because: doubt, selecting };
  const names = selecting.join(", ");
  const because = `${names} ${all.length === 1 ? "selects" : "select"} it, and no rule allows it`;
  // That somebody may be isolated is not known to isolate.
  if (all.every(({ certain }) => !certain)) return { verdict: "unknown", because, selecting };
  if (connecting.protocol === "ICMP") {
    const undefinedWords = "policies do not say what becomes of ICMP, and implementations differ";
    return { verdict: "unknown", because: `${because}; ${undefinedWords}`, selecting };
  }
  return { verdict: "denied", because, selecting };
}

/** No peers are all peers. */
function anyPeer(
  cluster: Cluster,
  policy: PolicyObject,
  peers: readonly Peer[],
  other: End,
): Match {
  return peers.length === 0 || any(peers.map((peer) => peerMatches(cluster, policy, peer, other)));
}

function peerMatches(cluster: Cluster, policy: PolicyObject, peer: Peer, other: End): Match {
  const { ipBlock } = peer;
  if (ipBlock !== undefined && ipBlock !== null) return blockMatches(ipBlock, other);
  const { pod, node } = other;
  // Who enforces may tell pods in a node's network from the node, or not: that is not defined.
  if (pod === undefined && node !== undefined) {
    const maybe = [...cluster.pods.values()].some((each) =>
      each.spec.hostNetwork === true && each.spec.nodeName === node && !hasEnded(each) &&
      podMatches(cluster, policy, peer, each) !== false
    );
    return maybe ? "unknown" : false;
  }
  return pod !== undefined && podMatches(cluster, policy, peer, pod);
}

function podMatches(
  cluster: Cluster,
  policy: PolicyObject,
  { namespaceSelector, podSelector }: Peer,
  pod: PodObject,
): Match {
  const namespace = pod.metadata.namespace;
  let inNamespace: Match = namespace === policy.metadata.namespace;
  if (namespaceSelector !== undefined && namespaceSelector !== null) {
    inNamespace = namespaceSelected(cluster, namespaceSelector, namespace);
  }
  if (podSelector === undefined || podSelector === null) return inNamespace;
  return both(inNamespace, selects(podSelector, pod.metadata.labels));
}

function blockMatches(
  { cidr, except }: NonNullable<Peer["ipBlock"]>,
  { address, pod }: End,
): Match {
  const prefix = parsePrefix(cidr);
  if (prefix === undefined) return "unknown";
  if (!inPrefix(address, prefix)) return false;
  const holes = except.map(parsePrefix);
  if (holes.some((hole) => hole !== undefined && inPrefix(address, hole))) return false;
  // Blocks are meant for what is outside of the cluster; whether they hold for a pod's address is
  // the implementation's: Calico's and kube-router's do, Cilium's do not.
  return pod === undefined && !holes.includes(undefined) ? true : "unknown";
}

/** No ports are all ports, of all protocols. */
function anyPort(ports: PolicyPorts, connecting: Connecting): Match {
  const list = ports;
  if (list.length === 0) return true;
  return any(list.map(({ protocol, port, endPort }) => {
    if (protocol !== connecting.protocol) return false;
    if (port === undefined || port === null) return true;
    if (typeof port === "string") return namedPort(connecting, port, protocol);
    if (connecting.port === undefined) return "unknown";
    return connecting.port >= port && connecting.port <= (endPort ?? port);
  }));
}
