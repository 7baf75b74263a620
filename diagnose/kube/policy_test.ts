import assert from "node:assert/strict";
import { parseAddress } from "../packet/address.ts";
import { Cluster } from "./cluster.ts";
import { readObjects } from "./objects.ts";
import type { Connecting } from "./match.ts";
import { rulingOn, rulingsOn } from "./policy.ts";

const NAMESPACES = [
  { kind: "Namespace", metadata: { name: "shop", labels: { team: "shop" } } },
  { kind: "Namespace", metadata: { name: "bank", labels: { team: "bank" } } },
];
const NODES = ["a", "b"].map((name, index) => ({
  kind: "Node",
  metadata: { name, labels: { zone: name } },
  status: { addresses: [{ type: "InternalIP", address: `192.0.2.${index + 1}` }] },
}));

function pod(name: string, address: string, labels: Record<string, string>, more = {}) {
  const [namespace = "", short = ""] = name.split("/");
  const ports = [{ name: "web", containerPort: 8080, protocol: "TCP" }];
  return {
    kind: "Pod",
    metadata: { name: short, namespace, labels },
    spec: { nodeName: "a", containers: [{ name: "main", ports }], ...more },
    status: { phase: "Running", podIP: address, podIPs: [{ ip: address }] },
  };
}

const PODS = [
  pod("shop/web", "10.0.0.1", { app: "web" }),
  pod("shop/cart", "10.0.0.2", { app: "cart" }),
  pod("bank/teller", "10.0.0.3", { app: "teller" }, { nodeName: "b" }),
  pod("bank/host", "192.0.2.2", { app: "teller" }, { nodeName: "b", hostNetwork: true }),
];

/** A policy of the namespace `shop` that selects the web pods. */
function policy(spec: Record<string, unknown>, name = "p") {
  const metadata = { name, namespace: "shop" };
  return { kind: "NetworkPolicy", metadata, spec: { podSelector: {}, ...spec } };
}

function ask(
  policies: readonly unknown[],
  from: string,
  to: string,
  port = 8080,
  protocol: Connecting["protocol"] = "TCP",
) {
  const { objects, mistakes } = readObjects(
    JSON.stringify([...NAMESPACES, ...NODES, ...PODS, ...policies]),
  );
  assert.deepEqual(mistakes, []);
  const cluster = new Cluster(objects);
  const end = (text: string) => cluster.endOf(parseAddress(text) ?? assert.fail(text));
  return rulingsOn(cluster, { source: end(from), destination: end(to), port, protocol });
}

const WEB = "10.0.0.1";
const CART = "10.0.0.2";
const TELLER = "10.0.0.3";
const OUTSIDE = "203.0.113.9";

/** Verdicts of one policy for cart → web, teller → web and outside → web. */
function ingress(rules: unknown): string {
  const policies = [policy({ ingress: rules, policyTypes: ["Ingress"] })];
  return [CART, TELLER, OUTSIDE].map((from) => ask(policies, from, WEB).verdict).join(" ");
}

Deno.test("without policies everything is allowed, and the reason says so", () => {
  const { verdict, ingress: ruling } = ask([], CART, WEB);
  assert.equal(verdict, "allowed");
  assert.equal(ruling.because, "no policy selects it for ingress");
});

Deno.test("policies are a union: one that does not allow takes nothing from another", () => {
  const open = policy({ ingress: [{ from: [{ podSelector: { matchLabels: { app: "cart" } } }] }] });
  const closed = policy({ ingress: [] }, "closed");
  const { verdict, ingress: ruling } = ask([closed, open], CART, WEB);
  assert.equal(verdict, "allowed");
  assert.equal(ruling.by, "NetworkPolicy shop/p ingress[0]");
  assert.deepEqual(ruling.selecting, ["NetworkPolicy shop/closed", "NetworkPolicy shop/p"]);
  assert.equal(ask([closed, open], TELLER, WEB).verdict, "denied");
});

Deno.test("a rule without peers, or with none, is for all; no rule is for nobody", () => {
  assert.equal(ingress([{}]), "allowed allowed allowed");
  assert.equal(ingress([{ from: [] }]), "allowed allowed allowed");
  assert.equal(ingress([{ from: null, ports: null }]), "allowed allowed allowed");
  assert.equal(ingress([]), "denied denied denied");
  assert.equal(ingress(null), "denied denied denied");
});

Deno.test("ports are the receiver's: numbers, ranges, names and protocols", () => {
  const at = (ports: unknown, port: number, protocol: Connecting["protocol"] = "TCP") =>
    ask([policy({ ingress: [{ ports }] })], CART, WEB, port, protocol).verdict;
  assert.equal(at([{ port: 8080 }], 8080), "allowed");
  assert.equal(at([{ port: 8080 }], 8081), "denied");
  assert.equal(at([{ port: 8080 }], 8080, "UDP"), "denied");
  assert.equal(at([{ port: 8000, endPort: 8100 }], 8100), "allowed");
  assert.equal(at([{ port: 8000, endPort: 8100 }], 8101), "denied");
  assert.equal(at([{ protocol: "TCP" }], 7), "allowed");
  assert.equal(at([{ protocol: "UDP" }], 7), "denied");
  assert.equal(at([{ port: "web" }], 8080), "allowed");
  assert.equal(at([{ port: "web" }], 8081), "denied");
  assert.equal(at([{ port: "other" }], 8080), "denied");
  assert.equal(at([], 7), "allowed");
});

Deno.test("selectors of pod and namespace in one peer hold together, in two either", () => {
  const cart = { matchLabels: { app: "cart" } };
  const teller = { matchLabels: { app: "teller" } };
  const bank = { matchLabels: { team: "bank" } };
  assert.equal(ingress([{ from: [{ podSelector: cart }] }]), "allowed denied denied");
  assert.equal(ingress([{ from: [{ podSelector: {} }] }]), "allowed denied denied");
  assert.equal(ingress([{ from: [{ podSelector: teller }] }]), "denied denied denied");
  const both = { podSelector: teller, namespaceSelector: bank };
  assert.equal(ingress([{ from: [both] }]), "denied allowed denied");
  const neither = { podSelector: cart, namespaceSelector: bank };
  assert.equal(ingress([{ from: [neither] }]), "denied denied denied");
  const either = [{ podSelector: cart }, { namespaceSelector: bank }];
  assert.equal(ingress([{ from: either }]), "allowed allowed denied");
  assert.equal(ingress([{ from: [{ namespaceSelector: {} }] }]), "allowed allowed denied");
  const byName = { matchLabels: { "kubernetes.io/metadata.name": "bank" } };
  assert.equal(ingress([{ from: [{ namespaceSelector: byName }] }]), "denied allowed denied");
});

Deno.test("a block is for what is outside; for pods it depends on who enforces", () => {
  const block = { cidr: "203.0.113.0/24", except: ["203.0.113.128/25"] };
  assert.equal(ingress([{ from: [{ ipBlock: block }] }]), "denied denied allowed");
  const hole = { cidr: "203.0.113.0/24", except: ["203.0.113.8/30"] };
  assert.equal(ingress([{ from: [{ ipBlock: hole }] }]), "denied denied denied");
  const all = { cidr: "0.0.0.0/0" };
  assert.equal(ingress([{ from: [{ ipBlock: all }] }]), "unknown unknown allowed");
  assert.equal(ingress([{ from: [{ ipBlock: { cidr: "::/0" } }] }]), "denied denied denied");
  assert.equal(ingress([{ from: [{ ipBlock: { cidr: "nonsense" } }] }]), "unknown unknown unknown");
});

Deno.test("a pod's own node, the pod itself and pods in a node's network are not kept out", () => {
  const closed = [policy({ policyTypes: ["Ingress", "Egress"] })];
  assert.match(ask(closed, "192.0.2.1", WEB).ingress.because, /its own node/);
  assert.equal(ask(closed, "192.0.2.1", WEB).verdict, "allowed");
  assert.equal(ask(closed, "192.0.2.2", WEB).verdict, "denied");
  assert.match(ask(closed, WEB, WEB).ingress.because, /kept from itself/);
  assert.equal(ask(closed, WEB, WEB).verdict, "allowed");
  // A pod in its node's network is the node: it has no policies.
  assert.equal(ask(closed, WEB, "192.0.2.1").verdict, "allowed");
  assert.match(ask([], CART, "192.0.2.2").ingress.because, /a node's network/);
  const teller = { namespaceSelector: {}, podSelector: { matchLabels: { app: "teller" } } };
  const from = (peer: object) =>
    ask([policy({ ingress: [{ from: [peer] }] })], "192.0.2.2", WEB).verdict;
  // Whether a pod in the node's network is told from the node is up to who enforces.
  assert.equal(from(teller), "unknown");
  assert.equal(from({ ...teller, podSelector: { matchLabels: { app: "buyer" } } }), "denied");
  assert.equal(from({ podSelector: { matchLabels: { app: "teller" } } }), "denied");
});

Deno.test("types without being named are ingress, and egress where it has rules", () => {
  const of = (spec: Record<string, unknown>) => {
    const { ingress: i, egress: e } = ask([policy(spec)], CART, WEB);
    return `${e.verdict} ${i.verdict}`;
  };
  assert.equal(of({}), "allowed denied");
  assert.equal(of({ egress: [] }), "allowed denied");
  assert.equal(
    of({ egress: [{ to: [{ ipBlock: { cidr: "198.51.100.0/24" } }] }] }),
    "denied denied",
  );
  assert.equal(of({ policyTypes: ["Egress"] }), "denied allowed");
  assert.equal(of({ policyTypes: ["Egress"], egress: [{}] }), "allowed allowed");
});

Deno.test("egress is asked with the receiver's port and labels, and both ends must allow", () => {
  const egress = policy({
    policyTypes: ["Egress"],
    podSelector: { matchLabels: { app: "cart" } },
    egress: [{ to: [{ podSelector: { matchLabels: { app: "web" } } }], ports: [{ port: "web" }] }],
  });
  assert.equal(ask([egress], CART, WEB).verdict, "allowed");
  assert.equal(ask([egress], CART, WEB, 8081).verdict, "denied");
  assert.equal(ask([egress], CART, TELLER).egress.verdict, "denied");
  const closed = policy({ podSelector: { matchLabels: { app: "web" } } }, "closed");
  const rulings = ask([egress, closed], CART, WEB);
  assert.deepEqual([rulings.egress.verdict, rulings.ingress.verdict, rulings.verdict], [
    "allowed",
    "denied",
    "denied",
  ]);
  assert.equal(
    rulings.ingress.because,
    "NetworkPolicy shop/closed selects it, and no rule allows it",
  );
});

Deno.test("policies of other namespaces and of other pods do not matter", () => {
  const other = policy({ podSelector: { matchLabels: { app: "cart" } } });
  assert.equal(ask([other], TELLER, WEB).verdict, "allowed");
  const elsewhere = { ...policy({}), metadata: { name: "p", namespace: "bank" } };
  assert.equal(ask([elsewhere], TELLER, WEB).verdict, "allowed");
  assert.equal(ask([elsewhere], WEB, TELLER).verdict, "denied");
});

Deno.test("what the objects do not tell is unknown, and so is ICMP that no rule allows", () => {
  const team = { namespaceSelector: { matchLabels: { team: "bank" } } };
  const { objects } = readObjects(
    JSON.stringify([...NODES, ...PODS, policy({ ingress: [{ from: [team] }] })]),
  );
  const cluster = new Cluster(objects);
  const end = (text: string) => cluster.endOf(parseAddress(text) ?? assert.fail());
  const asked = { source: end(TELLER), destination: end(WEB), port: 1, protocol: "TCP" } as const;
  const ruling = rulingOn(cluster, asked, "ingress");
  assert.deepEqual([ruling.verdict, ruling.because], [
    "unknown",
    "whether NetworkPolicy shop/p ingress[0] holds for it cannot be told",
  ]);
  assert.equal(ask([policy({ ingress: [] })], CART, WEB, 0, "ICMP").verdict, "unknown");
  assert.equal(ask([policy({ ingress: [{}] })], CART, WEB, 0, "ICMP").verdict, "allowed");
  assert.equal(
    ask([policy({ ingress: [{ ports: [{ port: 1 }] }] })], CART, WEB, 0, "ICMP").verdict,
    "unknown",
  );
});

/** An AdminNetworkPolicy for all pods of shop. */
function admin(
  name: string,
  priority: number,
  spec: Record<string, unknown>,
  kind = "AdminNetworkPolicy",
) {
  const subject = { namespaces: { matchLabels: { team: "shop" } } };
  return { kind, metadata: { name }, spec: { priority, subject, ...spec } };
}

Deno.test("the administrator's policies go first, by priority, and may pass", () => {
  const bank = [{ namespaces: { matchLabels: { team: "bank" } } }];
  const deny = admin("deny", 7, { ingress: [{ action: "Deny", from: bank }] });
  const allow = admin("allow", 5, { ingress: [{ action: "Allow", from: bank }] });
  const pass = admin("pass", 3, { ingress: [{ action: "Pass", from: bank }] });
  const open = policy({ ingress: [{}] });
  const closed = policy({ ingress: [] });
  const of = (...policies: readonly unknown[]) => ask(policies, TELLER, WEB).ingress;
  assert.equal(of(deny, open).verdict, "denied");
  assert.equal(of(deny, open).by, "AdminNetworkPolicy deny ingress[0]");
  assert.equal(of(deny, allow, closed).verdict, "allowed");
  assert.equal(of(deny, allow, pass, closed).verdict, "denied");
  assert.equal(of(pass, open).by, "NetworkPolicy shop/p ingress[0]");
  assert.equal(ask([deny], CART, WEB).verdict, "allowed");
  const tied = admin("other", 7, { ingress: [{ action: "Allow", from: bank }] });
  assert.equal(of(deny, tied).verdict, "unknown");
});

Deno.test("of one priority, policies that say the same are heard, and others are unknown", () => {
  const of = (name: string, action: string, priority = 7) => ({
    kind: "AdminNetworkPolicy",
    metadata: { name },
    spec: {
      priority,
      subject: { namespaces: {} },
      ingress: [{ action, from: [{ namespaces: {} }] }],
    },
  });
  const said = (...policies: readonly unknown[]) => ask(policies, CART, WEB).ingress;
  assert.equal(said(of("a", "Deny"), of("b", "Deny")).verdict, "denied");
  const tied = said(of("a", "Deny"), of("b", "Allow"));
  assert.equal(tied.verdict, "unknown");
  assert.match(tied.because, /^AdminNetworkPolicy a .*, AdminNetworkPolicy b .* have the same/);
  assert.equal(said(of("a", "Deny"), of("b", "Allow", 6)).verdict, "allowed");
  assert.equal(said(of("a", "Deny"), of("b", "Allow", 8)).verdict, "denied");
  const silent = { ...of("b", "Allow"), spec: { ...of("b", "Allow").spec, ingress: [] } };
  assert.equal(said(of("a", "Deny"), silent).verdict, "denied");
});

Deno.test("the baseline is for pods that no policy isolates", () => {
  const all = [{ namespaces: {} }];
  const spec = { ingress: [{ action: "Deny", from: all }] };
  const base = admin("default", 0, spec, "BaselineAdminNetworkPolicy");
  assert.equal(ask([base], CART, WEB).ingress.verdict, "denied");
  assert.equal(ask([base, policy({ ingress: [{}] })], CART, WEB).ingress.verdict, "allowed");
  assert.equal(ask([base], OUTSIDE, WEB).ingress.verdict, "allowed");
});

Deno.test("an administrator's rule has pods, nodes, networks and ports", () => {
  const egress = (to: unknown, ports?: unknown) =>
    admin("e", 1, { egress: [{ action: "Deny", to: [to], ...(ports ? { ports } : {}) }] });
  const of = (rule: unknown, to: string, port = 8080) => ask([rule], WEB, to, port).egress.verdict;
  const cart = { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: "cart" } } } };
  assert.equal(of(egress(cart), CART), "denied");
  assert.equal(of(egress(cart), TELLER), "allowed");
  const zone = { nodes: { matchLabels: { zone: "b" } } };
  assert.deepEqual([of(egress(zone), "192.0.2.2"), of(egress(zone), TELLER)], [
    "denied",
    "allowed",
  ]);
  const networks = { networks: ["203.0.113.0/24"] };
  assert.deepEqual([of(egress(networks), OUTSIDE), of(egress(networks), CART)], [
    "denied",
    "allowed",
  ]);
  assert.equal(of(egress({ domainNames: ["example.org"] }), OUTSIDE), "unknown");
  const at = (port: unknown) => egress(cart, [port]);
  assert.equal(of(at({ portNumber: { protocol: "TCP", port: 8080 } }), CART), "denied");
  assert.equal(of(at({ portNumber: { protocol: "UDP", port: 8080 } }), CART), "allowed");
  assert.equal(of(at({ portRange: { start: 1, end: 8080 } }), CART), "denied");
  assert.equal(of(at({ namedPort: "web" }), CART), "denied");
  assert.equal(of(at({ namedPort: "web" }), CART, 80), "allowed");
});

Deno.test("a port's name may be a sidecar's, and a pod that ends gives its address away", () => {
  const named = [policy({ ingress: [{ ports: [{ port: "proxy" }] }] })];
  const pod = (name: string, restartPolicy: string, more: object = {}) => ({
    kind: "Pod",
    metadata: { name, namespace: "shop", labels: { app: "web" }, ...more },
    spec: {
      nodeName: "a",
      containers: [],
      initContainers: [{ name: "p", restartPolicy, ports: [{ name: "proxy", containerPort: 15 }] }],
    },
    status: { phase: "Running", podIP: "10.0.0.77" },
  });
  const to = (...pods: readonly unknown[]) =>
    ask([...named, ...pods], OUTSIDE, "10.0.0.77", 15).ingress;
  assert.equal(to(pod("one", "Always")).verdict, "allowed");
  assert.equal(to(pod("one", "")).verdict, "denied");
  const ending = pod("old", "", { deletionTimestamp: "2026-01-01T00:00:00Z" });
  assert.equal(to(ending, pod("one", "Always")).pod, "shop/one");
  assert.equal(to(ending).pod, "shop/old");
  // Of two that stay nobody knows whose it is.
  assert.equal(to(pod("one", "Always"), pod("two", "Always")).pod, undefined);
});
