/**
 * What a cluster's objects say of a connection, beside what its packets did: which policies are for
 * and against it, where its service should lead, and what of that is not so.
 *
 * @module
 */
import { type Address, formatAddress } from "../packet/address.ts";
import type { Cluster, End } from "./cluster.ts";
import type { Connecting } from "./match.ts";
import { nameOf } from "./objects.ts";
import { type Ruling, type Rulings, rulingsOn } from "./policy.ts";
import type { Namespace } from "../walk/namespace.ts";
import { calicoDifferences } from "./calico.ts";
import { flannelDifferences } from "./flannel.ts";
import type { NodeRules } from "./programmed.ts";
import { backendText, type Drift, driftOf, type Intent, intentOf, intentText } from "./service.ts";
import { ofService } from "./service_remarks.ts";

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
  /** Rule sets of the nodes, in which enforcers leave their chains, and kube-proxy its own. */
  readonly rules?: readonly NodeRules[];
  /** The nodes' own namespaces. */
  readonly hosts?: readonly Namespace[];
  /** Whether somebody listens on a TCP port of a node; undefined where it is not known. */
  readonly listens?: (node: string, port: number) => boolean | undefined;
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
  /** Whose it is: a pod as `NAMESPACE/NAME`, or a node; of none it is the sender's. */
  readonly at?: { readonly node: string; readonly pod?: string };
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
  const knock = { address: destination, port, protocol, node, source: cluster.endOf(source) };
  const intent = intentOf(cluster, knock);
  const drifts = intent === undefined
    ? []
    : driftOf(intent, knock, asked.went).filter(({ kind }) =>
      kind !== "missing" || asked.all !== false
    );
  const ends = intent?.backends.slice(0, BACKENDS_MAX) ?? [{ address: destination, port }];
  const rulings = ends.map((end) => ({
    to: backendText(end),
    rulings: asRewritten(
      intent,
      rulingsOn(cluster, {
        source: endOf(cluster, asked, source),
        destination: endOf(cluster, asked, end.address),
        protocol,
        ...(asked.port === undefined ? {} : { port: end.port }),
      }),
    ),
  }));
  const enforcers = enforcersAmong(cluster, asked.rules ?? []);
  const opinion = {
    source: nameAt(cluster, source),
    destination: intent === undefined ? nameAt(cluster, destination) : intentText(intent),
    ...(intent === undefined ? {} : { intent }),
    ...{ drifts, rulings, enforcers },
  };
  const remarks = [
    ...ofService(opinion, asked),
    ...ofPolicies(cluster, opinion, asked),
    ...ofUnread(cluster, [cluster.endOf(source), ...ends.map((end) => cluster.endOf(end.address))]),
    ...ofNetwork(cluster, asked, [source, ...ends.map(({ address }) => address)]),
    ...ofNodes(cluster, [asked.node, ...intent?.backends.map((each) => each.node) ?? []]),
  ];
  return { ...opinion, remarks };
}

/** Whose an address is; a node has some of its own that its object does not tell, as of cni0. */
function endOf(cluster: Cluster, { hosts = [], node }: Asked, address: Address): End {
  const known = cluster.endOf(address);
  const isNamed = known.pod !== undefined || known.node !== undefined;
  if (isNamed || cluster.servicesAt(address).length > 0) return known;
  const near = hosts.filter((host) => host.node === node);
  const owner = [...near, ...hosts].find((host) => host.owner(address) !== undefined);
  return owner === undefined ? known : { address, node: owner.node };
}

/** That policies see a packet before it is rewritten, or after, is not defined. */
const UNDEFINED_ORDER = "whether policies see packets for nodes' and outer addresses before they " +
  "are rewritten, or after, is not defined";

/** What policies say of packets that are rewritten on another node, or with another source. */
function asRewritten(intent: Intent | undefined, rulings: Rulings): Rulings {
  if (intent === undefined || intent.access === "cluster" || rulings.verdict !== "denied") {
    return rulings;
  }
  const unsure = (ruling: Ruling): Ruling =>
    ruling.verdict === "denied"
      ? { ...ruling, verdict: "unknown", because: `${ruling.because}; ${UNDEFINED_ORDER}` }
      : ruling;
  const [egress, ingress] = [unsure(rulings.egress), unsure(rulings.ingress)];
  return { verdict: "unknown", egress, ingress };
}

function nameAt(cluster: Cluster, address: Address): string {
  const { pod, node } = cluster.endOf(address);
  if (pod !== undefined) return `pod ${pod.metadata.namespace}/${pod.metadata.name}`;
  return node === undefined ? formatAddress(address) : `node ${node}`;
}

/** An opinion before it is known what of it is remarkable. */
export type Unremarked = Omit<Opinion, "remarks">;

function ofPolicies(
  cluster: Cluster,
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
      at: { pod, node: cluster.pods.get(pod)?.spec.nodeName ?? "" },
    });
  }
  return [...seen.values()];
}

/** Names of policies that are told. */
const UNREAD_SHOWN_MAX = 5;

/** Policies that may hold for an end, and of which nothing but their names is read. */
function ofUnread(cluster: Cluster, ends: readonly End[]): readonly Remark[] {
  const namespaces = new Set(ends.flatMap(({ pod }) => pod?.metadata.namespace ?? []));
  const unread = cluster.unreadPolicies.filter(({ metadata: { name, namespace } }) =>
    // Calico's own API server shows those of Kubernetes as its own, too.
    !name.startsWith("knp.") &&
    (namespace === "" || namespace === null || namespaces.has(namespace))
  );
  return [...new Set(unread.map(({ whose }) => whose))].map((whose): Remark => {
    const own = unread.filter((each) => each.whose === whose);
    const kinds = [...new Set(own.map(({ of }) => of))].join(", ");
    const shown = own.slice(0, UNREAD_SHOWN_MAX).map((each) => `${each.of} ${nameOf(each)}`);
    const more = own.length - shown.length;
    return {
      id: "policy-unread",
      severity: "hint",
      certainty: "possible",
      message:
        `${own.length} ${own.length === 1 ? "policy" : "policies"} of ${whose}'s own kinds ` +
        `(${kinds}) may hold for it and are not read: only the rules that are made of them are`,
      evidence: [...shown, ...(more > 0 ? [`and ${more} others`] : [])]
        .map((text) => ({ kind: "object", text })),
      confirm: `kubectl get ${[...new Set(own.map(({ of }) => of.toLowerCase()))].join(",")} -A`,
    };
  });
}

/** Pairs of nodes that are compared; a service has many endpoints. */
const PAIRS_MAX = 64;

/** What the cluster's network has set up otherwise than it says, on the nodes of both ends. */
function ofNetwork(
  cluster: Cluster,
  { hosts = [], verdict }: Asked,
  [first, ...others]: readonly Address[],
): readonly Remark[] {
  if (first === undefined) return [];
  const pairs = others.flatMap((each) => [[first, each], [each, first]] as const);
  const seen = new Map<string, Remark>();
  for (const [from, address] of pairs.slice(0, PAIRS_MAX)) {
    const nodes = [from, address].map((each) => cluster.endOf(each)).map((end) =>
      cluster.nodes.get(end.pod?.spec.nodeName ?? end.node ?? "")
    );
    const [own, other] = nodes;
    const host = hosts.find(({ node }) => node === own?.metadata.name);
    const isPod = cluster.endOf(address).pod !== undefined;
    if (own === undefined || other === undefined || own === other || !isPod) continue;
    if (host === undefined) continue;
    const between = { host, own, other, address };
    const all = [...flannelDifferences(between), ...calicoDifferences(between, cluster.pools)];
    for (const { id, message, expected, actual, confirm, fix } of all) {
      seen.set(`${host.node} ${message}`, {
        ...{ id, certainty: "possible", severity: verdict === "blocked" ? "warning" : "hint" },
        message: `on node ${host.node}, ${message}`,
        evidence: [{ kind: "expected", text: expected }, { kind: "actual", text: actual }],
        ...{ confirm, fix, at: { node: host.node } },
      });
    }
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
      at: { node: name },
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

const known = new WeakMap<readonly NodeRules[], readonly string[]>();

/** The same, of rules that many connections are asked about, once. */
function enforcersAmong(cluster: Cluster, rules: readonly NodeRules[]): readonly string[] {
  const before = known.get(rules);
  if (before !== undefined) return before;
  const texts = rules.flatMap(({ iptables, nft }) => [...iptables, nft]);
  const found = enforcersOf(cluster, texts);
  known.set(rules, found);
  return found;
}

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
