/**
 * What a diagnosis may be asked about by name: pods, services, nodes, and their DNS names.
 *
 * @module
 */
import { type Address, type Family, parseAddress } from "../packet/address.ts";
import { addressesOf, type Cluster, hasEnded, nodeAddresses, serviceAddresses } from "./cluster.ts";
import { isDnsName, type Lookup } from "./dns.ts";
import { backendsOf } from "./service.ts";
import type { ServiceObject } from "./objects.ts";

/** What a text stands for. */
export interface Target {
  /** The main one first; services without one have their endpoints'. */
  readonly addresses: readonly Address[];
  /** The pod, as `NAMESPACE/NAME`, whose namespace sends or gets the packet. */
  readonly pod?: string;
  readonly service?: string;
  /** A port that the text itself names. */
  readonly port?: number;
  readonly protocol?: "tcp" | "udp";
  /** How it was looked up; without addresses if it is not known to have any. */
  readonly lookup?: Lookup;
}

/** What a name takes; `owners` are the addresses of pods that snapshots know by themselves. */
export interface Names {
  readonly cluster?: Cluster;
  /** Looks a name up as the source's processes do; undefined where it is not known how they do. */
  lookUp?(name: string, source: Target): Lookup | undefined;
  addressesOfPod?(namespace: string, name: string): readonly Address[];
}

const FORMS = "an address, pod/NAMESPACE/NAME, svc/NAMESPACE/NAME[:PORT], node/NAME, " +
  "or SERVICE.NAMESPACE.svc";

/** Whether a text has the form of a target's name. */
export function isTargetName(text: string): boolean {
  return /^(pod|svc|service|node)\/./.test(text) || /^[\w-]+\.[\w-]+\.svc(\.|:|$)/.test(text);
}

/**
 * What a text stands for.
 *
 * @throws {Error} that says what there is no such thing of.
 */
export function targetOf(text: string, names: Names): Target {
  const address = parseAddress(text);
  if (address !== undefined) return { addresses: [address] };
  const [, kind, rest = ""] = /^(pod|svc|service|node)\/(.+)$/.exec(text) ?? [];
  if (kind === "pod") return podTarget(text, rest, names);
  if (kind === "node") return nodeTarget(text, rest, names);
  if (kind !== undefined) return serviceTarget(text, rest, names);
  const [, name, namespace, more = "", port = ""] =
    /^([\w-]+)\.([\w-]+)\.svc((?:\.[\w-]+)*)\.?(:[\w-]+)?$/.exec(text) ?? [];
  void more; // the cluster's domain, whatever it is called
  if (name !== undefined) return serviceTarget(text, `${namespace}/${name}${port}`, names);
  throw new Error(`Cannot tell what "${text}" is: it must be ${FORMS}`);
}

/** Whether a text may be a destination's name that DNS has. */
export function isLookedUp(text: string): boolean {
  return parseAddress(text) === undefined && isDnsName(text);
}

/**
 * What a destination stands for: as `targetOf`, or what its name is looked up as by the source.
 *
 * @throws {Error} that says what there is no such thing of.
 */
export function destinationOf(text: string, source: Target, names: Names): Target {
  if (!isLookedUp(text)) return targetOf(text, names);
  const [name = "", port] = text.split(":");
  const lookup = names.lookUp?.(name, source);
  if (lookup === undefined) {
    if (isTargetName(text)) return targetOf(text, names);
    throw new Error(
      `Cannot look "${name}" up: the snapshot does not have the source's resolv.conf`,
    );
  }
  const number = port !== undefined && /^\d+$/.test(port) ? { port: Number(port) } : {};
  const named = lookup.service === undefined
    ? number
    : targetOf(`svc/${lookup.service}${port === undefined ? "" : `:${port}`}`, names);
  return { ...named, addresses: lookup.addresses, lookup };
}

/** The addresses of a family that both have, the source's and the destination's. */
export function paired(source: Target, destination: Target): readonly [Address, Address] {
  for (const to of destination.addresses) {
    const from = source.addresses.find(({ family }) => family === to.family);
    if (from !== undefined) return [from, to];
  }
  const families = (target: Target) => target.addresses.map(({ family }) => `IPv${family}`);
  throw new Error(
    `Cannot pair ${families(source).join(", ") || "nothing"} with ` +
      `${families(destination).join(", ") || "nothing"}: source and destination share no family`,
  );
}

function podTarget(text: string, rest: string, { cluster, addressesOfPod }: Names): Target {
  const [, namespace = "default", name = ""] = /^(?:([^/]+)\/)?([^/]+)$/.exec(rest) ?? [];
  const known = cluster?.pods.get(`${namespace}/${name}`);
  if (known !== undefined && hasEnded(known)) {
    throw new Error(`Cannot diagnose "${text}": the pod has ended (${known.status?.phase})`);
  }
  const own = known === undefined ? [] : addressesOf(known);
  const addresses = own.length > 0 ? own : addressesOfPod?.(namespace, name) ?? [];
  if (addresses.length > 0) {
    // A pod in its node's network has no namespace of its own.
    return known?.spec.hostNetwork === true
      ? { addresses }
      : { addresses, pod: `${namespace}/${name}` };
  }
  const because = known !== undefined
    ? "the pod has no address yet"
    : cluster === undefined
    ? "no snapshot has a pod of that name, and no objects are given"
    : "there is no such pod";
  throw new Error(`Cannot find "${text}": ${because}`);
}

function nodeTarget(text: string, name: string, { cluster }: Names): Target {
  const node = cluster?.nodes.get(name);
  if (node === undefined) throw missing(text, "node", cluster);
  const addresses = nodeAddresses(node);
  if (addresses.length === 0) throw new Error(`Cannot use "${text}": the node has no address`);
  return { addresses };
}

function serviceTarget(text: string, rest: string, { cluster }: Names): Target {
  const pattern = /^(?:([^/:]+)\/)?([^/:]+)(?::([\w-]+))?$/;
  const [, namespace = "default", name = "", port] = pattern.exec(rest) ?? [];
  const service = cluster?.services.get(`${namespace}/${name}`);
  if (cluster === undefined || service === undefined) throw missing(text, "service", cluster);
  if (service.spec.type === "ExternalName") {
    throw new Error(
      `Cannot diagnose "${text}": it is another name of "${service.spec.externalName}", ` +
        "which only DNS resolves",
    );
  }
  const found = portOf(text, service, port);
  const addresses = serviceAddresses(service);
  const headless = addresses.length === 0
    ? endpointsOf(cluster, service, found?.name ?? "", found?.protocol ?? "TCP")
    : [];
  if (addresses.length === 0 && headless.length === 0) {
    throw new Error(`Cannot diagnose "${text}": the service has no address and no ready endpoint`);
  }
  const [first] = headless;
  const number = first?.port ?? found?.port;
  return {
    addresses: addresses.length > 0 ? addresses : headless.map((each) => each.address),
    service: `${namespace}/${name}`,
    ...(number === undefined ? {} : { port: number }),
    ...(found?.protocol === "TCP" ? { protocol: "tcp" } : {}),
    ...(found?.protocol === "UDP" ? { protocol: "udp" } : {}),
  };
}

function endpointsOf(cluster: Cluster, service: ServiceObject, port: string, protocol: string) {
  const families: readonly Family[] = [4, 6];
  return families.flatMap((family) => backendsOf(cluster, service, port, protocol, family));
}

/** The port of that name or number; without any, the only one. */
function portOf(text: string, { spec }: ServiceObject, wanted: string | undefined) {
  const ports = spec.ports ?? [];
  const [only, ...others] = ports;
  if (wanted === undefined) return others.length === 0 ? only : undefined;
  const found = ports.find(({ name, port }) => name === wanted || String(port) === wanted);
  if (found !== undefined) return found;
  const all = ports.map(({ name, port }) => name === "" ? `${port}` : `${name} (${port})`);
  throw new Error(
    `Cannot use "${text}": the service has no port "${wanted}", but ${all.join(", ") || "none"}`,
  );
}

function missing(text: string, what: string, cluster: Cluster | undefined): Error {
  const because = cluster === undefined
    ? "no objects of the cluster are given: name a file by --objects, or --kubeconfig"
    : `there is no such ${what}`;
  return new Error(`Cannot find "${text}": ${because}`);
}
