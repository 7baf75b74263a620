/**
 * Names from the Kubernetes API on this machine's kernel: a process in a pod's cgroup, another pod
 * and a node only the API knows of, and a known number of refused connections between them.
 */
import assert from "node:assert/strict";
import { FakeKubernetes, NODES, PODS, SERVICES, SLICES } from "../fake_kubernetes.ts";
import { madeNode, madePod, madeService, madeSlice } from "../made_kubernetes.ts";
import { AgentUnderTest, eventually, Lab, type SeenEvent } from "./lab.ts";

const UID = "2b801b7a-5266-4386-864e-45ed71136371";
const CONTAINER = "8dbc6c4aef6f5a1b8cd0a8b7e0ab97dc0c9ae6e2e7f3a90e64bd27b8a9b3e2c1";

/** A process of a pod, as far as cgroup and namespace tell: it sleeps. */
class PodProcess implements AsyncDisposable {
  readonly #root: string;
  readonly #child: Deno.ChildProcess;

  constructor(netns: string) {
    const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n");
    const mount = mounts.find((line) => line.includes(" - cgroup2 "))?.split(" ")[4];
    this.#root = `${mount ?? "/sys/fs/cgroup"}/kubepods-${netns}`;
    const folder = `${this.#root}/kubepods/pod${UID}/${CONTAINER}`;
    Deno.mkdirSync(folder, { recursive: true });
    this.#child = new Deno.Command("ip", { args: ["netns", "exec", netns, "sleep", "600"] })
      .spawn();
    Deno.writeTextFileSync(`${folder}/cgroup.procs`, `${this.#child.pid}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    for (
      const path of [`/kubepods/pod${UID}/${CONTAINER}`, `/kubepods/pod${UID}`, "/kubepods", ""]
    ) {
      await Deno.remove(`${this.#root}${path}`);
    }
  }
}

interface Source {
  readonly name: string;
  readonly state: string;
  readonly because?: string;
}

async function kubernetes(agent: AgentUnderTest): Promise<Source> {
  const { sources } = await agent.json<{ sources: readonly Source[] }>("/status");
  return sources.find(({ name }) => name === "kubernetes") ?? assert.fail("no such source");
}

const DEPLOYMENT = "Deployment/web";
const LABELS = { app: "web", "pod-template-hash": "6d4cf56db6" };

Deno.test("both ends of an event have the names that the Kubernetes API gives", async () => {
  await using lab = await Lab.create();
  await using pod = new PodProcess(lab.left.name);
  void pod;
  await using fake = new FakeKubernetes();
  fake.put(
    PODS,
    madePod({
      ...{ name: "web-1", uid: UID, node: "lab-node", labels: LABELS, containers: [CONTAINER] },
      ...{ addresses: [lab.left.v4, lab.left.v6], owner: ["ReplicaSet", "web-6d4cf56db6"] },
    }),
    madePod({ name: "far", node: "node-b", addresses: [lab.right.v4], owner: ["Job", "far-1"] }),
  );
  fake.put(SERVICES, madeService("six", lab.right.v6));
  fake.put(SLICES, madeSlice("six", lab.right.v6));
  fake.put(NODES, madeNode("node-b", "192.0.2.2"));
  const config = `
kubernetes: { scope: cluster, kubeconfig: "${fake.kubeconfig()}" }
metrics: { additionalLabels: ["app=\${labels:app}", "workload=\${workload}"] }
probes: { tcpreset: true, flow: { metrics: true, workloads: true } }
`;
  await using agent = await AgentUnderTest.start({ config });
  const source = await eventually(() => kubernetes(agent), ({ state }) => state === "Running");
  assert.deepEqual(source, { name: "kubernetes", state: "Running" });
  await lab.traffic(lab.left, "refused", lab.right.v4, 5001, 7);
  await lab.traffic(lab.left, "refused", lab.right.v6, 5001, 11);
  const seen = async () =>
    (await agent.events("type=TCPRESET_RECEIVE&pod=web-1&namespace=shop")).filter(({ network }) =>
      network.transport === "tcp"
    );
  const total = (events: readonly SeenEvent[]) => events.reduce((sum, { count }) => sum + count, 0);
  const events = await eventually(seen, (found) => total(found) === 18, 15_000);
  assert.equal(total(events), 18, await agent.report(/tcpreset/));
  for (const event of events) {
    const { pod: own, source: near, destination: far } = JSON.parse(JSON.stringify(event));
    const name = { namespace: "shop", name: "web-1", workload: DEPLOYMENT };
    assert.deepEqual(own, { kind: "pod", ...name, uid: UID });
    assert.deepEqual(near.pod, name);
    if (far.address === lab.right.v4) {
      assert.deepEqual(far.pod, { namespace: "shop", name: "far", workload: "Job/far-1" });
    } else assert.deepEqual(far.service, { namespace: "shop", name: "six" });
  }
  const labels = { namespace: "shop", pod: "web-1", app: "web", kind: "receive" };
  const counted = async () => (await agent.metrics()).sum("podskoop_tcpreset_resets_total", labels);
  assert.equal(await eventually(counted, (value) => value === 18), 18);

  // SYN and its answer, each a packet. A service is no pod, and has no workload.
  const far = { remote_kind: "workload", remote_namespace: "shop", remote_name: "Job/far-1" };
  const service = { remote_kind: "service", remote_namespace: "shop", remote_name: "six" };
  for (const [remote, packets] of [[far, 7], [service, 11]] as const) {
    for (const direction of ["sent", "received"]) {
      const near = { namespace: "shop", pod: "web-1", workload: DEPLOYMENT };
      const wanted = { ...near, protocol: "tcp", direction, ...remote };
      const look = async () => (await agent.metrics()).sum("podskoop_flow_packets_total", wanted);
      assert.equal(await eventually(look, (value) => value === packets), packets);
    }
  }

  // Without the API the pod keeps its name, and the status says how old it is.
  fake.token = "another";
  fake.breakWatches();
  const isRefused = /^The node's pods are \d+ s old: .*HTTP 401: Unauthorized$/;
  const refused = ({ because = "" }: Source) => isRefused.test(because);
  const stale = await eventually(() => kubernetes(agent), refused);
  assert.deepEqual([stale.state, stale.because?.match(isRefused)?.length], ["Degraded", 1]);
  await lab.traffic(lab.left, "refused", lab.right.v4, 5001, 13);
  assert.equal(await eventually(counted, (value) => value === 31), 31);
});
