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

Deno.test("kube-proxy in mode ipvs: a service's address on kube-ipvs0 is no fault", () => {
  const ipvs = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600000:0050 rr
  -> 0AF40202:1F90      Masq    1      0          0
`;
  // A pod that is led to itself needs a rule of kube-proxy's, and its set.
  const more = SERVICE.map((each) =>
    each.endpoints === undefined ? each : { ...each, endpoints: each.endpoints.slice(1) }
  );
  const change = ({ devices }: MadeNamespace) => ({
    devices: { ...devices, "kube-ipvs0": { kind: "dummy", addresses: [`${clusterIp(0)}/32`] } },
  });
  const asked = { to: clusterIp(0), port: 80, more, change };
  assert.deepEqual(said("flannel vxlan", { ...asked, both: { ipvs } }), ["reachable"]);
  const stale = ipvs.replace("0AF40202:1F90", "0AF40209:1F90");
  const found = said("flannel vxlan", { ...asked, both: { ipvs: stale } });
  assert.ok(found.includes("service-stale warning"), found.join());
});

Deno.test("session affinity: clients that are remembered and new ones are led alike", () => {
  const sticky = SERVICE.map((each) =>
    each.kind === "Service"
      ? { ...each, spec: { ...each.spec, sessionAffinity: "ClientIP" } }
      : each
  );
  const remembered = IPTABLES.split("\n").flatMap((line) => {
    const [, chain, to] = /-A (KUBE-SVC-\S+) -m comment .* -j (KUBE-SEP-\S+)$/.exec(line) ?? [];
    return chain === undefined || to === undefined ? [] : [
      `[0:0] -A ${chain} -m comment --comment "shop/web-0:http -> x" -m recent --name ${to} ` +
      `--rcheck --seconds 10800 --reap --mask 255.255.255.255 --rsource -j ${to}`,
    ];
  });
  assert.equal(remembered.length, SERVICES.endpoints);
  const [first = ""] = /^\[0:0\] -A KUBE-SVC-.* -j KUBE-SEP-.*$/m.exec(IPTABLES) ?? [];
  const rules = IPTABLES.replace(first, [...remembered, first].join("\n"));
  const asked = { to: clusterIp(0), port: 80, more: sticky };
  assert.deepEqual(said("flannel vxlan", { ...asked, both: { iptablesLegacy: rules } }), [
    "reachable",
  ]);
  const forgetful = { ...asked, both: { iptablesLegacy: IPTABLES } };
  assert.deepEqual(said("flannel vxlan", forgetful), ["reachable", "service-affinity hint"]);
});

Deno.test("a host port is led to its pod by portmap's rules, and missed without them", () => {
  const pod = {
    kind: "Pod",
    metadata: { name: "web-2", namespace: "shop", labels: { app: "web" } },
    spec: {
      nodeName: "node2",
      containers: [{ name: "m", ports: [{ containerPort: 8080, hostPort: 9090 }] }],
    },
    status: { phase: "Running", podIP: "10.244.2.2" },
  };
  const nat = `:CNI-HOSTPORT-DNAT - [0:0]
    :CNI-HOSTPORT-SETMARK - [0:0]
    :CNI-HOSTPORT-MASQ - [0:0]
    :CNI-DN-0123456789abcdef01234 - [0:0]
    -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
    -A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
    -A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
    -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: cbr0" -m multiport \
--dports 9090 -j CNI-DN-0123456789abcdef01234
    -A CNI-DN-0123456789abcdef01234 -s 10.244.2.0/24 -p tcp -m tcp --dport 9090 \
-j CNI-HOSTPORT-SETMARK
    -A CNI-DN-0123456789abcdef01234 -p tcp -m tcp --dport 9090 -j DNAT \
--to-destination 10.244.2.2:8080
    -A CNI-HOSTPORT-SETMARK -m comment --comment "CNI mark" -j MARK --set-xmark 0x2000/0x2000
    -A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE`.replaceAll("\\\n", "");
  const asked = { to: "192.168.0.12", port: 9090, more: [pod] };
  const both = { iptablesLegacy: saved({ nat }) };
  assert.deepEqual(said("flannel host-gw", { ...asked, both }), ["reachable"]);
  const { opinion } = diagnosedIn("flannel host-gw", { ...asked, both });
  assert.equal(opinion?.destination, "host port 9090/TCP of pod shop/web-2");
  const missed = said("flannel host-gw", asked);
  assert.deepEqual(missed[0], "blocked");
  assert.ok(missed.includes("host-port-unprogrammed critical"), missed.join());
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
