/**
 * What AdminNetworkPolicies and the BaselineAdminNetworkPolicy say of a connection: the first rule
 * that matches decides, in the order of priorities.
 *
 * Source: network-policy-api, policy.networking.k8s.io/v1alpha1.
 *
 * @module
 */
import { inPrefix, parsePrefix } from "../packet/address.ts";
import type { Cluster, End } from "./cluster.ts";
import type { AdminObject, AdminPeer, AdminPorts, Selector } from "./objects.ts";
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

/** What the administrator's policies say; `pass` leaves it to the next kind. */
export interface AdminVerdict {
  readonly verdict: "allowed" | "denied" | "unknown" | "pass";
  readonly because: string;
  /** `AdminNetworkPolicy deny-all ingress[0]` */
  readonly by: string;
  readonly selecting: readonly string[];
}

/** What the policies of a kind say; undefined if none of their rules matches. */
export function adminVerdict(
  cluster: Cluster,
  connecting: Connecting,
  direction: Direction,
  kind: AdminObject["kind"],
): AdminVerdict | undefined {
  const [own, other] = direction === "ingress"
    ? [connecting.destination, connecting.source]
    : [connecting.source, connecting.destination];
  const found = subjectsOf(cluster, own, kind);
  const selecting = found.map(({ policy }) => `${policy.kind} ${policy.metadata.name}`);
  const priorities = [...new Set(found.map(({ policy }) => policy.spec.priority ?? 0))];
  for (const priority of priorities) {
    const rules = found.filter(({ policy }) => (policy.spec.priority ?? 0) === priority)
      .flatMap(({ policy, selected }) =>
        firstRule(cluster, policy, selected, connecting, direction, other) ?? []
      );
    const [first] = rules;
    if (first === undefined) continue;
    if (rules.every(({ verdict }) => verdict === first.verdict)) return { ...first, selecting };
    const by = rules.map((each) => each.by).join(", ");
    const because = `${by} have the same priority and say different things, and their order is ` +
      "not defined";
    return { verdict: "unknown", because, by, selecting };
  }
  return undefined;
}

/** The first rule of a policy that holds, or may; undefined if none does. */
function firstRule(
  cluster: Cluster,
  policy: AdminObject,
  selected: Match,
  connecting: Connecting,
  direction: Direction,
  other: End,
): Omit<AdminVerdict, "selecting"> | undefined {
  for (const [index, rule] of rulesOf(policy, direction).entries()) {
    const peer = any(rule.peers.map((each) => peerMatches(cluster, each, other)));
    const match = both(selected, both(peer, portsMatch(rule.ports, connecting)));
    if (match === false) continue;
    const by = `${policy.kind} ${policy.metadata.name} ${direction}[${index}]`;
    return match === true
      ? { verdict: verdictOf(rule.action), because: `${by}: ${rule.action}`, by }
      : { verdict: "unknown", because: `whether ${by} holds for it cannot be told`, by };
  }
  return undefined;
}

function verdictOf(action: string): AdminVerdict["verdict"] {
  if (action === "Allow") return "allowed";
  if (action === "Deny") return "denied";
  return action === "Pass" ? "pass" : "unknown";
}

/** The policies whose subject the end is, or may be, in their order. */
function subjectsOf(cluster: Cluster, { pod }: End, kind: AdminObject["kind"]) {
  if (pod === undefined) return [];
  const policies = cluster.adminPolicies.filter((each) => each.kind === kind)
    .toSorted((a, b) =>
      (a.spec.priority ?? 0) - (b.spec.priority ?? 0) ||
      (a.metadata.name < b.metadata.name ? -1 : 1)
    );
  return policies.flatMap((policy) => {
    const { namespaces, pods } = policy.spec.subject;
    const selected = podSelected(cluster, pod, namespaces, pods);
    return selected === false ? [] : [{ policy, selected }];
  });
}

function rulesOf({ spec }: AdminObject, direction: Direction) {
  if (direction === "ingress") {
    return (spec.ingress ?? []).map(({ from, ...rule }) => ({ ...rule, peers: from ?? [] }));
  }
  return (spec.egress ?? []).map(({ to, ...rule }) => ({ ...rule, peers: to ?? [] }));
}

function podSelected(
  cluster: Cluster,
  pod: NonNullable<End["pod"]>,
  namespaces: Selector | null | undefined,
  pods: AdminPeer["pods"],
): Match {
  const namespace = pod.metadata.namespace ?? "";
  const inNamespace = (selector: Selector | null | undefined): Match =>
    selector === undefined || selector === null ||
    namespaceSelected(cluster, selector, namespace);
  if (namespaces !== undefined && namespaces !== null) return inNamespace(namespaces);
  if (pods === undefined || pods === null) return false;
  const { namespaceSelector, podSelector } = pods;
  const labels = pod.metadata.labels ?? {};
  const isPod = podSelector === undefined || podSelector === null || selects(podSelector, labels);
  return both(inNamespace(namespaceSelector), isPod);
}

function peerMatches(cluster: Cluster, peer: AdminPeer, end: End): Match {
  const { namespaces, pods, nodes, networks, domainNames } = peer;
  if (networks !== undefined && networks !== null) {
    const prefixes = networks.map(parsePrefix);
    return any(
      prefixes.map((each) => each === undefined ? "unknown" : inPrefix(end.address, each)),
    );
  }
  if (nodes !== undefined && nodes !== null) {
    if (end.node === undefined) return false;
    const node = cluster.nodes.get(end.node);
    return node === undefined ? "unknown" : selects(nodes, node.metadata.labels ?? {});
  }
  // Whose address a name was when it was last asked for is not in the objects.
  if (domainNames !== undefined && domainNames !== null) return end.pod === undefined && "unknown";
  return end.pod !== undefined && podSelected(cluster, end.pod, namespaces, pods);
}

/** No ports at all are all of them, of all protocols. */
function portsMatch(ports: AdminPorts, connecting: Connecting): Match {
  if (ports === undefined || ports === null || ports.length === 0) return true;
  return any(ports.map(({ portNumber, portRange, namedPort: name }): Match => {
    const { protocol, port = -1 } = connecting;
    if (portNumber !== undefined && portNumber !== null) {
      return portNumber.protocol === protocol && portNumber.port === port;
    }
    if (portRange !== undefined && portRange !== null) {
      const { start, end } = portRange;
      return portRange.protocol === protocol && port >= start && port <= end;
    }
    if (name === undefined || name === null) return "unknown";
    return namedPort(connecting, name, protocol);
  }));
}
