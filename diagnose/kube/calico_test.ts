import assert from "node:assert/strict";
import {
  diagnosedIn,
  type MadeNetwork,
  madeObjects,
  type MadeQuestion,
} from "../../tests/made_cluster.ts";
import { type MadeNamespace } from "../../tests/made_network.ts";

const NETWORKS = ["calico bgp", "calico ipip", "calico vxlan"] as const;

/** What is not as Calico sets it up, with the verdict of the walk first. */
function found(network: MadeNetwork, asked: MadeQuestion = {}): readonly string[] {
  const { verdict, opinion } = diagnosedIn(network, asked);
  const remarks = opinion?.remarks.filter(({ id }) => id.startsWith("calico-")) ?? [];
  return [verdict, ...remarks.map(({ id, severity }) => `${id} ${severity}`)];
}

/** The cluster's objects with another pool. */
function pooled(network: MadeNetwork, spec: Record<string, unknown>) {
  const pool = {
    ...{ kind: "IPPool", metadata: { name: "default" } },
    spec: { cidr: "10.244.0.0/16", ...spec },
  };
  const rest = madeObjects(network).filter((each) => !JSON.stringify(each).includes("IPPool"));
  return { objects: [...rest, pool] };
}

Deno.test("Calico's network is as its pools say, in all its modes", () => {
  for (const network of NETWORKS) {
    assert.deepEqual(found(network), ["reachable"], network);
    for (const mtu of [1450, 8981]) assert.deepEqual(found(network, { mtu }), ["reachable"]);
  }
});

Deno.test("without pools among the objects nothing is expected", () => {
  for (const network of NETWORKS) {
    const objects = madeObjects(network).filter((each) => !JSON.stringify(each).includes("IPPool"));
    assert.deepEqual(found(network, { objects }), ["reachable"]);
  }
});

Deno.test("a pool's mode that the routes do not follow is a hint, as packets pass", () => {
  const hints = (at: MadeNetwork, spec: Record<string, unknown>) => found(at, pooled(at, spec));
  const both = ["reachable", "calico-route hint", "calico-route hint"];
  assert.deepEqual(hints("calico bgp", { ipipMode: "Always" }), both);
  assert.deepEqual(hints("calico bgp", { vxlanMode: "Always" }), both);
  assert.deepEqual(hints("calico ipip", { ipipMode: "Never" }), both);
  assert.deepEqual(hints("calico vxlan", { ipipMode: "Always" }), both);
  // The nodes share a network, so only others' packets would be put into a tunnel.
  assert.deepEqual(hints("calico bgp", { vxlanMode: "CrossSubnet" }), ["reachable"]);
  assert.deepEqual(hints("calico bgp", { ipipMode: "CrossSubnet" }), ["reachable"]);
  assert.deepEqual(hints("calico ipip", { ipipMode: "CrossSubnet" }), both);
  assert.deepEqual(hints("calico bgp", { ipipMode: "Always", disabled: true }), ["reachable"]);
  assert.deepEqual(hints("calico bgp", { ipipMode: "Always", cidr: "10.9.0.0/16" }), ["reachable"]);
});

Deno.test("the pool with the longest prefix counts", () => {
  const near = pooled("calico bgp", { cidr: "10.244.2.0/24", vxlanMode: "Always" });
  const wide = madeObjects("calico bgp");
  const pools = { objects: [...wide, ...near.objects.slice(-1)] };
  assert.deepEqual(found("calico bgp", pools), ["reachable", "calico-route hint"]);
});

Deno.test("a route that is gone, or leads to another node, goes with what stops packets", () => {
  const gone = (network: MadeNetwork) => ({
    change: ({ routes = [] }: MadeNamespace) => ({
      routes: routes.filter(({ dst, gateway }) => dst !== "10.244.2.0/26" && gateway === undefined),
    }),
    network,
  });
  for (const network of NETWORKS) {
    assert.deepEqual(found(network, gone(network)), ["blocked", "calico-route warning"], network);
  }
  const astray = found("calico ipip", {
    change: ({ routes = [] }) => ({
      routes: routes.map((each) =>
        each.dst === "10.244.2.0/26" ? { ...each, gateway: "192.168.0.77" } : each
      ),
    }),
  });
  assert.deepEqual(astray, ["unknown", "calico-route hint"]);
});

Deno.test("a tunnel's MTU is held against the node's own network", () => {
  assert.deepEqual(found("calico bgp", { excess: 1 }).slice(1), []);
  for (const network of ["calico ipip", "calico vxlan"] as const) {
    assert.deepEqual(found(network, { excess: 1 }).slice(1), [
      "calico-mtu hint",
      "calico-mtu hint",
    ]);
  }
});
