import { deepEqual, equal, notEqual } from "node:assert/strict";
import { networkOf, RemoteNames, remoteOf } from "./remote.ts";

const DETAIL = { names: true, workloads: false, ipv4Prefix: 20, ipv6Prefix: 44 };

Deno.test("an address in a network keeps its first bits and no other", () => {
  equal(networkOf("10.1.191.3", DETAIL), "10.1.176.0/20");
  equal(networkOf("2001:db8:123f::1:7", DETAIL), "2001:db8:1230::/44");
  equal(networkOf("fd00::1", { ...DETAIL, ipv6Prefix: 128 }), "fd00::1/128");
  equal(networkOf("fd00::1:2", { ...DETAIL, ipv6Prefix: 127 }), "fd00::1:2/127");
  equal(networkOf("10.1.2.3", { ...DETAIL, ipv4Prefix: 31 }), "10.1.2.2/31");
  equal(networkOf("10.1.2.3", { ...DETAIL, ipv4Prefix: 0 }), "0.0.0.0/0");
  equal(networkOf("fd00::1", { ...DETAIL, ipv6Prefix: 0 }), "::/0");
});

Deno.test("two far ends of one name are the same object", () => {
  const names = new RemoteNames();
  const first = names.same(remoteOf("10.1.2.3", undefined, DETAIL));
  equal(names.same(remoteOf("10.1.2.4", undefined, DETAIL)), first);
  notEqual(names.same(remoteOf("10.1.22.4", undefined, DETAIL)), first);
});

Deno.test("a far end has its name, a pod's before a service's before a node's", () => {
  const pod = { namespace: "shop", name: "cart-7" };
  const service = { namespace: "shop", name: "cart" };
  const named = (kind: string, namespace: string, name: string) => ({
    remote_kind: kind,
    remote_namespace: namespace,
    remote_name: name,
  });
  const of = (owner: Parameters<typeof remoteOf>[1]) => remoteOf("10.1.2.3", owner, DETAIL);
  deepEqual(of({ pod, service, node: "a" }), named("pod", "shop", "cart-7"));
  deepEqual(of({ service, node: "a" }), named("service", "shop", "cart"));
  deepEqual(of({ node: "a" }), named("node", "", "a"));
  deepEqual(of(undefined), named("network", "", "10.1.0.0/20"));
  const without = remoteOf("10.1.2.3", { pod }, { ...DETAIL, names: false });
  deepEqual(without, named("network", "", "10.1.0.0/20"));
});

Deno.test("a far end is its workload on request, and a pod without one is itself", () => {
  const detail = { ...DETAIL, workloads: true };
  const pod = { namespace: "shop", name: "cart-7", workload: "Deployment/cart" };
  deepEqual(remoteOf("10.1.2.3", { pod }, detail), {
    remote_kind: "workload",
    remote_namespace: "shop",
    remote_name: "Deployment/cart",
  });
  equal(remoteOf("10.1.2.3", { pod }, DETAIL).remote_name, "cart-7");
  const { workload: _, ...alone } = pod;
  equal(remoteOf("10.1.2.3", { pod: alone }, detail).remote_kind, "pod");
  equal(remoteOf("10.1.2.3", { pod }, { ...detail, names: false }).remote_kind, "network");
});
