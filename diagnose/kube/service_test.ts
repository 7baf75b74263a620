import assert from "node:assert/strict";
import { parseAddress } from "../packet/address.ts";
import { Cluster } from "./cluster.ts";
import { readObjects } from "./objects.ts";
import { backendText, driftOf, type Intent, intentOf } from "./service.ts";

const NODE = {
  kind: "Node",
  metadata: { name: "a" },
  status: { addresses: [{ type: "InternalIP", address: "192.0.2.1" }] },
};

function service(spec: Record<string, unknown> = {}, status = {}) {
  return {
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: {
      clusterIP: "10.96.0.17",
      clusterIPs: ["10.96.0.17", "fd00:96::17"],
      ports: [
        { name: "http", port: 80, protocol: "TCP", nodePort: 30_080, targetPort: "web" },
        { name: "dns", port: 80, protocol: "UDP", nodePort: 30_081 },
      ],
      ...spec,
    },
    status,
  };
}

interface Made {
  readonly address: string;
  readonly node?: string;
  readonly conditions?: Record<string, boolean | null>;
}

function slice(endpoints: readonly Made[] | null, more: Record<string, unknown> = {}) {
  return {
    kind: "EndpointSlice",
    metadata: {
      ...{ name: "web-x", namespace: "shop" },
      labels: { "kubernetes.io/service-name": "web" },
    },
    addressType: "IPv4",
    endpoints: endpoints?.map(({ address, node = "a", conditions = { ready: true } }) => ({
      ...{ addresses: [address], nodeName: node, conditions },
    })) ?? null,
    ports: [{ name: "http", port: 8080, protocol: "TCP" }, {
      name: "dns",
      port: 53,
      protocol: "UDP",
    }],
    ...more,
  };
}

function intent(
  objects: readonly unknown[],
  address: string,
  port = 80,
  protocol = "TCP",
  node = "a",
): Intent | undefined {
  const read = readObjects(JSON.stringify([NODE, ...objects]));
  assert.deepEqual(read.mistakes, []);
  const found = parseAddress(address) ?? assert.fail();
  return intentOf(new Cluster(read.objects), { address: found, port, protocol, node });
}

const texts = (of: Intent | undefined) => of?.backends.map(backendText);

Deno.test("a service's port leads to that port of its ready endpoints, by name", () => {
  const objects = [service(), slice([{ address: "10.0.0.1" }, { address: "10.0.0.2" }])];
  const http = intent(objects, "10.96.0.17");
  assert.deepEqual(texts(http), ["10.0.0.1:8080", "10.0.0.2:8080"]);
  assert.deepEqual([http?.service, http?.port, http?.access], [
    "shop/web",
    "http 80/TCP",
    "cluster",
  ]);
  assert.deepEqual(texts(intent(objects, "10.96.0.17", 80, "UDP")), ["10.0.0.1:53", "10.0.0.2:53"]);
  assert.deepEqual(intent(objects, "10.96.0.17", 81)?.because, "it has no port 81/TCP");
  assert.equal(intent(objects, "10.0.0.1"), undefined);
});

Deno.test("endpoints of the other family, and of other services, are not its", () => {
  const six = slice([{ address: "fd00::1" }], { addressType: "IPv6" });
  const objects = [service(), slice([{ address: "10.0.0.1" }]), six];
  assert.deepEqual(texts(intent(objects, "fd00:96::17")), ["[fd00::1]:8080"]);
  assert.deepEqual(texts(intent(objects, "10.96.0.17")), ["10.0.0.1:8080"]);
  const labels = { "kubernetes.io/service-name": "other" };
  const others = slice([{ address: "10.0.0.9" }], {
    metadata: { name: "o", namespace: "shop", labels },
  });
  assert.deepEqual(texts(intent([service(), others], "10.96.0.17")), []);
});

Deno.test("endpoints that end serve only while none is ready; unready ones do not", () => {
  const ending = { ready: false, serving: true, terminating: true };
  const unready = { ready: false, serving: false, terminating: false };
  const made = (first: Record<string, boolean | null>) =>
    texts(intent([
      service(),
      slice([
        { address: "10.0.0.1", conditions: first },
        { address: "10.0.0.2", conditions: ending },
        { address: "10.0.0.3", conditions: unready },
      ]),
    ], "10.96.0.17"));
  assert.deepEqual(made({ ready: true }), ["10.0.0.1:8080"]);
  assert.deepEqual(made({ ready: null }), ["10.0.0.1:8080"]);
  assert.deepEqual(made({}), ["10.0.0.1:8080"]);
  assert.deepEqual(made(unready), ["10.0.0.2:8080"]);
  const none = intent([service(), slice(null, { ports: null })], "10.96.0.17");
  assert.deepEqual([none?.backends, none?.because], [[], "it has no ready endpoint"]);
});

Deno.test("traffic policies keep to the node, inside and outside each by its own", () => {
  const endpoints = slice([{ address: "10.0.0.1" }, { address: "10.0.0.2", node: "b" }]);
  const status = { loadBalancer: { ingress: [{ ip: "203.0.113.7" }] } };
  const local = service({
    ...{ type: "LoadBalancer", externalIPs: ["203.0.113.9"] },
    ...{ externalTrafficPolicy: "Local", internalTrafficPolicy: "Cluster" },
  }, status);
  const at = (address: string, port = 80, node = "a") =>
    intent([local, endpoints], address, port, "TCP", node);
  assert.equal(at("10.96.0.17")?.backends.length, 2);
  for (const address of ["203.0.113.7", "203.0.113.9"]) {
    assert.deepEqual(texts(at(address)), ["10.0.0.1:8080"]);
    assert.equal(at(address)?.access, "external");
  }
  assert.deepEqual(texts(at("192.0.2.1", 30_080)), ["10.0.0.1:8080"]);
  assert.equal(at("192.0.2.1", 30_080)?.access, "node");
  assert.equal(at("192.0.2.1", 30_082), undefined);
  assert.match(at("203.0.113.7", 80, "c")?.because ?? "", /none of its 2 endpoints is on node c/);
  const inside = service({ internalTrafficPolicy: "Local" });
  assert.deepEqual(texts(intent([inside, endpoints], "10.96.0.17")), ["10.0.0.1:8080"]);
});

Deno.test("drift is what packets did that the API does not want, and the reverse", () => {
  const objects = [service(), slice([{ address: "10.0.0.1" }, { address: "10.0.0.2" }])];
  const wanted = intent(objects, "10.96.0.17") ?? assert.fail();
  const at = (text: string, port = 8080) => ({
    ...{ address: parseAddress(text) ?? assert.fail(), port },
  });
  const knock = at("10.96.0.17", 80);
  assert.deepEqual(driftOf(wanted, knock, [at("10.0.0.1"), at("10.0.0.2")]), []);
  assert.deepEqual(driftOf(wanted, knock, [knock]), [
    { kind: "unprogrammed", backends: ["10.0.0.1:8080", "10.0.0.2:8080"] },
  ]);
  assert.deepEqual(driftOf(wanted, knock, [at("10.0.0.1"), at("10.0.0.7")]), [
    { kind: "stale", backends: ["10.0.0.7:8080"] },
    { kind: "missing", backends: ["10.0.0.2:8080"] },
  ]);
  assert.deepEqual(driftOf(wanted, knock, [at("10.0.0.1", 80), at("10.0.0.2")]), [
    { kind: "stale", backends: ["10.0.0.1:80"] },
    { kind: "missing", backends: ["10.0.0.1:8080"] },
  ]);
  assert.deepEqual(driftOf({ ...wanted, backends: [] }, knock, [knock]), []);
  assert.deepEqual(driftOf(wanted, knock, []), []);
});
