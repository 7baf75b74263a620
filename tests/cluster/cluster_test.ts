/**
 * The agent on a real cluster of one node: started by the kubelet as the DaemonSet's pod, with the
 * names, rights and tokens of a real API server.
 */
import assert from "node:assert/strict";
import type { PodView, Status } from "../../agent/surface.ts";
import { IMAGE } from "../e2e/containerd.ts";
import { BINARY, eventually, run } from "../host/lab.ts";
import { Cluster } from "./cluster.ts";
import { type KubeObject, pathOf } from "./control_plane.ts";

/** Refused connections that are made in each place: a number that nothing else gives. */
const CONNECTIONS = 7;

/** Written where PODSKOOP_GOLDEN=write. */
const RECORDED = new URL("../../agent/kubernetes/testdata/objects.json", import.meta.url);

/** Bits of capabilities(7). */
const CAPABILITIES: Readonly<Record<string, bigint>> = {
  ...{ DAC_READ_SEARCH: 2n, NET_ADMIN: 12n, SYS_PTRACE: 19n, SYS_ADMIN: 21n },
  ...{ SYSLOG: 34n, PERFMON: 38n, BPF: 39n },
};

/** Connects from inside a pod to a port that nobody has, in turn at each address. */
async function refuse(from: PodView, addresses: readonly string[], port: number): Promise<void> {
  const path = `--net=/proc/${from.pids[0]}/ns/net`;
  for (let index = 0; index < CONNECTIONS; index++) {
    const address = addresses[index % addresses.length] ?? "";
    await assert.rejects(run("nsenter", path, "nc", "-z", "-w2", address, `${port}`));
  }
}

/** A pod's addresses, one of each family. */
function addressesOf({ status }: KubeObject): readonly string[] {
  const addresses = (status?.podIPs ?? []).map(({ ip }) => ip);
  assert.deepEqual(addresses.map((each) => each.includes(":")).sort(), [false, true]);
  return addresses;
}

/** The agent's process, as this machine numbers it. */
async function processOf(cluster: Cluster): Promise<number> {
  const { pids, netns } = await cluster.seen(await cluster.agentPod());
  assert.equal(netns, Deno.statSync("/proc/self/ns/net").ino, "It is in the host's network");
  const name = (pid: number) => Deno.readTextFileSync(`/proc/${pid}/comm`).trim();
  return pids.find((pid) => name(pid) === "podskoop") ?? assert.fail(pids.join());
}

/** What the agent's process may do: its capabilities, and that it can get no more of them. */
async function rights(cluster: Cluster): Promise<void> {
  const status = Deno.readTextFileSync(`/proc/${await processOf(cluster)}/status`);
  const field = (key: string) => new RegExp(`^${key}:\\s*(\\w+)$`, "m").exec(status)?.[1];
  const { spec: { containers: [container] } } = await cluster.template();
  const given = container?.securityContext.capabilities.add ?? [];
  const expected = given.reduce((sum, each) => sum | 1n << (CAPABILITIES[each] ?? 63n), 0n);
  assert.equal(given.length, Object.keys(CAPABILITIES).length);
  for (const set of ["CapPrm", "CapEff", "CapBnd"]) {
    assert.equal(BigInt(`0x${field(set)}`), expected, set);
  }
  assert.equal(field("NoNewPrivs"), "1");
}

/** That all of it runs there, with those rights. */
async function runs(cluster: Cluster): Promise<void> {
  const isSettled = ({ sources }: Status) =>
    sources.find(({ name }) => name === "kubernetes")?.state === "Running";
  const status = await eventually(() => cluster.agent<Status>("/status"), isSettled, 20_000);
  assert.ok(isSettled(status), JSON.stringify(status.sources));
  const { event, metrics } = status.inuse_probes;
  const odd = [...event, ...metrics].filter(({ state }) => state !== "Running");
  assert.deepEqual(odd, []);
  assert.ok(event.some(({ name }) => name === "packetloss") && metrics.length > 10);
  assert.equal(status.node, cluster.plane.node);
}

async function names(cluster: Cluster, client: PodView, web: KubeObject): Promise<void> {
  const view = await cluster.seen(web);
  assert.deepEqual([view.namespace, view.name, view.labels], ["shop", "web", { app: "web" }]);
  const addresses = addressesOf(web);
  await refuse(client, addresses, 4_731);
  for (const { pod, source, destination } of await cluster.resets(4_731, CONNECTIONS)) {
    const identity = { kind: "pod", namespace: "shop", name: "web", uid: view.uid };
    assert.deepEqual(pod, identity);
    assert.ok(addresses.includes(source?.address ?? ""));
    assert.deepEqual(source?.pod, { namespace: "shop", name: "web" });
    assert.deepEqual(destination?.pod, { namespace: "shop", name: "client" });
  }
  const labels = { node: cluster.plane.node, namespace: "shop", pod: "web", kind: "nosock" };
  const metrics = await cluster.metrics();
  assert.equal(metrics.sum("podskoop_tcpreset_resets_total", labels), CONNECTIONS);
}

async function changes(cluster: Cluster, client: PodView, web: KubeObject): Promise<void> {
  const { plane } = cluster;
  const path = pathOf("Pod", "shop", "web");
  await plane.change(path, { metadata: { labels: { app: null, tier: "front" } } });
  await cluster.seen(web, ({ labels }) => JSON.stringify(labels) === '{"tier":"front"}');
  await cluster.deletePod("shop", "web");
  await cluster.seen(web, ({ goneAt }) => goneAt !== undefined);
  await cluster.makePod("web", { version: "2" });
  const again = await cluster.ready("shop", "web");
  assert.notEqual(again.metadata.uid, web.metadata.uid);
  assert.deepEqual((await cluster.seen(again)).labels, { version: "2" });
  await refuse(client, addressesOf(again), 4_732);
  for (const { pod } of await cluster.resets(4_732, CONNECTIONS)) {
    const { uid } = again.metadata;
    assert.deepEqual(pod, { kind: "pod", namespace: "shop", name: "web", uid });
  }
}

/** Addresses of a service, and behind it, that the node itself has for once. */
async function services(cluster: Cluster, client: PodView): Promise<void> {
  const { plane } = cluster;
  const metadata = { name: "front", namespace: "shop" };
  const made = await plane.make({
    ...{ kind: "Service", metadata },
    spec: { ipFamilyPolicy: "RequireDualStack", ports: [{ port: 80 }] },
  });
  const behind = plane.nodeAddress.replace(/\d+$/, "200");
  await plane.make({
    ...{ kind: "EndpointSlice", addressType: "IPv4", endpoints: [{ addresses: [behind] }] },
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": "front" } },
    ports: [{ port: 8080 }],
  });
  const addresses = [...made.spec?.clusterIPs ?? [], behind];
  assert.equal(addresses.length, 3);
  for (const address of addresses) {
    const flags = address.includes(":") ? ["nodad"] : [];
    await run("ip", "address", "add", address, "dev", plane.device, ...flags);
  }
  const isKnown = async () => {
    await refuse(client, addresses, 4_733);
    const { events } = await cluster.agent<{ events: readonly { source?: unknown }[] }>(
      "/events?limit=10000&type=TCPRESET_NOSOCK",
    );
    const told = events.filter(({ source }) => JSON.stringify(source).includes("front"));
    return new Set(told.map(({ source }) => JSON.stringify(source)));
  };
  // The watch tells of them when it tells of them.
  const told = await eventually(isKnown, (found) => found.size >= addresses.length, 20_000);
  const source = (address: string) =>
    JSON.stringify({ address, port: 4_733, service: { namespace: "shop", name: "front" } });
  assert.deepEqual(
    [...told].sort(),
    addresses.map(source).sort(),
    JSON.stringify(await cluster.agent("/events?limit=10000&type=TCPRESET_NOSOCK")),
  );
}

/** What tokens of the cluster's accounts are worth to the agent. */
async function tokens(cluster: Cluster): Promise<void> {
  const ask = async (token: string, path: string) => {
    const response = await fetch(`http://127.0.0.1:${cluster.port}${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    // To its end: one snapshot at a time is taken, and one that is left takes a moment to end.
    await response.arrayBuffer();
    return response.status;
  };
  const { plane } = cluster;
  const account = await plane.token("podskoop", "podskoop-diagnosis");
  const limited = await plane.token("podskoop", "podskoop-diagnosis", ["podskoop"]);
  const other = await plane.token("shop", "default");
  const answers = [
    [account, "/snapshot?netns=host", 200],
    [limited, "/snapshot?netns=host", 200],
    [account, "/config", 403],
    [other, "/snapshot?netns=host", 403],
    [`${account}x`, "/snapshot", 401],
    [await plane.token("podskoop", "podskoop-diagnosis", ["elsewhere"]), "/snapshot", 401],
  ] as const;
  for (const [token, path, status] of answers) assert.equal(await ask(token, path), status, path);
  // The API itself takes none that is for the agents.
  await assert.rejects(plane.ask("GET", "/api", undefined, { token: limited }), /401/);
}

/** The diagnosis, by someone who has just the rights that the manifest gives. */
async function diagnoses(cluster: Cluster): Promise<void> {
  const { plane } = cluster;
  await cluster.updateAgent();
  await plane.make({ kind: "ServiceAccount", metadata: { name: "person", namespace: "shop" } });
  const account = { kind: "ServiceAccount", name: "podskoop", namespace: "podskoop" };
  const subjects = [{ kind: "ServiceAccount", name: "person", namespace: "shop" }, account];
  for (const scope of ["ClusterRole", "Role"]) {
    const metadata = { name: "person", ...(scope === "Role" ? { namespace: "podskoop" } : {}) };
    const roleRef = {
      apiGroup: "rbac.authorization.k8s.io",
      kind: scope,
      name: "podskoop-diagnose",
    };
    await plane.make({ kind: `${scope}Binding`, metadata, roleRef, subjects });
  }
  await plane.writeKubeconfig("person", await plane.token("shop", "person"));
  const diagnose = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(BINARY, {
      args: ["diagnose", "--kubeconfig", plane.kubeconfig("person"), ...args],
    }).output();
    const text = new TextDecoder();
    return [code, text.decode(stdout).replace(/\s+/g, " "), text.decode(stderr)] as const;
  };
  const pair = ["-s", "pod/shop/client", "-d", "pod/shop/web"];
  const shut = await diagnose(...pair, "-p", "4734");
  const isShut = /^blocked at pod shop\/web: nothing listens on tcp port 4734/.test(shut[1]);
  assert.ok(isShut, shut.join("\n"));
  assert.deepEqual([shut[0], shut[2]], [2, ""]);
  // A node whose kubelet has not even begun, and that has no part in it.
  const { labels } = (await cluster.agentPod()).metadata;
  const other = { name: "podskoop-b", namespace: "podskoop", ...(labels && { labels }) };
  const containers = [{ name: "agent", image: IMAGE }];
  await plane.make({ kind: "Pod", metadata: other, spec: { nodeName: "node-b", containers } });
  const open = await diagnose(...pair, "--protocol", "icmp");
  assert.match(open[1], /^reachable: icmp arrives/, open[2]);
  assert.deepEqual([open[0], open[2]], [0, ""]);
  // It is asked where nobody knows the way.
  const away = await diagnose("-s", "pod/shop/client", "-d", "203.0.113.9", "--protocol", "icmp");
  const told = 'podskoop: no snapshot of "node-b": Its agent "podskoop-b" is Pending\n';
  assert.deepEqual([away[0], away[2]], [3, told], away[1]);
  // The same in the agent's pod, as its account.
  const pid = `${await processOf(cluster)}`;
  const environment = Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0")
    .map((each) => [each.replace(/=.*/s, ""), each.replace(/^[^=]*=/, "")]);
  const { stdout, stderr } = await new Deno.Command("/usr/bin/nsenter", {
    args: ["-t", pid, "-m", "-r", "/usr/local/bin/podskoop", "diagnose", "--in-cluster"]
      .concat(pair, "--protocol", "icmp"),
    clearEnv: true,
    env: Object.fromEntries(environment.filter(([name]) => name !== "")),
  }).output();
  const text = new TextDecoder();
  assert.match(text.decode(stdout), /^reachable: icmp arrives/, text.decode(stderr));
}

/** Keeps objects as this API server shows them, for the tests that have no cluster. */
async function record({ plane }: Cluster): Promise<void> {
  const paths = [
    pathOf("Pod", "shop", "web"),
    pathOf("Service", "shop", "front"),
    pathOf("EndpointSlice", "shop", "front"),
    pathOf("Node", "", plane.node),
  ];
  const items = await Promise.all(paths.map((path) => plane.read(path)));
  const kinds = items.map(({ kind }) => kind);
  assert.deepEqual(kinds, ["Pod", "Service", "EndpointSlice", "Node"]);
  if (Deno.env.get("PODSKOOP_GOLDEN") !== "write") return;
  const list = { kind: "List", apiVersion: "v1", items };
  await Deno.writeTextFile(RECORDED, `${JSON.stringify(list, null, 1)}\n`);
}

Deno.test("the agent runs as the DaemonSet's pod of a real cluster", async (t) => {
  await using cluster = await Cluster.start();
  await cluster.makePod("web", { app: "web" });
  await cluster.makePod("client");
  const web = await cluster.ready("shop", "web");
  await cluster.ready("shop", "client");
  await cluster.startAgent();
  const client = await cluster.seen(await cluster.plane.read(pathOf("Pod", "shop", "client")));
  await t.step("everything runs, with the names of the API", () => runs(cluster));
  await t.step("it has the manifest's capabilities, and no others", () => rights(cluster));
  await t.step("events and metrics name both pods", () => names(cluster, client, web));
  await t.step(
    "a pod is named as it is changed, deleted and made anew",
    () => changes(cluster, client, web),
  );
  await t.step("addresses of a service are told by its name", () => services(cluster, client));
  await t.step("objects have the form that other tests know", () => record(cluster));
  await t.step("tokens are what the API says of them", () => tokens(cluster));
  await t.step("diagnose has its snapshot through the API server", () => diagnoses(cluster));
});
