/** Policies that the predecessor reads wrongly, each with what is right. */
import assert from "node:assert/strict";
import { diagnosedIn, madeObjects, podAddress } from "../../tests/made_cluster.ts";
import { clusterIp } from "../../tests/made_services.ts";
import { findingsOf } from "../report/finding.ts";

/** A policy of all pods of the namespace `shop`. */
function policy(spec: Record<string, unknown>, name = "p") {
  return {
    kind: "NetworkPolicy",
    metadata: { name, namespace: "shop" },
    spec: { podSelector: {}, ...spec },
  };
}

/** A pod that enforces policies. */
const CALICO = {
  kind: "Pod",
  metadata: { name: "calico-node-x2x5n", namespace: "kube-system" },
  spec: { nodeName: "node1", hostNetwork: true, containers: [] },
};

/** What policies say of the first pod asking the second. */
function ruled(policies: readonly unknown[], asked = {}): string {
  const { opinion } = diagnosedIn("calico bgp", { more: [...policies, CALICO], ...asked });
  return (opinion?.rulings ?? []).map(({ rulings }) => rulings.verdict).join();
}

const WEB = { podSelector: { matchLabels: { app: "web" } } };
const SHOP = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "shop" } } };
const OTHER = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "bank" } } };
const BOTH_TYPES = { policyTypes: ["Ingress", "Egress"] };

Deno.test("1: a second policy that does not itself allow denies nothing", () => {
  assert.equal(ruled([policy({ ingress: [{}] }), policy({ ingress: [] }, "q")]), "allowed");
  assert.equal(ruled([policy({ ingress: [] }), policy({ ingress: [] }, "q")]), "denied");
});

Deno.test("2: a rule without peers is for all of them", () => {
  assert.equal(ruled([policy({ ...BOTH_TYPES, ingress: [{}], egress: [{}] })]), "allowed");
  assert.equal(ruled([policy({ ...BOTH_TYPES, ingress: [{ from: [] }], egress: [] })]), "denied");
});

Deno.test("3: ports of ingress are the receiver's", () => {
  const ports = (port: number) => policy({ ingress: [{ ports: [{ protocol: "TCP", port }] }] });
  assert.equal(ruled([ports(8080)]), "allowed");
  assert.equal(ruled([ports(50_001)]), "denied");
});

Deno.test("4: selectors of pod and of namespace in one peer hold together", () => {
  const from = (...peers: readonly unknown[]) => policy({ ingress: [{ from: peers }] });
  assert.equal(ruled([from({ ...WEB, ...SHOP })]), "allowed");
  assert.equal(ruled([from({ ...WEB, ...OTHER })]), "denied");
  assert.equal(ruled([from(WEB, OTHER)]), "allowed");
});

Deno.test("5: a namespace is looked up by its name, and a missing one is unknown", () => {
  const labels = { namespaceSelector: { matchLabels: { team: "shop" } } };
  const shop = { kind: "Namespace", metadata: { name: "shop", labels: { team: "shop" } } };
  const rule = policy({ ingress: [{ from: [labels] }] });
  assert.equal(ruled([rule, shop]), "allowed");
  assert.equal(ruled([rule]), "denied");
  const objects = madeObjects("calico bgp").filter((each) =>
    !JSON.stringify(each).includes('"Namespace"')
  );
  assert.equal(ruled([rule], { objects }), "unknown");
});

Deno.test("6: ports without a number are all, and names are the receiver's containers'", () => {
  const ports = (...list: readonly unknown[]) => policy({ ingress: [{ ports: list }] });
  const named = {
    kind: "Pod",
    metadata: { name: "web-2", namespace: "shop", labels: { app: "web" } },
    spec: {
      nodeName: "node2",
      containers: [{ name: "main", ports: [{ name: "http", containerPort: 8080 }] }],
    },
    status: { phase: "Running", podIP: podAddress(2) },
  };
  assert.equal(ruled([ports({ protocol: "TCP" })]), "allowed");
  assert.equal(ruled([ports({ protocol: "UDP" })]), "denied");
  const objects = [named, { kind: "Node", metadata: { name: "node2" } }];
  assert.equal(ruled([ports({ port: "http" })], { objects }), "allowed");
  assert.equal(ruled([ports({ port: "other" })], { objects }), "denied");
});

Deno.test("7: a pod's own node, and a pod in a node's network, are let through", () => {
  const closed = policy({ ...BOTH_TYPES, ingress: [], egress: [] });
  assert.equal(ruled([closed], { from: "192.168.0.12" }), "allowed");
  assert.equal(ruled([closed], { from: podAddress(2) }), "allowed");
  assert.equal(ruled([closed], { from: "192.168.0.11" }), "denied");
});

Deno.test("8: egress to a service is asked of its endpoint alone", () => {
  const service = [
    {
      kind: "Service",
      metadata: { name: "web-0", namespace: "shop" },
      spec: { clusterIP: clusterIp(0), ports: [{ port: 80 }] },
    },
    {
      kind: "EndpointSlice",
      metadata: {
        ...{ name: "web-0-x", namespace: "shop" },
        labels: { "kubernetes.io/service-name": "web-0" },
      },
      addressType: "IPv4",
      endpoints: [{ addresses: [podAddress(2)], nodeName: "node2" }],
      ports: [{ port: 8080 }],
    },
  ];
  const egress = (...ports: readonly number[]) =>
    policy({
      policyTypes: ["Egress"],
      egress: [{ to: [WEB], ports: ports.map((port) => ({ port })) }],
    });
  const asked = { to: clusterIp(0), port: 80 };
  assert.equal(ruled([...service, egress(8080)], asked), "allowed");
  assert.equal(ruled([...service, egress(80)], asked), "denied");
});

Deno.test("9: what nothing enforces stops nothing, and that is said", () => {
  const closed = policy({ ingress: [] });
  const found = (more: readonly unknown[]) =>
    findingsOf(diagnosedIn("flannel vxlan", { more })).map(({ severity, message }) =>
      `${severity} ${/\((.*)\)/.exec(message)?.[1]}`
    );
  assert.deepEqual(found([closed]), ["hint nothing here is known to enforce it"]);
  assert.deepEqual(found([closed, CALICO]), ["hint enforced by Calico"]);
});

Deno.test("10: a policy is found where it bites: at the pod that it is of", () => {
  const places = (spec: Record<string, unknown>) =>
    findingsOf(diagnosedIn("calico bgp", { more: [policy(spec), CALICO] }))
      .map(({ id, where }) => `${id} ${where.namespace} on ${where.node}`);
  assert.deepEqual(places({ ingress: [] }), ["policy-denies pod shop/web-2 on node2"]);
  assert.deepEqual(places({ policyTypes: ["Egress"] }), ["policy-denies pod shop/web-1 on node1"]);
});
