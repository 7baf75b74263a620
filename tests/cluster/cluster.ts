/**
 * A cluster of one node: a real control plane, a real kubelet, a real containerd, and the agent as
 * the pod that the DaemonSet of `deploy/kubernetes/` makes.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { PodView } from "../../agent/surface.ts";
import { Containerd, IMAGE } from "../e2e/containerd.ts";
import { eventually, Metrics, run, type SeenEvent } from "../host/lab.ts";
import { agentPod, manifest } from "./agent_pod.ts";
import { ControlPlane, type KubeObject, pathOf, type PodTemplate } from "./control_plane.ts";
import { Kubelet, NodeCgroup } from "./kubelet.ts";

const AGENT = ["podskoop", "podskoop-agent"] as const;
const AGENT_IMAGE = "localhost/podskoop-agent:1";
const AGENT_IMAGE_SCRIPT = new URL("./agent_image.sh", import.meta.url).pathname;
const BUILD_SCRIPT = new URL("../../tools/kubernetes.sh", import.meta.url).pathname;
const MANIFESTS = ["podskoop", "cluster_scope", "diagnosis"];
/** Making a pod, or ending it, takes some seconds on a quiet machine. */
const POD_MILLISECONDS_MAX = 90_000;

/** All of it. */
export class Cluster implements AsyncDisposable {
  readonly plane: ControlPlane;
  readonly containerd: Containerd;
  /** Where the agent listens, on all of the node's addresses. */
  readonly port = 20_000 + Deno.pid % 10_000;
  readonly #stack: AsyncDisposableStack;
  readonly #bpffs = `/sys/fs/bpf/cluster-${Deno.pid}`;
  #agent: Deno.HttpClient | undefined;

  private constructor(plane: ControlPlane, containerd: Containerd, stack: AsyncDisposableStack) {
    this.plane = plane;
    this.containerd = containerd;
    this.#stack = stack;
  }

  static async start(): Promise<Cluster> {
    const programs = (await run(BUILD_SCRIPT)).trim();
    await using stack = new AsyncDisposableStack();
    const plane = stack.use(await ControlPlane.start(programs));
    const cgroup = stack.use(new NodeCgroup());
    const containerd = stack.use(await Containerd.start());
    await run(AGENT_IMAGE_SCRIPT, `${plane.dir}/image.tar`, AGENT_IMAGE);
    await containerd.importImage(`${plane.dir}/image.tar`);
    stack.use(await Kubelet.start(programs, plane, containerd, cgroup));
    await plane.makeNamespace("shop");
    return new Cluster(plane, containerd, stack.move());
  }

  /** A pod that only sleeps, as a workload's controller would make it. */
  async makePod(name: string, labels: Readonly<Record<string, string>> = {}): Promise<KubeObject> {
    return await this.plane.make({
      kind: "Pod",
      metadata: { name, namespace: "shop", labels },
      spec: {
        ...{ nodeName: this.plane.node, automountServiceAccountToken: false },
        ...{ terminationGracePeriodSeconds: 1, enableServiceLinks: false },
        containers: [{ name: "main", image: IMAGE, imagePullPolicy: "Never" }],
      },
    });
  }

  /** Waits until the kubelet says that a pod runs, and is ready. */
  async ready(namespace: string, name: string): Promise<KubeObject> {
    const isReady = ({ status }: KubeObject) =>
      status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ??
        false;
    const path = pathOf("Pod", namespace, name);
    const pod = await eventually(() => this.plane.read(path), isReady, POD_MILLISECONDS_MAX);
    assert.ok(isReady(pod), `${name}: ${JSON.stringify(pod.status)} ${await this.#log()}`);
    return pod;
  }

  /** Deletes a pod, and waits until it is no more. */
  async deletePod(namespace: string, name: string): Promise<void> {
    await this.plane.delete(pathOf("Pod", namespace, name));
    const look = async () =>
      (await this.plane.items(pathOf("Pod", namespace))).every(({ metadata }) =>
        metadata.name !== name
      );
    assert.ok(await eventually(look, (is) => is, POD_MILLISECONDS_MAX), `${name} is still there`);
  }

  /** Takes the manifests, and starts the agent from them with the rights of the wider scope. */
  async startAgent(): Promise<void> {
    const { plane, port } = this;
    await Deno.mkdir(this.#bpffs);
    this.#stack.defer(async () => void await run("rm", "-rf", this.#bpffs));
    for (const name of MANIFESTS) {
      for (const object of await manifest(`deploy/kubernetes/${name}.yaml`)) {
        await plane.make({ ...object });
      }
    }
    await plane.makeNamespace("podskoop");
    await this.#configure([`listen: 0.0.0.0:${port}`]);
    await this.#makeAgent();
  }

  /** Replaces the agent's pod by one that speaks TLS, as an update would. */
  async updateAgent(): Promise<void> {
    const { plane, port } = this;
    const [key, certificate] = [`${plane.dir}/tls.key`, `${plane.dir}/tls.crt`];
    await run(
      ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"] as const,
      ...["-subj", "/CN=podskoop", "-keyout", key, "-out", certificate],
    );
    await plane.make({
      ...{ kind: "Secret", type: "kubernetes.io/tls" },
      metadata: { name: "podskoop-tls", namespace: "podskoop" },
      stringData: {
        "tls.crt": await Deno.readTextFile(certificate),
        "tls.key": await Deno.readTextFile(key),
      },
    });
    const folder = "/etc/podskoop-tls";
    await this.#configure([
      `listen: 0.0.0.0:${port}`,
      `access: {tls: {certFile: ${folder}/tls.crt, keyFile: ${folder}/tls.key}}`,
    ]);
    await this.deletePod(...AGENT);
    await this.#makeAgent("podskoop-tls");
  }

  async #configure(lines: readonly string[]): Promise<void> {
    const all = [...lines, "kubernetes: {scope: cluster}", "events: {foldSeconds: 1}", ""];
    const data = { "config.yaml": all.join("\n") };
    await this.plane.change(pathOf("ConfigMap", "podskoop", "podskoop"), { data });
  }

  async #makeAgent(secret?: string): Promise<void> {
    const { plane, port } = this;
    const dir = `${plane.dir}/agent`;
    const places = { image: AGENT_IMAGE, port, dir, bpffs: this.#bpffs };
    const all = { ...places, ...(secret === undefined ? {} : { secret }) };
    await plane.make(agentPod(await this.template(), plane.node, all));
    await this.ready(...AGENT);
    const path = `${dir}/socket/podskoop.sock`;
    this.#agent?.close();
    this.#agent = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  }

  /** Of the DaemonSet, as the API server made it of the manifest. */
  async template(): Promise<PodTemplate> {
    const { spec } = await this.plane.read(pathOf("DaemonSet", "podskoop", "podskoop"));
    return spec?.template ?? assert.fail("The DaemonSet has no template");
  }

  /** The agent's pod. */
  async agentPod(): Promise<KubeObject> {
    return await this.plane.read(pathOf("Pod", ...AGENT));
  }

  /** Asks the agent over its unix socket, which may do everything. */
  async agent<T>(path: string): Promise<T> {
    if (this.#agent === undefined) throw new Error("Cannot ask the agent: it does not run");
    const response = await fetch(`http://agent${path}`, { client: this.#agent });
    if (!response.ok) throw new Error(`Cannot get ${path}: ${await response.text()}`);
    const value: T = await response.json();
    return value;
  }

  async metrics(): Promise<Metrics> {
    const response = await fetch(`http://${this.plane.nodeAddress}:${this.port}/metrics`);
    return new Metrics(await response.text());
  }

  async #log(): Promise<string> {
    return await run("sh", "-c", `tail -n 40 /var/log/pods/${AGENT.join("_")}_*/*/*.log`)
      .catch(String);
  }

  /** The pod, as the agent shows it, once it is as wanted. */
  async seen(
    { metadata: { uid } }: KubeObject,
    wanted: (pod: PodView) => boolean = () => true,
  ): Promise<PodView> {
    let pods: readonly PodView[] = [];
    const look = async () => {
      ({ pods } = await this.agent<{ pods: PodView[] }>("/pods"));
      return pods.find((pod) => pod.uid === uid && pod.kind === "pod" && wanted(pod));
    };
    const pod = await eventually(look, (found) => found !== undefined, 20_000);
    return pod ?? assert.fail(`No such pod: ${JSON.stringify(pods)}`);
  }

  /** Resets from a port, as events tell them, once there are so many. */
  async resets(port: number, count: number): Promise<readonly SeenEvent[]> {
    const total = (events: readonly SeenEvent[]) =>
      events.reduce((sum, { count: each }) => sum + each, 0);
    const look = async () =>
      (await this.agent<{ events: readonly SeenEvent[] }>("/events?limit=10000")).events
        .filter(({ type, source }) => type === "TCPRESET_NOSOCK" && source?.port === port);
    const events = await eventually(look, (found) => total(found) >= count, 15_000);
    assert.equal(total(events), count, JSON.stringify(events));
    return events;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent?.close();
    await this.#stack.disposeAsync();
  }
}
