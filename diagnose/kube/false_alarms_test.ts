/** Clusters in which the predecessor sees faults that are none, or none where there is one. */
import assert from "node:assert/strict";
import { DOCKER, FLANNEL, ISTIO } from "../../tests/made_cni.ts";
import {
  diagnosedIn,
  type MadeNetwork,
  madeNodes,
  madeObjects,
  type MadeQuestion,
  podAddress6,
  serviceAddress,
} from "../../tests/made_cluster.ts";
import type { MadeNamespace } from "../../tests/made_network.ts";
import { saved } from "../../tests/made_rules.ts";
import { clusterIp, endpointIp, iptablesServices, nftServices } from "../../tests/made_services.ts";
import { findingsOf } from "../report/finding.ts";

const NETWORKS = [
  ...["flannel vxlan", "flannel host-gw"] as const,
  ...["calico bgp", "calico ipip", "calico vxlan"] as const,
];

/** The verdict, and each finding. */
function said(network: MadeNetwork, asked: MadeQuestion = {}): readonly string[] {
  const diagnosis = diagnosedIn(network, asked);
  const found = findingsOf(diagnosis);
  return [diagnosis.verdict, ...found.map(({ id, severity }) => `${id} ${severity}`)];
}

/** A service of both pods, and the rules that are made of it. */
const SERVICES = { services: 1, endpoints: 2 };
const SERVICE = [
  {
    kind: "Service",
    metadata: { name: "web-0", namespace: "shop" },
    spec: { clusterIP: clusterIp(0), ports: [{ name: "http", port: 80, targetPort: "web" }] },
  },
  {
    kind: "EndpointSlice",
    metadata: {
      ...{ name: "web-0-x", namespace: "shop" },
      labels: { "kubernetes.io/service-name": "web-0" },
    },
    addressType: "IPv4",
    endpoints: [1, 2].map((own) => ({
      ...{ addresses: [`10.244.${own}.2`], nodeName: `node${own}`, conditions: { ready: true } },
    })),
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  },
];

/** The generator's endpoints have addresses of their own; here they are the pods. */
function toPods(text: string): string {
  return text.replaceAll(endpointIp(0, 0), "10.244.1.2").replaceAll(endpointIp(0, 1), "10.244.2.2");
}

const IPTABLES = toPods(iptablesServices(SERVICES));
const NFT = toPods(nftServices(SERVICES));

Deno.test("kube-proxy in mode iptables: its rule for INVALID packets drops no new one", () => {
  for (const network of NETWORKS) {
    assert.deepEqual(said(network, { both: { iptablesLegacy: IPTABLES } }), ["reachable"], network);
  }
});

Deno.test("kube-proxy in all modes: a service that is programmed is no fault", () => {
  for (const both of [{ iptablesLegacy: IPTABLES }, { iptablesNft: IPTABLES }, { nft: NFT }]) {
    const asked = { to: clusterIp(0), port: 80, more: SERVICE, both };
    assert.deepEqual(said("flannel vxlan", asked), ["reachable"], Object.keys(both).join());
  }
});

Deno.test("kube-proxy in mode nftables: a service that is not programmed is found", () => {
  const [service, slice] = SERVICE;
  const other = { ...service, spec: { ...service?.spec, clusterIP: serviceAddress } };
  const asked = { to: serviceAddress, port: 80, more: [other, slice], both: { nft: NFT } };
  const { verdict, opinion } = diagnosedIn("flannel vxlan", asked);
  assert.notEqual(verdict, "reachable");
  const [first] = opinion?.remarks.filter(({ id }) => id === "service-unprogrammed") ?? [];
  assert.match(first?.evidence[1]?.text ?? "", /^kube-proxy's mode there is nftables: /);
});

Deno.test("a named target port is its endpoint's port, not 0", () => {
  const asked = { to: clusterIp(0), port: 80, more: SERVICE, both: { iptablesLegacy: IPTABLES } };
  const { opinion } = diagnosedIn("flannel vxlan", asked);
  assert.deepEqual(opinion?.intent?.backends.map(({ port }) => port), [8080, 8080]);
});

Deno.test("Calico over vxlan: its MTU and its routes are no fault", () => {
  assert.deepEqual(said("calico vxlan"), ["reachable"]);
});

Deno.test("Calico without its pools among the objects: pods' MTU is no fault", () => {
  const objects = madeObjects("calico ipip").filter((each) =>
    !JSON.stringify(each).includes("IPPool")
  );
  assert.deepEqual(said("calico ipip", { objects }), ["reachable"]);
});

Deno.test("Calico's own policies: that some may hold is a hint beside what the rules say", () => {
  const policy = {
    ...{ apiVersion: "projectcalico.org/v3", kind: "GlobalNetworkPolicy" },
    metadata: { name: "deny" },
  };
  assert.deepEqual(said("calico bgp", { more: [policy] }), ["reachable", "policy-unread hint"]);
});

Deno.test("jumbo frames, and the clouds' MTUs of 1460, 8950 and 9001, are no fault", () => {
  for (const mtu of [1460, 8950, 9001]) {
    for (const network of NETWORKS) {
      assert.deepEqual(said(network, { mtu }), ["reachable"], `${network} ${mtu}`);
    }
  }
});

Deno.test("Docker beside flannel: FORWARD's policy DROP is no fault where flannel accepts", () => {
  const forward = `${DOCKER.filter}\n${FLANNEL.filter.replace(":FORWARD DROP [0:0]", "")}`;
  const both = { iptablesLegacy: saved({ filter: forward, nat: FLANNEL.nat }) };
  assert.deepEqual(said("flannel vxlan", { both }), ["reachable"]);
  // Without flannel's rules it is one, and what drops is named.
  const alone = { iptablesLegacy: saved({ filter: DOCKER.filter }) };
  assert.deepEqual(said("flannel vxlan", { both: alone })[0], "blocked");
});

Deno.test("Istio's sidecar: rules in a pod lead to the proxy, and are no fault", () => {
  const nodes = madeNodes("flannel vxlan", { pods: { iptablesLegacy: saved(ISTIO) } }).map((
    node,
  ) => ({
    ...node,
    namespaces: node.namespaces.map((each) => ({
      ...each,
      listeners: [15_001, 15_006].map((port) => ({
        ...{ protocol: "tcp", state: "LISTEN", address: "0.0.0.0", port } as const,
        ...{ queued: 0, queueMax: 128 },
      })),
    })),
  }));
  const diagnosis = diagnosedIn("flannel vxlan", { nodes, uid: 1_000 });
  assert.deepEqual([diagnosis.verdict, findingsOf(diagnosis)], ["reachable", []]);
  assert.equal(diagnosis.ways[0]?.request.packet.destinationPort, 15_001);
});

Deno.test("Cilium instead of kube-proxy: a service without rules is no fault that is known", () => {
  const change = ({ devices }: MadeNamespace) => ({
    devices: { ...devices, cilium_host: { kind: "veth", to: ["node", "cilium_host"] } as const },
  });
  const asked = { to: clusterIp(0), port: 80, more: SERVICE, change };
  assert.deepEqual(said("calico bgp", asked), ["unknown", "dataplane-unknown warning"]);
});

Deno.test("policy routing for a second network card is no fault", () => {
  const rule = {
    family: "inet",
    priority: 100,
    src: "192.168.9.0",
    srclen: 24,
    table: "7",
  } as const;
  const route = { dst: "default", gateway: "192.168.9.1", dev: "eth0", table: "7" };
  const change = ({ routes = [] }: { readonly routes?: readonly object[] }) => ({
    ...{ rules: [rule], routes: [...routes, route] },
  });
  for (const network of NETWORKS) {
    assert.deepEqual(said(network, { change }), ["reachable"], network);
  }
});

Deno.test("several policies that select a pod add up", () => {
  const policy = (name: string, ingress: readonly unknown[]) => ({
    kind: "NetworkPolicy",
    metadata: { name, namespace: "shop" },
    spec: { podSelector: {}, ingress },
  });
  const more = [policy("closed", []), policy("open", [{}])];
  assert.deepEqual(said("calico bgp", { more }), ["reachable"]);
  assert.deepEqual(said("calico bgp", { more: more.slice(0, 1) }), [
    "reachable",
    "policy-denies hint",
  ]);
});

Deno.test("a default route of several hops is followed by each of them", () => {
  const asked = {
    change: ({ routes = [] }: { readonly routes?: readonly { readonly dst?: string }[] }) => ({
      routes: [
        ...routes.filter(({ dst }) => dst !== "10.244.2.0/24" && dst !== undefined),
        {
          dst: "default",
          nexthops: [
            { gateway: "192.168.0.12", dev: "eth0", weight: 1 },
            { gateway: "192.168.0.12", dev: "eth0", weight: 2 },
          ],
        },
      ],
    }),
  };
  const { verdict, ways } = diagnosedIn("flannel host-gw", asked);
  assert.deepEqual([verdict, ways.length], ["reachable", 2]);
});

Deno.test("IPv6 is walked as IPv4 is", () => {
  const v6 = { from: podAddress6(1), to: podAddress6(2) };
  assert.deepEqual(said("flannel host-gw", v6), ["reachable"]);
});

Deno.test("a cluster without kube-proxy, or what it writes its settings to, needs no word", () => {
  const objects = madeObjects("flannel vxlan");
  assert.equal(JSON.stringify(objects).includes("kube-proxy"), false);
  assert.deepEqual(said("flannel vxlan", { objects }), ["reachable"]);
});
