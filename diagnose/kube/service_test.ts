import assert from "node:assert/strict";
import { ip } from "../../tests/made_rules.ts";
import { parseAddress } from "../packet/address.ts";
import { Cluster } from "./cluster.ts";
import { readObjects } from "./objects.ts";
import { backendText, driftOf, type Intent, intentOf, intentText } from "./service.ts";

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
  readonly zones?: readonly string[];
}

function slice(endpoints: readonly Made[] | null, more: Record<string, unknown> = {}) {
  return {
    kind: "EndpointSlice",
    metadata: {
      ...{ name: "web-x", namespace: "shop" },
      labels: { "kubernetes.io/service-name": "web" },
    },
    addressType: "IPv4",
    endpoints: endpoints?.map(({ address, node = "a", conditions, zones }) => ({
      ...{ addresses: [address], nodeName: node, conditions: conditions ?? { ready: true } },
      ...(zones === undefined ? {} : { hints: { forZones: zones.map((name) => ({ name })) } }),
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
  from?: string,
): Intent | undefined {
  const read = readObjects(JSON.stringify([NODE, ...objects]));
  assert.deepEqual(read.mistakes, []);
  const found = parseAddress(address) ?? assert.fail();
  const cluster = new Cluster(read.objects);
  const source = from === undefined ? {} : { source: cluster.endOf(ip(from)) };
  return intentOf(cluster, { address: found, port, protocol, node, ...source });
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

Deno.test("where traffic stays on its node, an endpoint there that ends still serves", () => {
  const ending = { ready: false, serving: true, terminating: true };
  const endpoints = slice([
    { address: "10.0.0.1", conditions: ending },
    { address: "10.0.0.2", node: "b" },
  ]);
  const inside = service({ internalTrafficPolicy: "Local" });
  assert.deepEqual(texts(intent([inside, endpoints], "10.96.0.17")), ["10.0.0.1:8080"]);
  assert.deepEqual(texts(intent([service(), endpoints], "10.96.0.17")), ["10.0.0.2:8080"]);
});

Deno.test("a node's own pods reach all endpoints at outer addresses, others by the policy", () => {
  const endpoints = slice([{ address: "10.0.0.1" }, { address: "10.0.0.2", node: "b" }]);
  const local = service({ externalIPs: ["203.0.113.9"], externalTrafficPolicy: "Local" });
  const cart = {
    kind: "Pod",
    metadata: { name: "cart", namespace: "shop" },
    spec: { nodeName: "a", containers: [] },
    status: { podIP: "10.0.0.5" },
  };
  const at = (from: string) =>
    texts(intent([local, endpoints, cart], "203.0.113.9", 80, "TCP", "a", from));
  assert.deepEqual(at("10.0.0.5"), ["10.0.0.1:8080", "10.0.0.2:8080"]);
  assert.deepEqual(at("192.0.2.1"), ["10.0.0.1:8080", "10.0.0.2:8080"]);
  assert.deepEqual(at("198.51.100.1"), ["10.0.0.1:8080"]);
});

Deno.test("hints of topology leave a zone's endpoints, unless one has none or none is", () => {
  const zoned = {
    ...NODE,
    metadata: { name: "a", labels: { "topology.kubernetes.io/zone": "z1" } },
  };
  const made = (first: readonly string[] | undefined, second: readonly string[]) => {
    const hints = first === undefined ? {} : { zones: first };
    const endpoints = slice([
      { address: "10.0.0.1", ...hints },
      { address: "10.0.0.2", node: "b", zones: second },
    ]);
    return texts(intent([zoned, service(), endpoints], "10.96.0.17"))?.length;
  };
  assert.equal(made(["z1"], ["z2"]), 1);
  assert.equal(made(["z1"], ["z1", "z2"]), 2);
  assert.equal(made(undefined, ["z1"]), 2);
  assert.equal(made(["z2"], ["z3"]), 2);
});

Deno.test("a load balancer's source ranges are for its own addresses only", () => {
  const endpoints = slice([{ address: "10.0.0.1" }]);
  const balanced = service(
    { type: "LoadBalancer", loadBalancerSourceRanges: ["198.51.100.0/24 ", "2001:db8::/32"] },
    { loadBalancer: { ingress: [{ ip: "203.0.113.7" }] } },
  );
  const from = (source: string, address = "203.0.113.7") =>
    intent([balanced, endpoints], address, 80, "TCP", "a", source)?.refused;
  assert.equal(from("198.51.100.9"), undefined);
  assert.match(
    from("192.0.2.9") ?? "",
    /^its loadBalancerSourceRanges .* do not have 192\.0\.2\.9$/,
  );
  assert.equal(from("192.0.2.9", "10.96.0.17"), undefined);
});

Deno.test("a pod's host port leads to it at its own node's address only", () => {
  const pod = (name: string, spec: Record<string, unknown>, node = "a") => ({
    kind: "Pod",
    metadata: { name, namespace: "shop" },
    spec: { nodeName: node, containers: [{ name: "m", ports: [spec] }] },
    status: { phase: "Running", podIP: "10.0.0.5" },
  });
  const port = { containerPort: 8080, hostPort: 9090, protocol: "TCP" };
  const at = (made: unknown, wanted = 9090, protocol = "TCP") =>
    intent([made], "192.0.2.1", wanted, protocol);
  const found = at(pod("web", port)) ?? assert.fail();
  assert.deepEqual([texts(found), intentText(found)], [
    ["10.0.0.5:8080"],
    "host port 9090/TCP of pod shop/web",
  ]);
  assert.equal(at(pod("web", port), 8080), undefined);
  assert.equal(at(pod("web", port), 9090, "UDP"), undefined);
  assert.equal(at(pod("web", port, "b")), undefined);
  assert.equal(at(pod("web", { ...port, hostIP: "127.0.0.1" })), undefined);
  assert.deepEqual(texts(at(pod("web", { ...port, hostIP: "192.0.2.1" }))), ["10.0.0.5:8080"]);
});

Deno.test("a load balancer's address may be several services', and a node's own", () => {
  const named = (name: string, port: number, ip: string, ipMode?: string) => ({
    ...service({
      ...{ type: "LoadBalancer", clusterIP: `10.96.1.${port % 250}`, clusterIPs: [] },
      ports: [{ name: "http", port }],
    }, { loadBalancer: { ingress: [{ ip, ...(ipMode === undefined ? {} : { ipMode }) }] } }),
    metadata: { name, namespace: "shop" },
  });
  const of = (name: string) => ({
    ...slice([{ address: "10.0.0.1" }]),
    metadata: {
      ...{ name: `${name}-x`, namespace: "shop" },
      labels: { "kubernetes.io/service-name": name },
    },
  });
  const shared = [
    named("one", 80, "192.0.2.9"),
    named("two", 443, "192.0.2.9"),
    of("one"),
    of("two"),
  ];
  assert.equal(intent(shared, "192.0.2.9", 80)?.service, "shop/one");
  assert.equal(intent(shared, "192.0.2.9", 443)?.service, "shop/two");
  assert.match(intent(shared, "192.0.2.9", 22)?.because ?? "", /it has no port 22\/TCP/);
  // As k3s has it: the node's SSH is none of the service's.
  const own = [named("one", 80, "192.0.2.1"), of("one")];
  assert.equal(intent(own, "192.0.2.1", 80)?.service, "shop/one");
  assert.equal(intent(own, "192.0.2.1", 22), undefined);
  // Nodes have no rules for it, and send packets to the load balancer itself.
  assert.equal(intent([named("one", 80, "192.0.2.9", "Proxy"), of("one")], "192.0.2.9"), undefined);
  assert.deepEqual(
    texts(intent([named("one", 80, "192.0.2.9", "VIP"), of("one")], "192.0.2.9")),
    ["10.0.0.1:8080"],
  );
});

Deno.test("without any endpoints among the objects nothing is said of services", () => {
  assert.equal(intent([service()], "10.96.0.17"), undefined);
  assert.equal(intent([service({ type: "NodePort" })], "192.0.2.1", 30_080), undefined);
  assert.match(intent([service(), slice(null)], "10.96.0.17")?.because ?? "", /no ready endpoint/);
});

Deno.test("a sidecar's host port is its pod's", () => {
  const ports = [{ containerPort: 8080, hostPort: 9090 }];
  const pod = (restartPolicy: string | undefined) => ({
    kind: "Pod",
    metadata: { name: "web", namespace: "shop" },
    spec: {
      nodeName: "a",
      containers: [],
      initContainers: [{ name: "proxy", ports, ...(restartPolicy && { restartPolicy }) }],
    },
    status: { phase: "Running", podIP: "10.0.0.5" },
  });
  assert.deepEqual(texts(intent([pod("Always")], "192.0.2.1", 9090)), ["10.0.0.5:8080"]);
  assert.equal(intent([pod(undefined)], "192.0.2.1", 9090), undefined);
});
