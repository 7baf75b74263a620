/**
 * What `podskoop diagnose` takes of a cluster's objects: names of targets, and their opinion.
 *
 * @module
 */
import { Cluster } from "../../diagnose/kube/cluster.ts";
import { lookUp } from "../../diagnose/kube/dns.ts";
import { type Opinion, opinionOf } from "../../diagnose/kube/kube.ts";
import { type KubeObject, readObjects } from "../../diagnose/kube/objects.ts";
import type { NodeRules } from "../../diagnose/kube/programmed.ts";
import { clusterObjects } from "../../diagnose/kube/reading.ts";
import { resolverOf } from "../../diagnose/kube/resolver.ts";
import { withResolution } from "../../diagnose/kube/resolution.ts";
import type { Names } from "../../diagnose/kube/target.ts";
import type { Packet } from "../../diagnose/packet/packet.ts";
import {
  diagnoseIn,
  type Diagnosis,
  type Question,
  sendersOf,
} from "../../diagnose/walk/diagnosis.ts";
import type { Namespace } from "../../diagnose/walk/namespace.ts";
import type { Network } from "../../diagnose/walk/network.ts";
import { readBoundedText } from "../bounded_file.ts";
import { findApiServer } from "../kubernetes/api_server.ts";
import { ApiClient } from "../kubernetes/client.ts";
import { Failure, type Terminal } from "./terminal.ts";

/** Characters of one file of objects: 15,000 pods have some 100 MB. */
const OBJECTS_BYTES_MAX = 512 * 1024 * 1024;
/** Mistakes of objects that are shown. */
const MISTAKES_SHOWN_MAX = 5;

/** Where the objects come from. */
export interface ObjectsOptions {
  readonly objects?: readonly string[];
  readonly kubeconfig?: string;
  /** The API is that of the cluster whose pod this process is. */
  readonly inCluster?: boolean;
}

/** Whether an API server is asked. */
export function asksApi({ kubeconfig, inCluster }: ObjectsOptions): boolean {
  return kubeconfig !== undefined || inCluster === true;
}

/**
 * The API server that is asked.
 *
 * @throws {Error} when there is none, or the kubeconfig cannot be used
 */
export async function apiOf({ kubeconfig }: ObjectsOptions): Promise<ApiClient> {
  const server = await findApiServer(kubeconfig);
  if (server !== undefined) return new ApiClient(server);
  throw new Error(
    "Cannot ask the cluster that this process is a pod of: it is none, or has no service account",
  );
}

/** The cluster's objects, of files and of the API; undefined where none are named. */
export async function clusterOf(
  options: ObjectsOptions,
  terminal: Pick<Terminal, "err">,
): Promise<Cluster | undefined> {
  const { objects: paths = [] } = options;
  if (paths.length === 0 && !asksApi(options)) return undefined;
  const objects: KubeObject[] = [];
  const mistakes: string[] = [];
  for (const path of paths) {
    const read = await objectsIn(path);
    for (const object of read.objects) objects.push(object);
    mistakes.push(...read.mistakes.map((mistake) => `"${path}": ${mistake}`));
  }
  if (asksApi(options)) {
    const read = await objectsOf(options);
    for (const object of read.objects) objects.push(object);
    mistakes.push(...read.mistakes);
  }
  for (const mistake of mistakes.slice(0, MISTAKES_SHOWN_MAX)) {
    terminal.err(`podskoop: passed over ${mistake}\n`);
  }
  const more = mistakes.length - MISTAKES_SHOWN_MAX;
  if (more > 0) terminal.err(`podskoop: passed over ${more} other objects\n`);
  return new Cluster(objects);
}

async function objectsIn(path: string) {
  try {
    return readObjects(await readBoundedText(path, OBJECTS_BYTES_MAX));
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    throw new Failure(`Cannot read the objects "${path}": ${because}`);
  }
}

async function objectsOf(options: ObjectsOptions) {
  try {
    using client = await apiOf(options);
    return await clusterObjects(client);
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error));
  }
}

/** What targets may be called: by the objects, else by whom the snapshots know themselves. */
export function namesOf(network: Network, cluster: Cluster | undefined): Names {
  return {
    ...(cluster === undefined ? {} : { cluster }),
    lookUp: (name, { addresses: [source], pod }) => {
      if (source === undefined) return undefined;
      const from = pod === undefined ? {} : { from: pod };
      const [sender] = sendersOf(network, { source, ...from });
      const { resolvConf, hosts = "" } = sender?.snapshot ?? {};
      if (resolvConf === undefined) return undefined;
      return lookUp(name, { resolver: resolverOf(resolvConf), hosts, cluster });
    },
    addressesOfPod: (namespace, name) => {
      const found = network.namespaces.find(({ snapshot: { owner } }) =>
        owner.kind === "pod" && owner.namespace === namespace && owner.name === name
      );
      return (found?.devices ?? []).filter((device) => device.name !== "lo").flatMap((device) =>
        device.addresses.map(({ address }) => address)
      ).filter(({ family, bits }) => family === 4 || bits >> 118n !== LINK_LOCAL);
    },
  };
}

/** The ten bits that link-local IPv6 addresses begin with, which no one else can ask for. */
const LINK_LOCAL = 0x3fan;

/** The whole diagnosis: the walk, what a cluster's objects say, and how a name is looked up. */
export function diagnosed(
  network: Network,
  question: Question,
  cluster: Cluster | undefined,
): Diagnosis {
  const walk = (asked: Question) => {
    const walked = diagnoseIn(network, asked);
    return cluster === undefined ? walked : withOpinion(walked, cluster, network);
  };
  return withResolution(walk(question), walk);
}

/** The diagnosis, with what the cluster's objects say of it. */
export function withOpinion(diagnosis: Diagnosis, cluster: Cluster, network: Network): Diagnosis {
  const { question: { source, destination, protocol, port }, sender, ways, verdict } = diagnosis;
  // Where a dataplane takes packets, nobody knows where they went.
  const known = ways.filter(({ request }) => request.cause?.id !== "dataplane-unknown");
  const went = known.map(({ request: { packet } }) => {
    const { destination: address, destinationPort = 0 } = innermost(packet);
    return { address, port: destinationPort };
  });
  const rules = rulesIn(network);
  const opinion: Opinion = opinionOf(cluster, {
    ...{ source, destination, went, verdict, rules, node: sender?.node ?? "" },
    hosts: hostsOf(network),
    listens: (node, wanted) =>
      hostsOf(network).find((host) => host.node === node)?.snapshot.listeners
        ?.some((each) => each.protocol === "tcp" && each.port === wanted),
    all: known.length === ways.length &&
      ways.every(({ request }) => request.cause?.id !== "too-many-branches"),
    protocol: protocol === "icmp" ? "ICMP" : protocol === "udp" ? "UDP" : "TCP",
    ...(port === undefined ? {} : { port }),
  });
  return { ...diagnosis, opinion };
}

function hostsOf(network: Network): readonly Namespace[] {
  return network.namespaces.filter(({ snapshot: { host } }) => host);
}

const read = new WeakMap<Network, readonly NodeRules[]>();

/** The rules of all nodes; the same ones each time, so that they are searched once. */
function rulesIn(network: Network): readonly NodeRules[] {
  const rules = read.get(network) ?? hostsOf(network).map(rulesOf);
  read.set(network, rules);
  return rules;
}

function rulesOf({ node, snapshot: own }: Namespace): NodeRules {
  const texts = [own.iptablesLegacy, own.iptablesNft, own.ip6tablesLegacy, own.ip6tablesNft];
  return {
    node,
    iptables: texts.filter((text) => text !== undefined && text !== "").map((text) => text ?? ""),
    nft: own.nft ?? "",
    ipvs: own.ipvs ?? "",
  };
}

function innermost(packet: Packet): Packet {
  return packet.inner === undefined ? packet : innermost(packet.inner);
}
