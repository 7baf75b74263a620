/**
 * Names from the Kubernetes API: this node's pods with their labels and what made them; where the
 * agent may read the whole cluster, whose any address in it is.
 *
 * @module
 */
import { findApiServer } from "../../kubernetes/api_server.ts";
import { ApiClient } from "../../kubernetes/client.ts";
import {
  type Named,
  type NodePod,
  type Pod,
  readNode,
  readNodePod,
  readPod,
  readService,
  readSlice,
} from "../../kubernetes/objects.ts";
import { type Kind, Reflector, type ReflectorTimes } from "../../kubernetes/reflector.ts";
import { log } from "../../log.ts";
import type { Outcome } from "../../outcome.ts";
import type { AddressOwner, Identity, IdentitySource } from "../identity.ts";
import type { Subject } from "../naming.ts";
import { Held } from "./held.ts";

/** What is held of each kind at most. Kubernetes itself is made for 5,000 nodes. */
const NODE_PODS_MAX = 4_096;
export const PODS_MAX = 32_768;
const SERVICES_MAX = 16_384;
const SLICES_MAX = 16_384;
const NODES_MAX = 8_192;

/** An address's owner that was last known to be so this long ago is not told any more. */
const OWNER_SECONDS_MAX = 300;
/** The same for addresses of this node, of which the container runtime and the kernel know more. */
const OWN_SECONDS_MAX = 10;
/** A pod that has gone tells for so long whose its UID and its containers were. */
const LEFT_MILLISECONDS_MAX = 60_000;
/** Milliseconds from one try to find the API server to the next. */
const FIND_MILLISECONDS = 30_000;

/** How much of the cluster is read. */
export type Scope = "off" | "node" | "cluster";

/** Where the API is, and what to read of it; times are shorter in tests. */
export interface KubernetesOptions {
  readonly scope: Scope;
  /** Without it, the service account of the pod that the agent runs in. */
  readonly kubeconfig?: string;
  readonly node: string;
  readonly times?: ReflectorTimes;
  readonly leftMilliseconds?: number;
}

/** The Kubernetes API as a source of names. It follows the cluster until it is closed. */
export class KubernetesSource implements IdentitySource {
  readonly name = "kubernetes";
  readonly #options: KubernetesOptions;
  readonly #local = new Held<NodePod>(NODE_PODS_MAX);
  readonly #pods = new Held<Pod>(PODS_MAX);
  readonly #services = new Held<Named>(SERVICES_MAX);
  readonly #slices = new Held<Named>(SLICES_MAX);
  readonly #nodes = new Held<Named>(NODES_MAX);
  #client: ApiClient | undefined;
  #reflectors: readonly Reflector<unknown>[] = [];
  #outcome: Outcome = { state: "absent", because: "The Kubernetes API has not been asked yet" };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #byContainer = new Map<string, NodePod>();
  /** Pods of this node that have gone of late, and when, the first of them first. */
  readonly #left = new Map<string, { readonly pod: NodePod; readonly at: number }>();
  #indexed = -1;

  constructor(options: KubernetesOptions) {
    this.#options = options;
    if (options.scope === "off") this.#outcome = { state: "stopped" };
    else void this.#open();
  }

  outcome(): Outcome {
    const [first, ...others] = this.#reflectors;
    if (first === undefined) return this.#outcome;
    const outcome = first.outcome();
    if (outcome.state !== "working") return outcome;
    for (const other of others) {
      const odd = other.outcome();
      if ("because" in odd) return { state: "degraded", because: odd.because };
    }
    const because = this.#incomplete();
    return because === undefined ? outcome : { state: "degraded", because };
  }

  identify({ podUid, containerId }: Subject): Identity | undefined {
    this.#index();
    const pod = this.#byContainer.get(containerId ?? "") ?? this.#byContainer.get(podUid ?? "");
    if (pod === undefined) return undefined;
    const { uid, namespace, name, labels, workload } = pod;
    return {
      kind: "pod",
      namespace,
      name,
      uid,
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(workload === undefined ? {} : { workload }),
    };
  }

  owner(address: string): AddressOwner | undefined {
    const [stale = Infinity] = this.#reflectors.map(({ staleSeconds }) => staleSeconds);
    const local = this.#local.byAddress(address);
    if (local !== undefined) return stale <= OWN_SECONDS_MAX ? ownerOf(local) : undefined;
    if (stale > OWNER_SECONDS_MAX) return undefined;
    const pod = this.#pods.byAddress(address);
    if (pod !== undefined) return ownerOf(pod);
    const service = this.#services.byAddress(address);
    if (service !== undefined) return serviceOf(service);
    const node = this.#nodes.byAddress(address);
    if (node !== undefined) return { node: node.name };
    const behind = this.#slices.byAddress(address);
    return behind === undefined ? undefined : serviceOf(behind);
  }

  refused(): Readonly<Record<string, number>> {
    return {
      kubernetesPods: this.#local.refused + this.#pods.refused,
      kubernetesServices: this.#services.refused + this.#slices.refused,
      kubernetesNodes: this.#nodes.refused,
      kubernetesUnread: this.#reflectors.reduce((sum, { unread }) => sum + unread, 0),
    };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const reflector of this.#reflectors) reflector.close();
    this.#client?.[Symbol.dispose]();
  }

  /** Finds the API server, and begins to follow it; tries again later where it cannot. */
  async #open(): Promise<void> {
    const { kubeconfig, node, scope, times } = this.#options;
    try {
      const server = await findApiServer(kubeconfig);
      if (this.#closed) return;
      if (server === undefined) {
        const because = "This process is no pod of a cluster, and no kubeconfig is named";
        this.#outcome = { state: "absent", because };
        return;
      }
      const client = new ApiClient(server);
      this.#client = client;
      this.#reflectors = [
        new Reflector(client, ofNode(node), this.#local, times),
        ...(scope === "cluster" ? this.#cluster(client, times) : []),
      ];
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      log.warn(because);
      this.#outcome = { state: "failed", because };
      this.#timer = setTimeout(() => void this.#open(), FIND_MILLISECONDS);
    }
  }

  #cluster(client: ApiClient, times: ReflectorTimes | undefined): readonly Reflector<unknown>[] {
    return [
      new Reflector(client, PODS, this.#pods, times),
      new Reflector(client, SERVICES, this.#services, times),
      new Reflector(client, SLICES, this.#slices, times),
      new Reflector(client, NODES, this.#nodes, times),
    ];
  }

  #incomplete(): string | undefined {
    const { node } = this.#options;
    if (this.#local.size === 0) {
      return `The cluster has no pod on a node called "${node}": name it by nodeName`;
    }
    const missing = [this.#local, this.#pods, this.#services, this.#slices, this.#nodes]
      .reduce((sum, held) => sum + held.missing, 0);
    return missing === 0 ? undefined : `Cannot hold ${missing} more of the cluster's objects: ` +
      `at most ${PODS_MAX} pods and ${SERVICES_MAX} services are held`;
  }

  /** Those that were there, or had gone before, and are not there any more. */
  #leftOf(before: Iterable<NodePod>): readonly NodePod[] {
    const now = performance.now();
    const { leftMilliseconds = LEFT_MILLISECONDS_MAX } = this.#options;
    for (const pod of before) {
      if (!this.#left.has(pod.uid)) this.#left.set(pod.uid, { pod, at: now });
    }
    for (const [uid, { at }] of this.#left) {
      const isOld = now - at > leftMilliseconds || this.#left.size > NODE_PODS_MAX;
      if (isOld || this.#local.byUid(uid) !== undefined) this.#left.delete(uid);
    }
    return Array.from(this.#left.values(), ({ pod }) => pod);
  }

  /** Pods by container and by UID, as of now. */
  #index(): void {
    if (this.#indexed === this.#local.generation) return;
    this.#indexed = this.#local.generation;
    const before = new Set(this.#byContainer.values());
    this.#byContainer.clear();
    // The API may forget a pod before its namespace has gone, and its last events come later still.
    for (const pod of [...this.#leftOf(before), ...this.#local.all()]) {
      for (const id of pod.containerIds) this.#byContainer.set(id, pod);
      this.#byContainer.set(pod.uid, pod);
      if (pod.cgroupUid !== undefined) this.#byContainer.set(pod.cgroupUid, pod);
    }
  }
}

function ofNode(node: string): Kind<NodePod> {
  return {
    name: "node's pods",
    path: "/api/v1/pods",
    parameters: { fieldSelector: `spec.nodeName=${node}` },
    read: readNodePod,
  };
}

const PODS: Kind<Pod> = { name: "pods", path: "/api/v1/pods", read: readPod };
const SERVICES: Kind<Named> = { name: "services", path: "/api/v1/services", read: readService };
const NODES: Kind<Named> = { name: "nodes", path: "/api/v1/nodes", read: readNode };
const SLICES: Kind<Named> = {
  name: "endpoint slices",
  path: "/apis/discovery.k8s.io/v1/endpointslices",
  // Before Kubernetes 1.21; what is read of it has the same form.
  earlierPath: "/apis/discovery.k8s.io/v1beta1/endpointslices",
  read: readSlice,
};

function ownerOf({ namespace, name, workload }: Pod): AddressOwner {
  return { pod: { namespace, name, ...(workload === undefined ? {} : { workload }) } };
}

function serviceOf({ namespace, name }: Named): AddressOwner {
  return { service: { namespace, name } };
}
