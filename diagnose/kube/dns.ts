/**
 * What a name that a process looks up leads to, as far as hosts and a cluster's objects tell.
 *
 * Source: "DNS for Services and Pods"; the specification of Kubernetes DNS, version 1.1.0.
 *
 * @module
 */
import { type Address, parseAddress } from "../packet/address.ts";
import type { Diagnosis } from "../walk/diagnosis.ts";
import { addresses, type Cluster } from "./cluster.ts";
import { nameOf, type ServiceObject } from "./objects.ts";
import { candidates, clusterDomain, inHosts, type Resolver } from "./resolver.ts";

/** What is known of one name. */
export type Answer =
  | {
    readonly kind: "addresses";
    readonly addresses: readonly Address[];
    readonly service?: string;
  }
  | { readonly kind: "alias"; readonly name: string }
  /** It is the cluster's to answer, and there is no such thing. */
  | { readonly kind: "none"; readonly because: string }
  /** Whoever is asked beyond the cluster decides. */
  | { readonly kind: "outside" };

/** A lookup: which names are asked for, and what came of it. */
export interface Lookup {
  readonly name: string;
  readonly resolver: Resolver;
  /** In their order, up to the one that is answered. */
  readonly tried: readonly { readonly name: string; readonly answer: Answer["kind"] }[];
  /** Who answers; `nobody` that is known. */
  readonly by: "hosts" | "cluster" | "nobody";
  readonly addresses: readonly Address[];
  /** The service whose name it is, as `shop/web`. */
  readonly service?: string;
  /** Why there is no address. */
  readonly because?: string;
  /** Whether it is certain that there is none. */
  readonly none: boolean;
}

/** The walk to one nameserver, over both protocols. */
export interface Nameserver {
  readonly address: Address;
  readonly udp: Diagnosis;
  readonly tcp: Diagnosis;
}

/** A lookup with the ways to those who are asked; nobody is if hosts has it. */
export interface Resolution extends Lookup {
  readonly nameservers: readonly Nameserver[];
}

/** Where nameservers listen. */
export const DNS_PORT = 53;

/** Other names that a name stands for, one after the other. */
const ALIASES_MAX = 8;

/** Looks a name up. */
export function lookUp(
  name: string,
  { resolver, hosts, cluster }: {
    readonly resolver: Resolver;
    readonly hosts: string;
    readonly cluster: Cluster | undefined;
  },
): Lookup {
  const known = inHosts(hosts, name);
  const nothing = { name, resolver, tried: [], addresses: [], none: false };
  if (known.length > 0) return { ...nothing, by: "hosts", addresses: known };
  const domain = clusterDomain(resolver);
  const tried: { name: string; answer: Answer["kind"] }[] = [];
  const reasons: string[] = [];
  for (const candidate of candidates(name, resolver)) {
    const answer = followed(cluster, candidate, domain);
    tried.push({ name: candidate, answer: answer.kind });
    if (answer.kind === "addresses") {
      const service = answer.service === undefined ? {} : { service: answer.service };
      return { ...nothing, ...service, tried, by: "cluster", addresses: answer.addresses };
    }
    if (answer.kind === "alias") {
      const because = `it is another name of "${answer.name}", which is not the cluster's`;
      return { ...nothing, tried, by: "nobody", because };
    }
    if (answer.kind === "none") reasons.push(`${candidate}: ${answer.because}`);
  }
  const none = cluster !== undefined && tried.every(({ answer }) => answer === "none");
  const because = cluster === undefined
    ? "no objects of the cluster are given, so only a nameserver knows its address"
    : none
    ? `there is no such name in the cluster: ${reasons.join("; ")}`
    : "it is no name of the cluster, so only a nameserver outside knows its address";
  return { ...nothing, tried, by: "nobody", because, none };
}

function followed(cluster: Cluster | undefined, name: string, domain: string): Answer {
  let answer = answerOf(cluster, name, domain);
  for (let hop = 0; answer.kind === "alias" && hop < ALIASES_MAX; hop++) {
    const next = answerOf(cluster, answer.name, domain);
    if (next.kind === "outside") return answer;
    answer = next;
  }
  return answer;
}

/** What a cluster's DNS has for a whole name. */
export function answerOf(cluster: Cluster | undefined, name: string, domain: string): Answer {
  const whole = name.toLowerCase().replace(/\.$/, "");
  // Every cluster has the service of its API server: without any, they were not to be read.
  if (cluster === undefined || cluster.services.size === 0) return { kind: "outside" };
  if (!`.${whole}`.endsWith(`.${domain.toLowerCase()}`)) {
    return { kind: "outside" };
  }
  const labels = whole.slice(0, -domain.length).split(".").filter((each) => each !== "");
  const kind = labels.pop();
  const namespace = labels.pop();
  const object = labels.pop();
  if (object === undefined || namespace === undefined || labels.length > 1) return NO_NAME;
  if (kind === "pod") return podAnswer(object, labels);
  if (kind !== "svc") return NO_NAME;
  const service = cluster.services.get(`${namespace}/${object}`);
  if (service === undefined) {
    return { kind: "none", because: `there is no service ${namespace}/${object}` };
  }
  return serviceAnswer(cluster, service, labels[0]);
}

const NO_NAME: Answer = { kind: "none", because: "no service and no pod is called so" };

/** `10-244-1-2.shop.pod.cluster.local`: the address is the name. */
function podAnswer(object: string, more: readonly string[]): Answer {
  const four = parseAddress(object.replaceAll("-", "."));
  const address = four ?? parseAddress(object.replaceAll("-", ":"));
  if (address === undefined || more.length > 0) return NO_NAME;
  return { kind: "addresses", addresses: [address] };
}

function serviceAnswer(
  cluster: Cluster,
  service: ServiceObject,
  hostname: string | undefined,
): Answer {
  const { spec } = service;
  const text = nameOf(service);
  if (spec.type === "ExternalName" && hostname === undefined) {
    return { kind: "alias", name: (spec.externalName ?? "").replace(/\.$/, "") };
  }
  const inside = addresses([spec.clusterIP, ...spec.clusterIPs]);
  if (inside.length > 0 && hostname === undefined) {
    return { kind: "addresses", addresses: inside, service: text };
  }
  const endpoints = cluster.slicesOf(service).flatMap((slice) => slice.endpoints)
    .filter(({ conditions }) =>
      spec.publishNotReadyAddresses === true || (conditions?.ready ?? true)
    )
    .filter((each) => hostname === undefined || hostnameOf(each) === hostname);
  const found = addresses(endpoints.flatMap((each) => each.addresses));
  if (found.length === 0 && !cluster.hasEndpoints) return { kind: "outside" };
  if (found.length > 0) return { kind: "addresses", addresses: found, service: text };
  const which = hostname === undefined ? "endpoint" : `endpoint "${hostname}"`;
  return { kind: "none", because: `service ${text} has no ready ${which}` };
}

/** Without a name of its own, an endpoint's address is its name. */
function hostnameOf(
  { hostname, addresses: [first = ""] }: {
    readonly hostname: string | null;
    readonly addresses: readonly string[];
  },
): string {
  return hostname === null || hostname === "" ? first.replace(/[.:]/g, "-") : hostname;
}

/** Whether a text may be a name that DNS has, with or without a port. */
export function isDnsName(text: string): boolean {
  const [name = "", port, ...more] = text.split(":");
  if (more.length > 0 || port !== undefined && !/^[\w-]+$/.test(port)) return false;
  const labels = name.replace(/\.$/, "").split(".");
  return name.length <= NAME_CHARACTERS_MAX && /[a-z]/i.test(labels.at(-1) ?? "") &&
    labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
}

/** RFC 1035, section 2.3.4. */
const NAME_CHARACTERS_MAX = 254;
