import assert from "node:assert/strict";
import { formatAddress, parseAddress } from "../packet/address.ts";
import { Cluster } from "./cluster.ts";
import { readObjects } from "./objects.ts";
import { paired, type Target, targetOf } from "./target.ts";

const OBJECTS = {
  kind: "List",
  items: [
    {
      kind: "PodList",
      // As the API itself lists: without a kind on each.
      items: [
        {
          metadata: { name: "web-1", namespace: "shop" },
          spec: { nodeName: "a", containers: [] },
          status: {
            phase: "Running",
            podIP: "10.0.0.1",
            podIPs: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }],
          },
        },
        {
          metadata: { name: "done", namespace: "shop" },
          spec: { nodeName: "a", containers: [] },
          status: { phase: "Succeeded", podIP: "10.0.0.2" },
        },
        {
          metadata: { name: "young", namespace: "shop" },
          spec: { containers: [] },
          status: { phase: "Pending" },
        },
        {
          metadata: { name: "proxy", namespace: "kube-system" },
          spec: { nodeName: "a", hostNetwork: true, containers: [] },
          status: { phase: "Running", podIP: "192.0.2.1" },
        },
      ],
    },
    {
      kind: "Node",
      metadata: { name: "a" },
      status: {
        addresses: [
          { type: "Hostname", address: "a" },
          { type: "ExternalIP", address: "203.0.113.1" },
          { type: "InternalIP", address: "192.0.2.1" },
        ],
      },
    },
    {
      kind: "Service",
      metadata: { name: "web", namespace: "shop" },
      spec: {
        clusterIP: "10.96.0.17",
        ports: [{ name: "http", port: 80 }, { name: "dns", port: 53, protocol: "UDP" }],
      },
    },
    {
      kind: "Service",
      metadata: { name: "db", namespace: "shop" },
      spec: { clusterIP: "None", ports: [{ port: 5432 }] },
    },
    {
      kind: "EndpointSlice",
      metadata: {
        ...{ name: "db-x", namespace: "shop" },
        labels: { "kubernetes.io/service-name": "db" },
      },
      addressType: "IPv4",
      endpoints: [{ addresses: ["10.0.0.7"] }],
      ports: [{ name: "", port: 15432, protocol: "TCP" }],
    },
    {
      kind: "Service",
      metadata: { name: "far", namespace: "shop" },
      spec: { type: "ExternalName", externalName: "db.example.org" },
    },
    { kind: "Deployment", metadata: { name: "web", namespace: "shop" } },
  ],
};

const CLUSTER = new Cluster(readObjects(JSON.stringify(OBJECTS)).objects);
const target = (text: string) => targetOf(text, { cluster: CLUSTER });
const texts = ({ addresses, ...rest }: Target) => ({
  ...rest,
  addresses: addresses.map(formatAddress).join(),
});

Deno.test("a target is an address, a pod, a node, a service, or a service's DNS name", () => {
  for (
    const [text, expected] of [
      ["10.9.9.9", { addresses: "10.9.9.9" }],
      ["fd00::9", { addresses: "fd00::9" }],
      ["pod/shop/web-1", { pod: "shop/web-1", addresses: "10.0.0.1,fd00::1" }],
      ["pod/kube-system/proxy", { addresses: "192.0.2.1" }],
      ["node/a", { addresses: "192.0.2.1,203.0.113.1" }],
      ["svc/shop/web:http", {
        ...{ service: "shop/web", port: 80, protocol: "tcp", addresses: "10.96.0.17" },
      }],
      ["service/shop/web:53", {
        ...{ service: "shop/web", port: 53, protocol: "udp", addresses: "10.96.0.17" },
      }],
      ["svc/shop/web", { service: "shop/web", addresses: "10.96.0.17" }],
      ["svc/shop/db", {
        ...{ service: "shop/db", port: 15432, protocol: "tcp", addresses: "10.0.0.7" },
      }],
      ["web.shop.svc.cluster.local:http", {
        ...{ service: "shop/web", port: 80, protocol: "tcp", addresses: "10.96.0.17" },
      }],
      ["web.shop.svc", { service: "shop/web", addresses: "10.96.0.17" }],
    ] as const
  ) {
    assert.deepEqual(texts(target(text)), expected, text);
  }
});

Deno.test("what is no target is told, with what there is instead", () => {
  for (
    const [text, why] of [
      ["web", /^Cannot tell what "web" is: it must be an address, pod\//],
      ["pod/shop/none", /there is no such pod/],
      ["pod/shop/done", /the pod has ended \(Succeeded\)/],
      ["pod/shop/young", /has no address yet/],
      ["node/z", /there is no such node/],
      ["svc/shop/none:80", /there is no such service/],
      ["web.shop.svc:http-alt", /has no port "http-alt", but http/],
      ["svc/shop/web:81", /has no port "81", but http \(80\), dns \(53\)/],
      ["svc/shop/far", /another name of "db.example.org"/],
    ] as const
  ) {
    assert.throws(() => target(text), (error) => error instanceof Error && why.test(error.message));
  }
  assert.throws(() => targetOf("svc/shop/web", {}), /name a file by --objects/);
  assert.throws(() => targetOf("pod/shop/web-1", {}), /no snapshot has a pod of that name/);
});

Deno.test("a pod is found by the snapshots alone, and families are paired", () => {
  const six = parseAddress("fd00::5") ?? assert.fail();
  const found = targetOf("pod/shop/lone", { addressesOfPod: () => [six] });
  assert.deepEqual(texts(found), { pod: "shop/lone", addresses: "fd00::5" });
  assert.deepEqual(paired(target("pod/shop/web-1"), found).map(formatAddress), [
    "fd00::1",
    "fd00::5",
  ]);
  assert.throws(() => paired(target("svc/shop/web"), found), /IPv4 with IPv6: .* share no family/);
});
