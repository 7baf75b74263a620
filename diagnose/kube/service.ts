/**
 * Where packets for a service should go, by the API; and how that differs from where they went.
 *
 * Source: Kubernetes documentation, "Service", "Virtual IPs and Service Proxies", "Topology Aware
 * Routing"; KEP 1669, KEP 3015; kube-proxy's `CategorizeEndpoints`.
 *
 * @module
 */
import {
  type Address,
  formatAddress,
  inPrefix,
  parseAddress,
  parsePrefix,
  sameAddress,
} from "../packet/address.ts";
import {
  addresses,
  addressesOf,
  type Cluster,
  containersOf,
  type End,
  hasEnded,
} from "./cluster.ts";
import { nameOf, type ServiceObject, type SliceObject } from "./objects.ts";

/** A backend of a service's port. */
export interface Backend {
  readonly address: Address;
  readonly port: number;
  /** The node that it is on; empty if the API does not say. */
  readonly node: string;
}

/** How a service is asked for; `host-port` is a pod's own port at its node's address. */
export type Access = "cluster" | "external" | "node" | "host-port";

/** What the API wants of a packet for a service. */
export interface Intent {
  /** `shop/web`; of a host port the pod. */
  readonly service: string;
  /** `http 80/TCP` */
  readonly port: string;
  readonly access: Access;
  /** Where it should go; one of these. */
  readonly backends: readonly Backend[];
  /** Why there are none. */
  readonly because?: string;
  /** Why its packets are not let in at all, whatever its endpoints. */
  readonly refused?: string;
  /** Whether a client keeps the endpoint that it got first. */
  readonly sticky?: boolean;
  /** The port at which a node says whether it has endpoints, for load balancers. */
  readonly healthPort?: number;
}

/** The question's packet, as a service sees it. */
export interface Knock {
  readonly address: Address;
  readonly port: number;
  readonly protocol: string;
  /** The node on which it is decided. */
  readonly node: string;
  readonly source?: End;
}

/**
 * What the API wants of a packet; undefined if its destination is no service's, or if the objects
 * have no endpoints, so that nothing can be said of any.
 *
 * Nodes' own addresses are services' by node port.
 */
export function intentOf(cluster: Cluster, knock: Knock): Intent | undefined {
  const services = cluster.hasEndpoints ? cluster.servicesAt(knock.address) : [];
  const asked = services.find(({ spec }) =>
    spec.ports.some(({ port, protocol }) => port === knock.port && protocol === knock.protocol)
  );
  const { node } = cluster.endOf(knock.address);
  // A node's own address may be a load balancer's, too: its other ports are the node's.
  const service = asked ?? (node === undefined ? services[0] : undefined);
  if (service !== undefined) {
    const inside = [service.spec.clusterIP, ...service.spec.clusterIPs ?? []];
    const isInside = addresses(inside).some((each) => sameAddress(each, knock.address));
    return intentAt(cluster, service, isInside ? "cluster" : "external", knock);
  }
  if (node === undefined) return undefined;
  for (const each of cluster.hasEndpoints ? cluster.services.values() : []) {
    const isIts = each.spec.ports.some(({ nodePort, protocol }) =>
      nodePort === knock.port && protocol === knock.protocol
    );
    // Whose node port it is decides, not the sender's node.
    if (isIts) return intentAt(cluster, each, "node", { ...knock, node });
  }
  return hostPort(cluster, { ...knock, node });
}

/** What a pod's own port at its node's address leads to. */
function hostPort(
  cluster: Cluster,
  { address, port, protocol, node }: Knock,
): Intent | undefined {
  for (const pod of cluster.pods.values()) {
    const { nodeName, hostNetwork } = pod.spec;
    if (nodeName !== node || hostNetwork === true || hasEnded(pod)) continue;
    const found = containersOf(pod).flatMap(({ ports }) => ports).find((each) => {
      const own = parseAddress(each.hostIP ?? "");
      const isAt = own === undefined || own.bits === 0n || sameAddress(own, address);
      return each.hostPort === port && each.protocol === protocol && isAt;
    });
    if (found === undefined) continue;
    const backends = addressesOf(pod).filter(({ family }) => family === address.family)
      .map((own) => ({ address: own, port: found.containerPort, node }));
    return {
      ...{ service: nameOf(pod), access: "host-port", port: `${port}/${protocol}`, backends },
      ...(backends.length > 0 ? {} : { because: "the pod has no address of that family" }),
    };
  }
  return undefined;
}

function intentAt(
  cluster: Cluster,
  service: ServiceObject,
  access: Access,
  knock: Knock,
): Intent {
  const { spec } = service;
  const { port, protocol } = knock;
  const found = spec.ports.find((each) =>
    (access === "node" ? each.nodePort : each.port) === port && each.protocol === protocol
  );
  const intent = { service: nameOf(service), access, port: `${port}/${protocol}` };
  if (found === undefined) {
    return { ...intent, backends: [], because: `it has no port ${port}/${protocol}` };
  }
  const portText = `${found.name === "" ? "" : `${found.name} `}${port}/${protocol}`;
  const { backends, because } = wantedOf(cluster, service, access, found.name ?? "", knock);
  const refused = refusal(service, access, knock);
  const health = access !== "cluster" && spec.externalTrafficPolicy === "Local"
    ? spec.healthCheckNodePort ?? 0
    : 0;
  return {
    ...{ ...intent, port: portText, backends },
    ...(because === undefined ? {} : { because }),
    ...(refused === undefined ? {} : { refused }),
    ...(spec.sessionAffinity === "ClientIP" ? { sticky: true } : {}),
    ...(health === 0 ? {} : { healthPort: health }),
  };
}

/** The endpoints that traffic policies and hints of topology leave, or why there are none. */
function wantedOf(
  cluster: Cluster,
  service: ServiceObject,
  access: Access,
  portName: string,
  { address: { family }, protocol, node, source }: Knock,
): Pick<Intent, "backends" | "because"> {
  const { internalTrafficPolicy, externalTrafficPolicy } = service.spec;
  // Pods and nodes of the cluster are led to all endpoints at outer addresses, too.
  const isInside = source?.pod?.spec.nodeName === node || source?.node === node;
  const policy = access === "cluster"
    ? internalTrafficPolicy
    : isInside
    ? "Cluster"
    : externalTrafficPolicy;
  const all = endpointsOf(cluster, service, portName, protocol, family);
  const isLocal = policy === "Local";
  const usable = chosen(isLocal ? all.filter((each) => each.node === node) : all);
  const backends = isLocal ? usable : hinted(cluster, usable, node);
  if (backends.length > 0) return { backends: backends.map(backendOf) };
  const elsewhere = chosen(all).length;
  const because = elsewhere === 0
    ? "it has no ready endpoint"
    : `none of its ${elsewhere} endpoints is on node ${node}, and its traffic policy is Local`;
  return { backends: [], because };
}

/** Why the source may not ask at an outer address. */
function refusal({ spec }: ServiceObject, access: Access, { source }: Knock): string | undefined {
  const ranges = spec.loadBalancerSourceRanges;
  if (access !== "external" || spec.type !== "LoadBalancer" || ranges.length === 0) {
    return undefined;
  }
  if (source === undefined) return undefined;
  const { address } = source;
  const isIn = ranges.map((range) => parsePrefix(range.trim()))
    .some((range) => range !== undefined && inPrefix(address, range));
  return isIn
    ? undefined
    : `its loadBalancerSourceRanges (${ranges.join(", ")}) do not have ${formatAddress(address)}`;
}

/** An endpoint with what decides whether it is used. */
interface Candidate extends Backend {
  readonly endpoint: Endpoint;
}

function backendOf({ address, port, node }: Backend): Backend {
  return { address, port, node };
}

function endpointsOf(
  cluster: Cluster,
  service: ServiceObject,
  portName: string,
  protocol: string,
  family: 4 | 6,
): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of cluster.slicesOf(service)) {
    if (slice.addressType !== `IPv${family}`) continue;
    const ports = slice.ports.filter((each) =>
      (each.name ?? "") === portName && each.protocol === protocol
    );
    for (const endpoint of slice.endpoints) {
      for (const { port } of ports) {
        for (const address of addresses(endpoint.addresses)) {
          const candidate = {
            ...{ address, port: port ?? 0, node: endpoint.nodeName ?? "", endpoint },
          };
          const key = backendText(candidate);
          const known = found.get(key);
          // While it moves from one slice to another it is in both.
          if (known === undefined || !isReady(known.endpoint)) found.set(key, candidate);
        }
      }
    }
  }
  return [...found.values()];
}

/** The ready ones; where none is, those that still serve while they are being terminated. */
function chosen(candidates: readonly Candidate[]): readonly Candidate[] {
  const ready = candidates.filter(({ endpoint }) => isReady(endpoint));
  return ready.length > 0 ? ready : candidates.filter(({ endpoint }) => isServing(endpoint));
}

const ZONE = "topology.kubernetes.io/zone";

/**
 * Those that are meant for the node, else for its zone; all of them where one has no hint, or none
 * is meant for it.
 */
function hinted(
  cluster: Cluster,
  candidates: readonly Candidate[],
  node: string,
): readonly Candidate[] {
  const zone = cluster.nodes.get(node)?.metadata.labels[ZONE];
  const by = (
    hints: (endpoint: Endpoint) => readonly { readonly name: string }[],
    name: string,
  ) => {
    const all = candidates.map(({ endpoint }) => hints(endpoint));
    if (all.some((each) => each.length === 0)) return [];
    return candidates.filter((_, at) => all[at]?.some((each) => each.name === name) === true);
  };
  const forNode = by((endpoint) => endpoint.hints?.forNodes ?? [], node);
  if (forNode.length > 0) return forNode;
  if (zone === undefined) return candidates;
  const forZone = by((endpoint) => endpoint.hints?.forZones ?? [], zone);
  return forZone.length > 0 ? forZone : candidates;
}

/**
 * The endpoints of a port, of all nodes: the ready ones; where none is ready, those that still
 * serve while they are being terminated.
 */
export function backendsOf(
  cluster: Cluster,
  service: ServiceObject,
  portName: string,
  protocol: string,
  family: 4 | 6,
): readonly Backend[] {
  return chosen(endpointsOf(cluster, service, portName, protocol, family)).map(backendOf);
}

type Endpoint = NonNullable<SliceObject["endpoints"]>[number];

/** What is not said is ready. */
function isReady({ conditions }: Endpoint): boolean {
  return conditions?.ready ?? true;
}

function isServing({ conditions }: Endpoint): boolean {
  return conditions?.serving === true && conditions.terminating === true;
}

/** `10.244.1.3:8080` */
export function backendText({ address, port }: Pick<Backend, "address" | "port">): string {
  const text = formatAddress(address);
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}

/** `service shop/web http 80/TCP`, or `host port 8080/TCP of pod shop/web`. */
export function intentText({ service, port, access }: Intent): string {
  return access === "host-port"
    ? `host port ${port} of pod ${service}`
    : `service ${service} ${port}`;
}

/** How what is programmed differs from what the API wants. */
export interface Drift {
  readonly kind: "unprogrammed" | "stale" | "missing";
  readonly backends: readonly string[];
}

/**
 * The differences between an intent and where packets went: the addresses and ports that each way
 * ended with.
 */
export function driftOf(
  { backends }: Intent,
  knock: Pick<Knock, "address" | "port">,
  went: readonly Pick<Backend, "address" | "port">[],
): readonly Drift[] {
  const wanted = new Set(backends.map(backendText));
  const found = new Set(went.map(backendText));
  const own = backendText(knock);
  const drifts: Drift[] = [];
  if (found.has(own) && wanted.size > 0 && !wanted.has(own)) {
    drifts.push({ kind: "unprogrammed", backends: [...wanted] });
  }
  const stale = [...found].filter((each) => each !== own && !wanted.has(each));
  if (stale.length > 0) drifts.push({ kind: "stale", backends: stale });
  const missing = [...wanted].filter((each) => !found.has(each));
  // Where nothing was rewritten, all are missing for the one reason that was told already.
  if (missing.length > 0 && [...found].some((each) => each !== own)) {
    drifts.push({ kind: "missing", backends: missing });
  }
  return drifts;
}
