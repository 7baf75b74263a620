import assert from "node:assert/strict";
import { FakeKubernetes, NODES, PODS, SERVICES, SLICES } from "../../../tests/fake_kubernetes.ts";
import { madeNode, madePod, madeService, madeSlice } from "../../../tests/made_kubernetes.ts";
import { KubernetesSource, type Scope } from "./kubernetes.ts";

const CONTAINER = "8dbc6c4aef6f5a1b8cd0a8b7e0ab97dc0c9ae6e2e7f3a90e64bd27b8a9b3e2c1";
const WEB = madePod({
  name: "web-6d4cf56db6-x2x5n",
  addresses: ["10.244.0.7", "fd00:10:244:0::7"],
  labels: { app: "web", "pod-template-hash": "6d4cf56db6" },
  containers: [CONTAINER],
  owner: ["ReplicaSet", "web-6d4cf56db6"],
});

/** Asks until the answer is the one that is waited for. */
async function until(what: string, is: () => boolean, milliseconds = 10_000): Promise<void> {
  for (const end = performance.now() + milliseconds; !is();) {
    assert.ok(performance.now() < end, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function sourceOf(fake: FakeKubernetes, scope: Scope = "node", node = "node-a") {
  const source = new KubernetesSource({
    ...{ scope, node, kubeconfig: fake.kubeconfig() },
    times: { pauseMilliseconds: 20, watchSeconds: 60 },
    leftMilliseconds: 100,
  });
  return {
    source,
    works: () => until("working", () => source.outcome().state === "working"),
    why: () => {
      const outcome = source.outcome();
      return "because" in outcome ? `${outcome.state}: ${outcome.because}` : outcome.state;
    },
    [Symbol.dispose]: () => source.close(),
  };
}

Deno.test("kubernetes names this node's pods by UID and container", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, WEB, madePod({ name: "elsewhere", node: "node-b" }));
  using s = sourceOf(fake);
  await s.works();
  const identity = {
    kind: "pod",
    namespace: "shop",
    name: "web-6d4cf56db6-x2x5n",
    uid: "uid-web-6d4cf56db6-x2x5n",
    labels: { app: "web", "pod-template-hash": "6d4cf56db6" },
    workload: "Deployment/web",
  };
  assert.deepEqual(s.source.identify({ podUid: WEB.metadata.uid }), identity);
  assert.deepEqual(s.source.identify({ containerId: CONTAINER, netns: 7 }), identity);
  assert.equal(s.source.identify({ podUid: "uid-elsewhere" }), undefined);
  assert.equal(s.source.identify({ netns: 7 }), undefined);
  const { namespace, name, workload } = identity;
  assert.deepEqual(s.source.owner("10.244.0.7"), { pod: { namespace, name, workload } });
  assert.deepEqual(s.source.owner("fd00:10:244::7"), { pod: { namespace, name, workload } });
  // Within its own scope no more of the cluster is asked for.
  assert.deepEqual(new Set(fake.asked), new Set([`list ${PODS}`, `watch ${PODS}`]));
});

Deno.test("kubernetes names a static pod by the UID that its cgroup has", async () => {
  await using fake = new FakeKubernetes();
  const annotations = { "kubernetes.io/config.hash": "c0ffee" };
  const owner = ["Node", "node-a"] as const;
  fake.put(PODS, madePod({ name: "etcd-node-a", annotations, owner, hostNetwork: true }));
  using s = sourceOf(fake);
  await s.works();
  assert.equal(s.source.identify({ podUid: "c0ffee" })?.name, "etcd-node-a");
  assert.equal(s.source.identify({ podUid: "uid-etcd-node-a" })?.workload, "Node/node-a");
});

Deno.test("kubernetes follows what is made, changed and deleted", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, WEB);
  using s = sourceOf(fake);
  await s.works();
  fake.put(PODS, madePod({ name: "cart", addresses: ["10.244.0.9"] }));
  await until("added", () => s.source.identify({ podUid: "uid-cart" }) !== undefined);
  fake.put(PODS, madePod({ name: "cart", addresses: ["10.244.0.11"], labels: { v: "2" } }));
  await until("changed", () => s.source.identify({ podUid: "uid-cart" })?.labels?.["v"] === "2");
  assert.equal(s.source.owner("10.244.0.9"), undefined);
  assert.equal(s.source.owner("10.244.0.11")?.pod?.name, "cart");
  fake.remove(PODS, "uid-cart");
  await until("deleted", () => s.source.owner("10.244.0.11") === undefined);
  // Its namespace may still be there, and its last events are not told yet.
  assert.equal(s.source.identify({ podUid: "uid-cart" })?.name, "cart");
  await new Promise((resolve) => setTimeout(resolve, 120));
  fake.put(PODS, madePod({ name: "next" }));
  await until("next", () => s.source.identify({ podUid: "uid-next" }) !== undefined);
  assert.equal(s.source.identify({ podUid: "uid-cart" }), undefined);
  assert.equal(fake.count(`list ${PODS}`), 1);
});

Deno.test("kubernetes tells whose an address of the cluster is, when it may read it", async () => {
  await using fake = new FakeKubernetes();
  const job = ["Job", "report-29384710"] as const;
  fake.put(
    PODS,
    WEB,
    madePod({ name: "far", node: "node-b", addresses: ["10.244.1.3"], owner: job }),
    madePod({ name: "done", node: "node-b", addresses: ["10.244.1.5"], phase: "Succeeded" }),
    madePod({ name: "host", node: "node-b", addresses: ["192.0.2.2"], hostNetwork: true }),
    madePod({
      ...{ name: "old", node: "node-b", addresses: ["10.244.1.7"] },
      deletionTimestamp: "2026-11-20T08:20:00Z",
    }),
    madePod({ name: "new", node: "node-b", addresses: ["10.244.1.7"] }),
    madePod({ name: "twin-1", node: "node-b", addresses: ["10.244.1.9"] }),
    madePod({ name: "twin-2", node: "node-b", addresses: ["10.244.1.9"] }),
  );
  fake.put(SERVICES, madeService("web", "10.96.0.17", "fd00:10:96::17"), madeService("none"));
  fake.put(NODES, madeNode("node-b", "192.0.2.2", "2001:db8::2"));
  fake.put(SLICES, madeSlice("web", "10.244.0.7", "203.0.113.5"), madeSlice("none"));
  using s = sourceOf(fake, "cluster");
  await s.works();
  const owner = (address: string) => s.source.owner(address);
  assert.deepEqual(owner("10.244.1.3"), {
    pod: { namespace: "shop", name: "far", workload: "CronJob/report" },
  });
  assert.equal(owner("10.244.1.5"), undefined);
  assert.deepEqual(owner("192.0.2.2"), { node: "node-b" });
  assert.deepEqual(owner("2001:db8::2"), { node: "node-b" });
  assert.equal(owner("10.244.1.7")?.pod?.name, "new");
  assert.equal(owner("10.244.1.9"), undefined);
  const web = { service: { namespace: "shop", name: "web" } };
  assert.deepEqual(owner("10.96.0.17"), web);
  assert.deepEqual(owner("fd00:10:96::17"), web);
  assert.deepEqual(owner("203.0.113.5"), web);
  assert.equal(owner("10.244.0.7")?.pod?.name, "web-6d4cf56db6-x2x5n");
  assert.equal(owner("198.51.100.1"), undefined);
});

Deno.test("kubernetes goes on with the rest when it may not read all of the cluster", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, WEB);
  fake.put(SERVICES, madeService("web", "10.96.0.17"));
  fake.forbidden.add(NODES);
  using s = sourceOf(fake, "cluster");
  await until("degraded", () => /^degraded: .*nodes: HTTP 403: cannot list/.test(s.why()));
  await until("service", () => s.source.owner("10.96.0.17") !== undefined);
  assert.equal(s.source.identify({ podUid: WEB.metadata.uid })?.namespace, "shop");
  fake.forbidden.clear();
  await s.works();
});

Deno.test("kubernetes asks a server of before 1.21 for what slices it has", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, WEB);
  const earlier = SLICES.replace("/v1/", "/v1beta1/");
  fake.put(earlier, madeSlice("web", "203.0.113.5"));
  const none = { kind: "Status", message: "the server could not find the requested resource" };
  fake.answers.set(SLICES, () => Response.json(none, { status: 404 }));
  using s = sourceOf(fake, "cluster");
  await s.works();
  assert.deepEqual(s.source.owner("203.0.113.5"), { service: { namespace: "shop", name: "web" } });
  // It is replaced by a newer one.
  fake.answers.clear();
  fake.put(SLICES, madeSlice("cart", "203.0.113.7"));
  fake.answers.set(earlier, () => Response.json(none, { status: 404 }));
  fake.breakWatches();
  await until("newer", () => s.source.owner("203.0.113.7")?.service?.name === "cart");
  await s.works();
});

Deno.test("kubernetes keeps its names while the API is away, and tells their age", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, WEB);
  using s = sourceOf(fake);
  await s.works();
  const misdeed = { kind: "status", status: 500 } as const;
  fake.misdeeds.watch.push(...Array.from({ length: 5 }, () => misdeed));
  fake.breakWatches();
  await until("degraded", () => /^degraded: The node's pods are \d+ s old: /.test(s.why()));
  assert.equal(s.source.identify({ podUid: WEB.metadata.uid })?.namespace, "shop");
  await s.works();
});

Deno.test("kubernetes says so when no pod is on a node of that name", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, WEB);
  using s = sourceOf(fake, "node", "node-x");
  await until("degraded", () => /no pod on a node called "node-x"/.test(s.why()));
});

Deno.test("kubernetes is absent on plain Linux, stopped when off, failed as told", async () => {
  const options = { node: "node-a" };
  const host = Deno.env.get("KUBERNETES_SERVICE_HOST");
  Deno.env.delete("KUBERNETES_SERVICE_HOST");
  const none = new KubernetesSource({ ...options, scope: "node" });
  await until("absent", () => /is no pod of a cluster/.test(JSON.stringify(none.outcome())));
  assert.equal(none.outcome().state, "absent");
  none.close();
  if (host !== undefined) Deno.env.set("KUBERNETES_SERVICE_HOST", host);
  const off = new KubernetesSource({ ...options, scope: "off" });
  assert.deepEqual(off.outcome(), { state: "stopped" });
  off.close();
  const kubeconfig = "/nonexistent/config";
  const wrong = new KubernetesSource({ ...options, scope: "node", kubeconfig });
  await until("failed", () => wrong.outcome().state === "failed");
  assert.match(JSON.stringify(wrong.outcome()), /Cannot read the kubeconfig .*nonexistent/);
  wrong.close();
});

Deno.test("kubernetes holds 15,000 pods of a cluster within its memory", async () => {
  await using fake = new FakeKubernetes();
  fake.put(PODS, WEB);
  for (let index = 0; index < 15_000; index++) {
    const address = `10.${index >> 16}.${index >> 8 & 255}.${index & 255}`;
    const owner = ["ReplicaSet", `app-${index % 97}-6d4cf56db6`] as const;
    const labels = { app: `app-${index % 97}`, "pod-template-hash": "6d4cf56db6" };
    const name = `app-${index % 97}-6d4cf56db6-${index.toString(36).padStart(5, "0")}`;
    const node = `node-${index % 300}`;
    fake.put(PODS, madePod({ name, node, labels, owner, addresses: [address] }));
  }
  fake.compact();
  using s = sourceOf(fake, "cluster");
  await until("all", () => s.source.owner("10.0.58.151") !== undefined, 60_000);
  assert.deepEqual(s.source.owner("10.0.58.151")?.pod?.workload, "Deployment/app-61");
  // 75 pages of 200 and one more; those of this node are one.
  assert.equal(fake.count(`list ${PODS}`), 77);
  assert.deepEqual(Object.values(s.source.refused()), [0, 0, 0, 0]);
});
