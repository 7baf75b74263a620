import assert from "node:assert/strict";
import { madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { Namespace } from "../walk/namespace.ts";
import { Cluster } from "./cluster.ts";
import { type Asked, opinionOf } from "./kube.ts";
import { readObjects } from "./objects.ts";

const at = (text: string, port = 8080) => ({
  ...{ address: parseAddress(text) ?? assert.fail(text), port },
});

function pod(name: string, address: string, node = "a") {
  return {
    kind: "Pod",
    metadata: { name, namespace: "shop", labels: { app: name } },
    spec: { nodeName: node, containers: [] },
    status: { phase: "Running", podIP: address },
  };
}

const OBJECTS = [
  pod("cart", "10.0.0.2"),
  pod("web-1", "10.0.0.1"),
  pod("web-2", "10.0.1.1", "b"),
  { kind: "Namespace", metadata: { name: "shop" } },
  {
    kind: "Node",
    metadata: { name: "a" },
    status: {
      addresses: [{ type: "InternalIP", address: "192.0.2.1" }],
      conditions: [{ type: "Ready", status: "True" }],
    },
  },
  {
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: { clusterIP: "10.96.0.17", ports: [{ port: 80 }] },
  },
  {
    kind: "EndpointSlice",
    metadata: {
      ...{ name: "web-x", namespace: "shop" },
      labels: { "kubernetes.io/service-name": "web" },
    },
    addressType: "IPv4",
    endpoints: [
      { addresses: ["10.0.0.1"], nodeName: "a" },
      { addresses: ["10.0.1.1"], nodeName: "b" },
    ],
    ports: [{ port: 8080 }],
  },
];

const CLOSED = {
  kind: "NetworkPolicy",
  metadata: { name: "closed", namespace: "shop" },
  spec: { podSelector: { matchLabels: { app: "web-2" } } },
};

function opinion(more: readonly unknown[] = [], asked: Partial<Asked> = {}) {
  const { objects, mistakes } = readObjects(JSON.stringify([...OBJECTS, ...more]));
  assert.deepEqual(mistakes, []);
  return opinionOf(new Cluster(objects), {
    source: at("10.0.0.2").address,
    destination: at("10.96.0.17").address,
    ...{ protocol: "TCP", port: 80, node: "a", verdict: "reachable" },
    went: [at("10.0.0.1"), at("10.0.1.1")],
    ...asked,
  });
}

const remarks = (of: ReturnType<typeof opinion>) =>
  of.remarks.map(({ id, severity, certainty }) => `${id} ${severity} ${certainty}`);

Deno.test("where all is as the objects want it nothing is remarked", () => {
  const found = opinion();
  assert.deepEqual([found.source, found.destination], ["pod shop/cart", "service shop/web 80/TCP"]);
  assert.deepEqual(found.rulings.map(({ to, rulings }) => [to, rulings.verdict]), [
    ["10.0.0.1:8080", "allowed"],
    ["10.0.1.1:8080", "allowed"],
  ]);
  assert.deepEqual(found.remarks, []);
});

Deno.test("a service that is not programmed, or not as wanted, is remarked", () => {
  const own = [at("10.96.0.17", 80)];
  const blocked = opinion([], { went: own, verdict: "blocked" });
  assert.deepEqual(remarks(blocked), ["service-unprogrammed critical certain"]);
  assert.match(
    blocked.remarks[0]?.evidence[0]?.text ?? "",
    /^node a: 10.0.0.1:8080, 10.0.1.1:8080$/,
  );
  const stale = opinion([], { went: [at("10.0.0.1"), at("10.0.0.99")] });
  assert.deepEqual(remarks(stale), [
    "service-stale warning certain",
    "service-missing hint certain",
  ]);
  const some = opinion([], { went: [at("10.0.0.1")], all: false });
  assert.deepEqual(remarks(some), []);
  const none = opinion([], { port: 81, went: [at("10.96.0.17", 81)], verdict: "blocked" });
  assert.deepEqual(remarks(none), ["service-empty critical certain"]);
  assert.match(none.remarks[0]?.message ?? "", /leads nowhere: it has no port 81\/TCP/);
});

Deno.test("a policy is held against the backend, and is as bad as it is enforced", () => {
  const free = opinion([CLOSED]);
  assert.deepEqual(remarks(free), ["policy-denies hint sometimes"]);
  assert.equal(
    free.remarks[0]?.message,
    "ingress of shop/web-2 is not allowed by policy: NetworkPolicy shop/closed selects it, and " +
      "no rule allows it (nothing here is known to enforce it); yet packets pass",
  );
  const calico = { ...pod("calico-node-x2x5n", "192.0.2.1"), spec: { hostNetwork: true } };
  const enforced = opinion([CLOSED, calico], { verdict: "blocked" });
  assert.deepEqual(enforced.enforcers, ["Calico"]);
  assert.deepEqual(remarks(enforced), ["policy-denies warning sometimes"]);
  const forward = "-A FORWARD -j KUBE-ROUTER-FORWARD";
  const rules = [{ node: "a", iptables: [forward], nft: "", ipvs: "" }];
  const direct = { destination: at("10.0.1.1").address, port: 8080, went: [at("10.0.1.1")] };
  const single = opinion([CLOSED], { ...direct, rules, verdict: "unknown" });
  assert.deepEqual(remarks(single), ["policy-denies warning certain"]);
  assert.deepEqual([single.destination, single.enforcers], ["pod shop/web-2", ["kube-router"]]);
  const icmp = opinion([CLOSED], { ...direct, protocol: "ICMP" });
  assert.deepEqual(remarks(icmp), ["policy-unknown hint possible"]);
});

Deno.test("a node that is not ready, or has no network, is remarked", () => {
  const conditions = [
    { type: "Ready", status: "Unknown", message: "Kubelet stopped posting node status." },
    { type: "NetworkUnavailable", status: "True" },
    { type: "DiskPressure", status: "True" },
  ];
  const found = opinion([{ kind: "Node", metadata: { name: "b" }, status: { conditions } }]);
  assert.deepEqual(remarks(found), [
    "node-condition warning possible",
    "node-condition warning possible",
  ]);
  assert.equal(found.remarks[0]?.message, "node b says Ready is Unknown");
});

Deno.test("policies of kinds that are not read are told where they may hold", () => {
  const metadata = { name: "deny", namespace: "shop" };
  const calico = { apiVersion: "crd.projectcalico.org/v1", kind: "NetworkPolicy", metadata };
  const elsewhere = { ...calico, metadata: { ...metadata, namespace: "bank" } };
  const shown = { ...calico, metadata: { ...metadata, name: "knp.default.deny" } };
  assert.deepEqual(remarks(opinion([elsewhere, shown])), []);
  const found = opinion([calico, { ...calico, kind: "GlobalNetworkPolicy" }]);
  assert.deepEqual(remarks(found), ["policy-unread hint possible"]);
  assert.match(
    found.remarks[0]?.message ?? "",
    /^2 policies of Calico's own kinds \(NetworkPolicy, /,
  );
  assert.deepEqual(found.remarks[0]?.evidence.map(({ text }) => text), [
    "NetworkPolicy shop/deny",
    "GlobalNetworkPolicy shop/deny",
  ]);
  // It is not Kubernetes' own, which would isolate every pod of the namespace.
  assert.deepEqual(found.rulings.map(({ rulings }) => rulings.verdict), ["allowed", "allowed"]);
});

Deno.test("where packets are rewritten on another node, what policies see is not defined", () => {
  const [, , , , node, service] = OBJECTS;
  const spec = { clusterIP: "10.96.0.18", ports: [{ port: 80, nodePort: 30_080 }] };
  const more = [
    CLOSED,
    { ...service, metadata: { name: "web", namespace: "shop" }, spec },
    node,
  ];
  const asked = { destination: at("192.0.2.1").address, port: 30_080 };
  const found = opinion(more, asked);
  assert.deepEqual(remarks(found), ["policy-unknown hint possible"]);
  assert.match(found.remarks[0]?.message ?? "", /before they are rewritten, or after/);
  assert.deepEqual(remarks(opinion([CLOSED])), ["policy-denies hint sometimes"]);
});

Deno.test("an address that only the node's own namespace has is the node's", () => {
  const [made] = madeSnapshot({
    node: { devices: { cni0: { kind: "bridge", addresses: ["10.0.0.254/24"] } } },
  }).namespaces;
  const host = new Namespace("a", made ?? assert.fail());
  const closed = { ...CLOSED, spec: { podSelector: { matchLabels: { app: "web-1" } } } };
  const asked = {
    ...{ source: at("10.0.0.254").address, destination: at("10.0.0.1").address, port: 8080 },
    went: [at("10.0.0.1")],
  };
  const verdict = (hosts: readonly Namespace[]) =>
    opinion([closed], { ...asked, hosts }).rulings[0]?.rulings.ingress;
  assert.equal(verdict([])?.verdict, "denied");
  assert.equal(verdict([host])?.verdict, "allowed");
  assert.match(verdict([host])?.because ?? "", /its own node/);
  assert.equal(verdict([new Namespace("b", made ?? assert.fail())])?.verdict, "denied");
});
