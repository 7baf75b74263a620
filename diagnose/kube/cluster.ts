/**
 * A cluster's objects, by what they are asked for.
 *
 * @module
 */
import { type Address, formatAddress, parseAddress, sameAddress } from "../packet/address.ts";
import {
  type AdminObject,
  type KubeObject,
  nameOf,
  type NodeObject,
  type PodObject,
  type PolicyObject,
  type PoolObject,
  type ServiceObject,
  type SliceObject,
  type UnreadObject,
} from "./objects.ts";
import type { Labels } from "./selector.ts";

/** One end of a connection, as the cluster knows it. */
export interface End {
  readonly address: Address;
  /** A pod with an address of its own. */
  readonly pod?: PodObject;
  /** The node whose address it is: its own traffic, and that of pods in its network. */
  readonly node?: string;
}

/** Objects of one cluster at one moment. */
export class Cluster {
  readonly services = new Map<string, ServiceObject>();
  readonly pods = new Map<string, PodObject>();
  readonly nodes = new Map<string, NodeObject>();
  readonly policies: readonly PolicyObject[];
  readonly adminPolicies: readonly AdminObject[];
  /** Policies of kinds that are not read. */
  readonly unreadPolicies: readonly UnreadObject[];
  /** Calico's, which are not disabled. */
  readonly pools: readonly PoolObject[];
  readonly #namespaces = new Map<string, Labels>();
  readonly #slices = new Map<string, SliceObject[]>();
  readonly #podsByAddress = new Map<string, PodObject[]>();
  readonly #nodesByAddress = new Map<string, string>();
  readonly #servicesByAddress = new Map<string, ServiceObject[]>();

  constructor(objects: readonly KubeObject[]) {
    const policies: PolicyObject[] = [];
    const adminPolicies: AdminObject[] = [];
    const unreadPolicies: UnreadObject[] = [];
    const pools: PoolObject[] = [];
    for (const object of objects) {
      const name = nameOf(object);
      if (object.kind === "Pod") this.#addPod(name, object);
      else if (object.kind === "Node") this.#addNode(name, object);
      else if (object.kind === "Service") this.#addService(name, object);
      else if (object.kind === "EndpointSlice") this.#addSlice(object);
      else if (object.kind === "NetworkPolicy") policies.push(object);
      else if (object.kind === "UnreadPolicy") unreadPolicies.push(object);
      else if (object.kind === "IPPool") pools.push(object);
      else if (object.kind === "Namespace") {
        this.#namespaces.set(name, object.metadata.labels ?? {});
      } else adminPolicies.push(object);
    }
    this.policies = policies;
    this.adminPolicies = adminPolicies;
    this.unreadPolicies = unreadPolicies;
    this.pools = pools.filter(({ spec }) => spec.disabled !== true);
  }

  #addPod(name: string, pod: PodObject): void {
    this.pods.set(name, pod);
    if (pod.spec.hostNetwork === true || hasEnded(pod)) return;
    for (const address of addressesOf(pod)) {
      const key = formatAddress(address);
      this.#podsByAddress.set(key, [...this.#podsByAddress.get(key) ?? [], pod]);
    }
  }

  #addNode(name: string, node: NodeObject): void {
    this.nodes.set(name, node);
    for (const address of nodeAddresses(node)) {
      this.#nodesByAddress.set(formatAddress(address), name);
    }
  }

  #addService(name: string, service: ServiceObject): void {
    this.services.set(name, service);
    for (const address of programmedAddresses(service)) {
      const key = formatAddress(address);
      this.#servicesByAddress.set(key, [...this.#servicesByAddress.get(key) ?? [], service]);
    }
  }

  #addSlice(slice: SliceObject): void {
    const { namespace, labels } = slice.metadata;
    const name = `${namespace}/${labels?.["kubernetes.io/service-name"] ?? ""}`;
    this.#slices.set(name, [...this.#slices.get(name) ?? [], slice]);
  }

  /** Labels of a namespace; undefined if the objects lack it. */
  namespaceLabels(name: string): Labels | undefined {
    return this.#namespaces.get(name);
  }

  slicesOf(service: ServiceObject): readonly SliceObject[] {
    return this.#slices.get(nameOf(service)) ?? [];
  }

  /** Whether the objects have endpoints at all: a cluster has those of its API server. */
  get hasEndpoints(): boolean {
    return this.#slices.size > 0;
  }

  /** The services that nodes lead an address to; load balancers may share one among several. */
  servicesAt(address: Address): readonly ServiceObject[] {
    return this.#servicesByAddress.get(formatAddress(address)) ?? [];
  }

  /** Who has an address; of several pods with the same none, unless all others are to end. */
  endOf(address: Address): End {
    const key = formatAddress(address);
    const all = this.#podsByAddress.get(key) ?? [];
    const staying = all.filter(({ metadata }) => (metadata.deletionTimestamp ?? "") === "");
    const [pod, ...others] = staying.length > 0 ? staying : all;
    if (pod !== undefined && others.length === 0) return { address, pod };
    const node = this.#nodesByAddress.get(key);
    return node === undefined ? { address } : { address, node };
  }
}

/** Whether a pod has ended: its address is free. */
export function hasEnded({ status }: PodObject): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** Texts as addresses, each once; what is none, such as `None`, is left out. */
export function addresses(texts: readonly (string | null | undefined)[]): readonly Address[] {
  const found: Address[] = [];
  for (const text of texts) {
    const address = parseAddress(text ?? "");
    if (address !== undefined && !found.some((each) => sameAddress(each, address))) {
      found.push(address);
    }
  }
  return found;
}

/** A pod's addresses, the main one first. */
export function addressesOf({ status }: PodObject): readonly Address[] {
  return addresses([status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)]);
}

/** A node's addresses, the internal ones first. */
export function nodeAddresses({ status }: NodeObject): readonly Address[] {
  const of = (wanted: string) =>
    (status?.addresses ?? []).filter(({ type }) => type === wanted).map(({ address }) => address);
  return addresses([...of("InternalIP"), ...of("ExternalIP")]);
}

/** A pod's containers that run at the same time: sidecars may be among those that begin first. */
export function containersOf({ spec: { containers, initContainers } }: PodObject) {
  return [
    ...containers,
    ...initContainers.filter(({ restartPolicy }) => restartPolicy === "Always"),
  ];
}

/**
 * The addresses of a service that nodes have rules for: packets for others of a load balancer's go
 * to it (KEP 1860).
 */
function programmedAddresses(service: ServiceObject): readonly Address[] {
  const balanced = addresses(
    (service.status?.loadBalancer?.ingress ?? [])
      .filter(({ ipMode }) => ipMode === "Proxy").map(({ ip }) => ip),
  );
  return serviceAddresses(service)
    .filter((each) => !balanced.some((other) => sameAddress(each, other)));
}

/** All addresses at which a service is reached, but nodes'. */
export function serviceAddresses({ spec, status }: ServiceObject): readonly Address[] {
  return addresses([
    spec.clusterIP,
    ...spec.clusterIPs ?? [],
    ...spec.externalIPs ?? [],
    ...(status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip),
  ]);
}
