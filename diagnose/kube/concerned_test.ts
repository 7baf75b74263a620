import assert from "node:assert/strict";
import { ip } from "../../tests/made_rules.ts";
import type { Question } from "../walk/diagnosis.ts";
import { Cluster } from "./cluster.ts";
import { nodesOf } from "./concerned.ts";
import { readObjects } from "./objects.ts";
import { resolverOf } from "./resolver.ts";

function pod(name: string, podIP: string, nodeName: string) {
  return {
    kind: "Pod",
    metadata: { name, namespace: "shop" },
    spec: { nodeName, containers: [] },
    status: { phase: "Running", podIP, podIPs: [{ ip: podIP }] },
  };
}

function node(name: string, address: string) {
  return {
    kind: "Node",
    metadata: { name },
    status: { addresses: [{ type: "InternalIP", address }] },
  };
}

const SERVICE = {
  kind: "Service",
  metadata: { name: "web", namespace: "shop" },
  spec: {
    clusterIP: "10.96.0.1",
    ports: [{ name: "http", port: 80, protocol: "TCP", nodePort: 30_080 }],
  },
};

function slice(...nodes: readonly (string | undefined)[]) {
  return {
    kind: "EndpointSlice",
    metadata: {
      ...{ name: "web-x", namespace: "shop" },
      labels: { "kubernetes.io/service-name": "web" },
    },
    addressType: "IPv4",
    endpoints: nodes.map((nodeName, at) => ({
      ...{ addresses: [`10.0.9.${at}`], conditions: { ready: true } },
      ...(nodeName === undefined ? {} : { nodeName }),
    })),
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  };
}

const OBJECTS = [
  ...[pod("cart", "10.0.1.2", "a"), pod("web", "10.0.2.2", "b"), pod("late", "10.0.3.2", "")],
  ...[node("a", "192.0.2.1"), node("c", "192.0.2.3")],
  SERVICE,
];

/** The nodes of questions from one pod to these, or that it is not known. */
function concerned(
  to: readonly (readonly [address: string, port: number])[],
  { from = "10.0.1.2", endpoints = slice("b", "d"), more = {} }: {
    from?: string;
    endpoints?: unknown;
    more?: Partial<Question>;
  } = {},
): string {
  const text = JSON.stringify({ kind: "List", items: [...OBJECTS, endpoints] });
  const { objects, mistakes } = readObjects(text);
  assert.deepEqual(mistakes, []);
  const found = nodesOf(
    new Cluster(objects),
    to.map(([address, port]) => ({
      ...{ source: ip(from), destination: ip(address), protocol: "tcp", port, ...more },
    })),
  );
  return found === undefined ? "not known" : [...found].sort().join(" ");
}

Deno.test("a connection is about the nodes of its ends, or of its service's backends", () => {
  assert.equal(concerned([["10.0.2.2", 80]]), "a b");
  assert.equal(concerned([["192.0.2.3", 22]]), "a c");
  assert.equal(concerned([["10.96.0.1", 80]]), "a b d");
  // A node port's packets come to the node, and go on from there.
  assert.equal(concerned([["192.0.2.3", 30_080]]), "a b c d");
  assert.equal(concerned([["10.96.0.1", 81]]), "a");
  assert.equal(concerned([["10.0.2.2", 80]], { from: "192.0.2.3" }), "b c");
  assert.equal(concerned([["10.0.2.2", 80], ["192.0.2.3", 22]]), "a b c");
});

Deno.test("which nodes are concerned is not known where an end is nobody's", () => {
  for (const address of ["203.0.113.9", "10.0.3.2"]) {
    assert.equal(concerned([[address, 80]]), "not known");
    assert.equal(concerned([["10.0.2.2", 80], [address, 80]]), "not known");
    assert.equal(concerned([["10.0.2.2", 80]], { from: address }), "not known");
  }
  assert.equal(concerned([["10.96.0.1", 80]], { endpoints: slice("b", undefined) }), "not known");
  // A name's nameservers are others than its ends.
  const lookup = {
    ...{ name: "web", resolver: resolverOf(""), tried: [], by: "cluster", none: false } as const,
    addresses: [ip("10.0.2.2")],
  };
  assert.equal(concerned([["10.0.2.2", 80]], { more: { lookup } }), "not known");
});
