/**
 * What is read of the API's objects: pods, services, endpoint slices, nodes.
 *
 * Source: Kubernetes API reference v1.31, core/v1 and discovery.k8s.io/v1. Lists and maps without
 * anything in them may be absent or null there.
 *
 * @module
 */
import * as v from "valibot";

const labels = v.nullish(v.record(v.string(), v.string()), {});

/** An absent list, or a null one, is an empty one. */
function list<const S extends v.GenericSchema>(item: S) {
  return v.nullish(v.array(item), []);
}

const statuses = list(v.object({ containerID: v.optional(v.string(), "") }));

const podShape = v.object({
  metadata: v.object({
    name: v.string(),
    namespace: v.string(),
    uid: v.string(),
    labels,
    annotations: v.nullish(v.record(v.string(), v.string()), {}),
    deletionTimestamp: v.nullish(v.string()),
    ownerReferences: list(
      v.object({
        kind: v.string(),
        name: v.string(),
        controller: v.optional(v.boolean(), false),
      }),
    ),
  }),
  spec: v.optional(
    v.object({
      nodeName: v.optional(v.string(), ""),
      hostNetwork: v.optional(v.boolean(), false),
    }),
    {},
  ),
  status: v.optional(
    v.object({
      phase: v.optional(v.string(), ""),
      podIP: v.optional(v.string(), ""),
      podIPs: list(v.object({ ip: v.optional(v.string(), "") })),
      containerStatuses: statuses,
      initContainerStatuses: statuses,
      ephemeralContainerStatuses: statuses,
    }),
    {},
  ),
});

const serviceShape = v.object({
  metadata: v.object({ name: v.string(), namespace: v.string(), uid: v.string() }),
  spec: v.optional(
    v.object({
      clusterIP: v.optional(v.string(), ""),
      clusterIPs: list(v.string()),
      externalIPs: list(v.string()),
    }),
    {},
  ),
  status: v.optional(
    v.object({
      loadBalancer: v.optional(
        v.object({ ingress: list(v.object({ ip: v.optional(v.string(), "") })) }),
        {},
      ),
    }),
    {},
  ),
});

const sliceShape = v.object({
  metadata: v.object({ name: v.string(), namespace: v.string(), uid: v.string(), labels }),
  addressType: v.optional(v.string(), ""),
  endpoints: list(v.object({ addresses: list(v.string()) })),
});

const nodeShape = v.object({
  metadata: v.object({ name: v.string(), uid: v.string() }),
  status: v.optional(
    v.object({ addresses: list(v.object({ type: v.string(), address: v.string() })) }),
    {},
  ),
});

/** Something that has addresses. */
export interface Holder {
  readonly uid: string;
  /** As inet_ntop prints them. */
  readonly addresses: readonly string[];
  /** It is being deleted: its addresses may be another's already. */
  readonly leaving?: true;
}

/** A pod, as far as others ask for it. */
export interface Pod extends Holder {
  readonly namespace: string;
  readonly name: string;
  /** `Deployment/web`: what made it, where that is known. */
  readonly workload?: string;
}

/** A pod of this node. */
export interface NodePod extends Pod {
  readonly labels: Readonly<Record<string, string>>;
  readonly containerIds: readonly string[];
  /** The UID in the cgroup of a static pod, which is not its own in the API. */
  readonly cgroupUid?: string;
}

/** A service or a node. */
export interface Named extends Holder {
  /** Empty for a node. */
  readonly namespace: string;
  readonly name: string;
}

/** What other nodes ask of a pod. */
export function readPod(object: unknown): Pod {
  return podOf(v.parse(podShape, object));
}

function podOf({ metadata, spec, status }: v.InferOutput<typeof podShape>): Pod {
  const { uid, namespace, name, deletionTimestamp, ownerReferences } = metadata;
  const hasEnded = status.phase === "Succeeded" || status.phase === "Failed";
  // The addresses of a pod that has ended are free; those of one in the host's network are the
  // node's.
  const hasNone = spec.hostNetwork || hasEnded;
  const ips = [status.podIP, ...status.podIPs.map(({ ip }) => ip)];
  const owner = ownerReferences.find(({ controller }) => controller);
  const workload = owner === undefined ? undefined : workloadOf(owner, metadata.labels ?? {});
  return {
    uid,
    namespace,
    name,
    addresses: hasNone ? [] : canonical(ips),
    ...(deletionTimestamp === undefined || deletionTimestamp === null ? {} : { leaving: true }),
    ...(workload === undefined ? {} : { workload }),
  };
}

/** A pod of this node, with what tells its processes. */
export function readNodePod(object: unknown): NodePod {
  const shaped = v.parse(podShape, object);
  const { metadata, status } = shaped;
  const all = [
    ...status.containerStatuses,
    ...status.initContainerStatuses,
    ...status.ephemeralContainerStatuses,
  ];
  // A static pod's mirror: the kubelet names its cgroup by the hash of the manifest.
  const cgroupUid = metadata.annotations?.["kubernetes.io/config.hash"];
  return {
    ...podOf(shaped),
    labels: metadata.labels ?? {},
    containerIds: all.map(({ containerID }) => containerID.replace(/^[\w.-]*:\/\//, ""))
      .filter((id) => id !== ""),
    ...(cgroupUid === undefined ? {} : { cgroupUid }),
  };
}

/**
 * What made a pod. A Deployment's ReplicaSet is called by its template's hash, a CronJob's Job by
 * the minutes since the epoch, so what is behind them can be told without reading them.
 */
function workloadOf(
  { kind, name }: { readonly kind: string; readonly name: string },
  labels: Readonly<Record<string, string>>,
): string {
  const hash = labels["pod-template-hash"];
  if (kind === "ReplicaSet" && hash !== undefined && name.endsWith(`-${hash}`)) {
    return `Deployment/${name.slice(0, -hash.length - 1)}`;
  }
  if (kind === "Job" && /-\d{8,10}$/.test(name)) {
    return `CronJob/${name.replace(/-\d+$/, "")}`;
  }
  return `${kind}/${name}`;
}

/** A service with the addresses at which it is reached. */
export function readService(object: unknown): Named {
  const { metadata: { uid, namespace, name }, spec, status } = v.parse(serviceShape, object);
  const addresses = canonical([
    spec.clusterIP,
    ...spec.clusterIPs,
    ...spec.externalIPs,
    ...status.loadBalancer.ingress.map(({ ip }) => ip),
  ]);
  return { uid, namespace, name, addresses };
}

/** The service that an endpoint slice is of, with the addresses behind it. */
export function readSlice(object: unknown): Named | undefined {
  const { metadata, addressType, endpoints } = v.parse(sliceShape, object);
  const { uid, namespace, labels } = metadata;
  const name = labels?.["kubernetes.io/service-name"];
  if (name === undefined || addressType === "FQDN") return undefined;
  const addresses = canonical(endpoints.flatMap((each) => each.addresses));
  return { uid, namespace, name, addresses };
}

/** A node with its addresses. */
export function readNode(object: unknown): Named {
  const { metadata: { uid, name }, status } = v.parse(nodeShape, object);
  const isAddress = (type: string) => type === "InternalIP" || type === "ExternalIP";
  const addresses = status.addresses.filter(({ type }) => isAddress(type));
  return { uid, namespace: "", name, addresses: canonical(addresses.map((each) => each.address)) };
}

/** Addresses as inet_ntop prints them, each once; what is none is left out. */
function canonical(texts: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const text of texts) {
    if (/^\d+(\.\d+){3}$/.test(text)) found.add(text);
    else if (text.includes(":") && URL.canParse(`http://[${text}]/`)) {
      found.add(new URL(`http://[${text}]/`).hostname.slice(1, -1));
    }
  }
  return [...found];
}
