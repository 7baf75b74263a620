import assert from "node:assert/strict";
import { nameOf, readObjects } from "./objects.ts";

Deno.test("objects are read of lists, of lists of lists, and alone", () => {
  const namespace = { kind: "Namespace", metadata: { name: "a" } };
  const node = { kind: "Node", metadata: { name: "n" } };
  for (
    const value of [
      [namespace, node],
      { kind: "List", items: [namespace, node] },
      [{ kind: "NamespaceList", items: [{ metadata: { name: "a" } }] }, node],
      { items: [namespace, { kind: "ConfigMap", metadata: {} }, node] },
    ]
  ) {
    const { objects, mistakes } = readObjects(JSON.stringify(value));
    assert.deepEqual(objects.map((each) => `${each.kind} ${nameOf(each)}`), [
      "Namespace a",
      "Node n",
    ]);
    assert.deepEqual(mistakes, []);
  }
  assert.equal(readObjects(JSON.stringify(node)).objects.length, 1);
});

Deno.test("an object of the wrong shape is told, and the others are read", () => {
  const odd = { kind: "Service", metadata: { name: "web", namespace: "shop" }, spec: { ports: 7 } };
  const value = [odd, { kind: "Pod" }, 7, null, "x", { kind: 7 }, {
    ...{ kind: "Node", metadata: { name: "n" } },
  }];
  const { objects, mistakes } = readObjects(JSON.stringify(value));
  assert.equal(objects.length, 1);
  assert.match(mistakes[0] ?? "", /^Service shop\/web: "spec.ports": Invalid type/);
  assert.match(mistakes[1] ?? "", /^Pod without a name: "metadata"/);
  assert.equal(mistakes.length, 2);
  assert.throws(() => readObjects("{"), /^Error: Cannot read the objects: they are no JSON/);
  assert.deepEqual(readObjects('{"kind":"__proto__"}'), { objects: [], mistakes: [] });
});

Deno.test("a kind is one of its own API group, in lists too", () => {
  const metadata = { name: "p", namespace: "shop" };
  const calico = { apiVersion: "crd.projectcalico.org/v1", kind: "NetworkPolicy", metadata };
  const own = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata, spec: {} };
  const pool = { cidr: "10.244.0.0/16", vxlanMode: "CrossSubnet" };
  const { objects, mistakes } = readObjects(JSON.stringify([
    { ...calico, spec: { selector: "app == 'web'" } },
    own,
    {
      ...{ kind: "GlobalNetworkPolicyList", apiVersion: "projectcalico.org/v3" },
      items: [{ metadata: { name: "deny" } }],
    },
    { apiVersion: "example.org/v1", kind: "Service", metadata, spec: 7 },
    { apiVersion: "crd.projectcalico.org/v1", kind: "IPPool", metadata, spec: pool },
  ]));
  assert.deepEqual(mistakes, []);
  assert.deepEqual(
    objects.map((each) => `${each.kind} ${nameOf(each)} ${"of" in each ? each.of : ""}`.trim()),
    [
      "UnreadPolicy shop/p NetworkPolicy",
      "NetworkPolicy shop/p",
      "UnreadPolicy deny GlobalNetworkPolicy",
      "IPPool shop/p",
    ],
  );
});
