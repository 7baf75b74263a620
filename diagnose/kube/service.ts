/**
 * Where packets for a service should go, by the API; and how that differs from where they went.
 *
 * Source: Kubernetes documentation, "Service", "Virtual IPs and Service Proxies"; KEP 1669.
 *
 * @module
 */
import { type Address, formatAddress, sameAddress } from "../packet/address.ts";
import { addresses, type Cluster } from "./cluster.ts";
import { nameOf, type ServiceObject, type SliceObject } from "./objects.ts";

/** A backend of a service's port. */
export interface Backend {
  readonly address: Address;
  readonly port: number;
  /** The node that it is on; empty if the API does not say. */
  readonly node: string;
}

/** How a service is asked for. */
export type Access = "cluster" | "external" | "node";

/** What the API wants of a packet for a service. */
export interface Intent {
  readonly service: string;
  /** `http 80/TCP` */
  readonly port: string;
  readonly access: Access;
  /** Where it should go; one of these. */
  readonly backends: readonly Backend[];
  /** Why there are none. */
  readonly because?: string;
}

/** The question's packet, as a service sees it. */
export interface Knock {
  readonly address: Address;
  readonly port: number;
  readonly protocol: string;
  /** The node on which it is decided. */
  readonly node: string;
}

/**
 * What the API wants of a packet; undefined if its destination is no service's.
 *
 * Nodes' own addresses are services' by node port.
 */
export function intentOf(cluster: Cluster, knock: Knock): Intent | undefined {
  const service = cluster.serviceAt(knock.address);
  if (service !== undefined) {
    const inside = [service.spec.clusterIP, ...service.spec.clusterIPs ?? []];
    const isInside = addresses(inside).some((each) => sameAddress(each, knock.address));
    return intentAt(cluster, service, isInside ? "cluster" : "external", knock);
  }
  if (cluster.endOf(knock.address).node === undefined) return undefined;
  for (const each of cluster.services.values()) {
    const isIts = (each.spec.ports ?? []).some(({ nodePort, protocol }) =>
      nodePort === knock.port && protocol === knock.protocol
    );
    if (isIts) return intentAt(cluster, each, "node", knock);
  }
  return undefined;
}

function intentAt(
  cluster: Cluster,
  service: ServiceObject,
  access: Access,
  { address, port, protocol, node }: Knock,
): Intent {
  const { spec } = service;
  const found = (spec.ports ?? []).find((each) =>
    (access === "node" ? each.nodePort : each.port) === port && each.protocol === protocol
  );
  const intent = { service: nameOf(service), access, port: `${port}/${protocol}` };
  if (found === undefined) {
    return { ...intent, backends: [], because: `it has no port ${port}/${protocol}` };
  }
  const portText = `${found.name === "" ? "" : `${found.name} `}${port}/${protocol}`;
  const all = backendsOf(cluster, service, found.name ?? "", protocol, address.family);
  const policy = access === "cluster" ? spec.internalTrafficPolicy : spec.externalTrafficPolicy;
  const backends = policy === "Local" ? all.filter((each) => each.node === node) : all;
  const because = backends.length > 0
    ? undefined
    : all.length === 0
    ? "it has no ready endpoint"
    : `none of its ${all.length} endpoints is on node ${node}, and its traffic policy is Local`;
  return { ...intent, port: portText, backends, ...(because === undefined ? {} : { because }) };
}

/**
 * The endpoints of a port: the ready ones; where none is ready, those that still serve while they
 * are being terminated.
 */
export function backendsOf(
  cluster: Cluster,
  service: ServiceObject,
  portName: string,
  protocol: string,
  family: 4 | 6,
): readonly Backend[] {
  const ready: Backend[] = [];
  const serving: Backend[] = [];
  for (const slice of cluster.slicesOf(service)) {
    if (slice.addressType !== `IPv${family}`) continue;
    const ports = (slice.ports ?? []).filter((each) =>
      (each.name ?? "") === portName && each.protocol === protocol
    );
    for (const endpoint of slice.endpoints ?? []) {
      const backends = ports.flatMap(({ port }) =>
        addresses(endpoint.addresses ?? []).map((address) => ({
          address,
          port: port ?? 0,
          node: endpoint.nodeName ?? "",
        }))
      );
      if (isReady(endpoint)) ready.push(...backends);
      else if (isServing(endpoint)) serving.push(...backends);
    }
  }
  return unique(ready.length > 0 ? ready : serving);
}

type Endpoint = NonNullable<SliceObject["endpoints"]>[number];

/** What is not said is ready. */
function isReady({ conditions }: Endpoint): boolean {
  return conditions?.ready ?? true;
}

function isServing({ conditions }: Endpoint): boolean {
  return conditions?.serving === true && conditions.terminating === true;
}

function unique(backends: readonly Backend[]): readonly Backend[] {
  return [...new Map(backends.map((each) => [backendText(each), each])).values()];
}

/** `10.244.1.3:8080` */
export function backendText({ address, port }: Pick<Backend, "address" | "port">): string {
  const text = formatAddress(address);
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
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
