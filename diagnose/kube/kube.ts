/**
 * What a cluster's objects say of a connection, beside what its packets did: which policies are for
 * and against it, where its service should lead, and what of that is not so.
 *
 * @module
 */
import { type Address, formatAddress } from "../packet/address.ts";
import type { Cluster } from "./cluster.ts";
import type { Connecting } from "./match.ts";
import { type Rulings, rulingsOn } from "./policy.ts";
import { backendText, type Drift, driftOf, type Intent, intentOf } from "./service.ts";

/** Endpoints of one service that are asked about; the others are like these. */
const BACKENDS_MAX = 100;

/** What was asked, and what the packets did. */
export interface Asked {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: Connecting["protocol"];
  readonly port?: number;
  /** The node that the packet starts on. */
  readonly node: string;
  /** Where the request's ways ended, as the packet was then. */
  readonly went: readonly { readonly address: Address; readonly port: number }[];
  /** Whether these are all ways that there are. */
  readonly all?: boolean;
  readonly verdict: "reachable" | "blocked" | "unknown";
  /** Rule sets of the nodes, in which enforcers leave their chains. */
  readonly rules?: readonly string[];
}

/** What is remarkable, as a finding without a place. */
export interface Remark {
  readonly id: string;
  readonly severity: "critical" | "warning" | "hint";
  readonly certainty: "certain" | "sometimes" | "possible";
  readonly message: string;
  readonly evidence: readonly { readonly kind: string; readonly text: string }[];
  readonly confirm?: string;
  readonly fix?: string;
}

/** All that the objects say of a connection. */
export interface Opinion {
  /** `pod shop/web`, `service shop/web`, `node a`, or the address. */
  readonly source: string;
  readonly destination: string;
  readonly intent?: Intent;
  readonly drifts: readonly Drift[];
  /** What policies say of each end that the packet may come to. */
  readonly rulings: readonly { readonly to: string; readonly rulings: Rulings }[];
  /** What is known to enforce policies here. */
  readonly enforcers: readonly string[];
  readonly remarks: readonly Remark[];
}

/** What the objects say of a connection. */
export function opinionOf(cluster: Cluster, asked: Asked): Opinion {
  const { source, destination, protocol, port = 0, node } = asked;
  const knock = { address: destination, port, protocol, node };
  const intent = intentOf(cluster, knock);
  const drifts = intent === undefined
    ? []
    : driftOf(intent, knock, asked.went).filter(({ kind }) =>
      kind !== "missing" || asked.all !== false
    );
  const ends = intent?.backends.slice(0, BACKENDS_MAX) ?? [{ address: destination, port }];
  const rulings = ends.map((end) => ({
    to: backendText(end),
    rulings: rulingsOn(cluster, {
      source: cluster.endOf(source),
      destination: cluster.endOf(end.address),
      protocol,
      ...(asked.port === undefined ? {} : { port: end.port }),
    }),
  }));
  const enforcers = enforcersOf(cluster, asked.rules ?? []);
  const opinion = {
    source: nameAt(cluster, source),
    destination: intent === undefined
      ? nameAt(cluster, destination)
      : `service ${intent.service} ${intent.port}`,
    ...(intent === undefined ? {} : { intent }),
    ...{ drifts, rulings, enforcers },
  };
  const remarks = [
    ...ofService(opinion, asked),
    ...ofPolicies(opinion, asked),
    ...ofNodes(cluster, [asked.node, ...intent?.backends.map((each) => each.node) ?? []]),
  ];
  return { ...opinion, remarks };
}

function nameAt(cluster: Cluster, address: Address): string {
  const { pod, node } = cluster.endOf(address);
  if (pod !== undefined) return `pod ${pod.metadata.namespace}/${pod.metadata.name}`;
  return node === undefined ? formatAddress(address) : `node ${node}`;
}

type Unremarked = Omit<Opinion, "remarks">;

const DRIFTS: Readonly<Record<Drift["kind"], { readonly what: string; readonly fix: string }>> = {
  unprogrammed: {
    what: "is not programmed on the way: its packets keep its address",
    fix: "look whether kube-proxy, or what stands for it, runs on that node and is in sync",
  },
  stale: {
    what: "leads to what is none of its endpoints",
    fix: "restart kube-proxy on that node; end connections by conntrack -D if they are old ones",
  },
  missing: {
    what: "does not lead to all of its endpoints",
    fix: "look whether kube-proxy on that node is in sync",
  },
};

function ofService({ intent, drifts }: Unremarked, { verdict, node }: Asked): readonly Remark[] {
  if (intent === undefined) return [];
  const { service, port, because } = intent;
  const [namespace = "", name = ""] = service.split("/");
  const remarks: Remark[] = [];
  if (because !== undefined) {
    remarks.push({
      id: "service-empty",
      severity: verdict === "blocked" ? "critical" : "warning",
      certainty: "certain",
      message: `service ${service} ${port} leads nowhere: ${because}`,
      evidence: [{ kind: "object", text: `Service ${service}: ${because}` }],
      confirm:
        `kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name} -o wide`,
      fix: "look why no pod that it selects is ready, and at its selector and ports",
    });
  }
  for (const { kind, backends } of drifts) {
    const { what, fix } = DRIFTS[kind];
    const isWorst = kind === "unprogrammed" && verdict === "blocked";
    remarks.push({
      id: `service-${kind}`,
      severity: isWorst ? "critical" : kind === "missing" ? "hint" : "warning",
      certainty: "certain",
      message: `service ${service} ${port} ${what}`,
      evidence: [{ kind: "object", text: `node ${node}: ${backends.join(", ")}` }],
      confirm: `kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`,
      fix,
    });
  }
  return remarks;
}

function ofPolicies(
  { rulings, enforcers }: Unremarked,
  { verdict }: Asked,
): readonly Remark[] {
  const seen = new Map<string, Remark>();
  const all = rulings.flatMap(({ rulings: { egress, ingress } }) => [egress, ingress]);
  const denied = rulings.filter((each) => each.rulings.verdict === "denied").length;
  for (const ruling of all.filter((each) => each.verdict !== "allowed")) {
    const { direction, pod = "", because, selecting } = ruling;
    const isEnforced = enforcers.length > 0;
    const word = ruling.verdict === "denied" ? "is not allowed" : "may not be allowed";
    const enforced = isEnforced
      ? `enforced by ${enforcers.join(", ")}`
      : "nothing here is known to enforce it";
    const passes = verdict === "reachable" && ruling.verdict === "denied"
      ? "; yet packets pass"
      : "";
    const [namespace] = pod.split("/");
    seen.set(`${direction} ${pod} ${because}`, {
      id: ruling.verdict === "denied" ? "policy-denies" : "policy-unknown",
      // What stops packets for certain is what the walk has found.
      severity: verdict !== "reachable" && isEnforced && ruling.verdict === "denied"
        ? "warning"
        : "hint",
      certainty: ruling.verdict === "unknown"
        ? "possible"
        : denied < rulings.length
        ? "sometimes"
        : "certain",
      message: `${direction} of ${pod} ${word} by policy: ${because} (${enforced})${passes}`,
      evidence: selecting.map((text) => ({ kind: "object", text })),
      confirm: `kubectl -n ${namespace} get networkpolicies -o yaml`,
      fix: `add a rule that allows it, as its ${direction} is isolated`,
    });
  }
  return [...seen.values()];
}

function ofNodes(cluster: Cluster, names: readonly string[]): readonly Remark[] {
  return [...new Set(names)].flatMap((name): Remark[] => {
    const conditions = cluster.nodes.get(name)?.status?.conditions ?? [];
    const wrong = conditions.filter(({ type, status }) =>
      type === "Ready" ? status !== "True" : type === "NetworkUnavailable" && status === "True"
    );
    return wrong.map(({ type, status, message }) => ({
      id: "node-condition",
      severity: "warning",
      certainty: "possible",
      message: `node ${name} says ${type} is ${status}`,
      evidence: [{ kind: "object", text: message ?? "" }],
      confirm: `kubectl describe node ${name}`,
    }));
  });
}

/** Who enforces policies, by the names that its pods have. */
const BY_POD: readonly (readonly [RegExp, string])[] = [
  [/^calico-node-/, "Calico"],
  [/^canal-/, "Calico"],
  [/^cilium-\w{5}$/, "Cilium"],
  [/^antrea-agent-/, "Antrea"],
  [/^kube-router-/, "kube-router"],
  [/^weave-net-/, "Weave Net"],
  [/^kube-network-policies-/, "kube-network-policies"],
  [/^kindnet-/, "kindnet"],
  [/^ovnkube-node-/, "OVN-Kubernetes"],
  [/^kube-ovn-cni-/, "Kube-OVN"],
  [/^azure-npm-/, "Azure NPM"],
];

/** The same by chains and tables in rule sets, of those that need no pod too. */
const BY_RULES: readonly (readonly [RegExp, string])[] = [
  [/\bcali-(FORWARD|fw-|tw-)/, "Calico"],
  [/\bKUBE-(ROUTER-FORWARD|NWPLCY-)/, "kube-router"],
  [/\bWEAVE-NPC\b/, "Weave Net"],
  [/\bkube-network-policies\b/, "kube-network-policies"],
  [/\bkindnet-network-policies\b/, "kindnet"],
  [/\bAZURE-NPM\b/, "Azure NPM"],
];

/** What is known to enforce policies, by its pods and by its rules. */
export function enforcersOf(cluster: Cluster, rules: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const { metadata: { name } } of cluster.pods.values()) {
    for (const [pattern, enforcer] of BY_POD) if (pattern.test(name)) found.add(enforcer);
  }
  for (const text of rules) {
    for (const [pattern, enforcer] of BY_RULES) if (pattern.test(text)) found.add(enforcer);
  }
  return [...found].sort();
}
