/**
 * What a diagnosis reads of a cluster's objects, from the JSON that `kubectl get … -o json` writes.
 *
 * Source: Kubernetes API reference v1.31; policy.networking.k8s.io/v1alpha1;
 * crd.projectcalico.org/v1 (IPPool).
 *
 * @module
 */
import * as v from "valibot";
import { unreadPolicy } from "./unread.ts";

/** Objects that are read; a cluster has some tens of thousands. */
export const OBJECTS_MAX = 500_000;

/** An absent list, or a null one, is an empty one. */
function list<const S extends v.GenericSchema>(item: S) {
  return v.nullish(v.array(item), []);
}

const words = v.nullish(v.record(v.string(), v.string()), {});
const textOr = v.nullish(v.string(), "");
const flagOr = v.nullish(v.boolean(), false);

const metadata = v.object({ name: v.string(), namespace: textOr, labels: words });

/** A label selector; an empty one selects all. */
export const selectorShape = v.object({
  matchLabels: words,
  matchExpressions: list(
    v.object({ key: v.string(), operator: v.string(), values: list(v.string()) }),
  ),
});
export type Selector = v.InferOutput<typeof selectorShape>;

/** A number, or the name of a container's port. */
const portOrName = v.union([v.number(), v.string()]);

const containers = list(v.object({
  name: v.string(),
  /** Of those that begin before the others: `Always` is a sidecar, which goes on. */
  restartPolicy: textOr,
  ports: list(v.object({
    name: textOr,
    containerPort: v.number(),
    hostPort: v.nullish(v.number(), 0),
    hostIP: textOr,
    protocol: v.nullish(v.string(), "TCP"),
  })),
}));

const podShape = v.object({
  kind: v.literal("Pod"),
  metadata: v.object({ ...metadata.entries, deletionTimestamp: textOr }),
  spec: v.object({
    ...{ nodeName: textOr, hostNetwork: flagOr },
    ...{ containers, initContainers: containers },
  }),
  status: v.nullish(
    v.object({ phase: textOr, podIP: textOr, podIPs: list(v.object({ ip: textOr })) }),
  ),
});

const namespaceShape = v.object({ kind: v.literal("Namespace"), metadata });

const nodeShape = v.object({
  kind: v.literal("Node"),
  metadata: v.object({ ...metadata.entries, annotations: words }),
  spec: v.nullish(v.object({ podCIDR: textOr, podCIDRs: list(v.string()) })),
  status: v.nullish(v.object({
    addresses: list(v.object({ type: v.string(), address: v.string() })),
    conditions: list(v.object({ type: v.string(), status: v.string(), message: textOr })),
  })),
});

const serviceShape = v.object({
  kind: v.literal("Service"),
  metadata,
  spec: v.object({
    type: v.nullish(v.string(), "ClusterIP"),
    clusterIP: textOr,
    clusterIPs: list(v.string()),
    externalIPs: list(v.string()),
    externalName: textOr,
    internalTrafficPolicy: v.nullish(v.string(), "Cluster"),
    externalTrafficPolicy: v.nullish(v.string(), "Cluster"),
    publishNotReadyAddresses: flagOr,
    sessionAffinity: v.nullish(v.string(), "None"),
    loadBalancerSourceRanges: list(v.string()),
    healthCheckNodePort: v.nullish(v.number(), 0),
    ports: list(v.object({
      name: textOr,
      protocol: v.nullish(v.string(), "TCP"),
      port: v.number(),
      nodePort: v.nullish(v.number(), 0),
    })),
  }),
  status: v.nullish(v.object({
    loadBalancer: v.nullish(v.object({ ingress: list(v.object({ ip: textOr, ipMode: textOr })) })),
  })),
});

const sliceShape = v.object({
  kind: v.literal("EndpointSlice"),
  metadata,
  addressType: v.string(),
  endpoints: list(v.object({
    addresses: list(v.string()),
    nodeName: textOr,
    hostname: textOr,
    hints: v.nullish(v.object({
      forZones: list(v.object({ name: v.string() })),
      forNodes: list(v.object({ name: v.string() })),
    })),
    conditions: v.nullish(v.object({
      ready: v.nullish(v.boolean()),
      serving: v.nullish(v.boolean()),
      terminating: v.nullish(v.boolean()),
    })),
  })),
  ports: list(v.object({
    name: textOr,
    protocol: v.nullish(v.string(), "TCP"),
    port: v.nullish(v.number(), 0),
  })),
});

const policyPorts = list(v.object({
  protocol: v.nullish(v.string(), "TCP"),
  port: v.nullish(portOrName),
  endPort: v.nullish(v.number()),
}));
const peerShape = v.object({
  podSelector: v.nullish(selectorShape),
  namespaceSelector: v.nullish(selectorShape),
  ipBlock: v.nullish(v.object({ cidr: v.string(), except: list(v.string()) })),
});

const policyShape = v.object({
  kind: v.literal("NetworkPolicy"),
  metadata,
  spec: v.object({
    podSelector: v.nullish(selectorShape),
    policyTypes: list(v.string()),
    ingress: list(v.object({ from: list(peerShape), ports: policyPorts })),
    egress: list(v.object({ to: list(peerShape), ports: policyPorts })),
  }),
});

const adminPods = v.object({
  namespaceSelector: v.nullish(selectorShape),
  podSelector: v.nullish(selectorShape),
});
const adminPeer = v.object({
  namespaces: v.nullish(selectorShape),
  pods: v.nullish(adminPods),
  nodes: v.nullish(selectorShape),
  networks: v.nullish(v.array(v.string())),
  domainNames: v.nullish(v.array(v.string())),
});
const adminPorts = v.nullish(v.array(v.object({
  portNumber: v.nullish(v.object({ protocol: v.nullish(v.string(), "TCP"), port: v.number() })),
  portRange: v.nullish(
    v.object({ protocol: v.nullish(v.string(), "TCP"), start: v.number(), end: v.number() }),
  ),
  namedPort: v.nullish(v.string()),
})));
const adminRule = { name: textOr, action: v.string(), ports: adminPorts };

const adminShape = v.object({
  kind: v.picklist(["AdminNetworkPolicy", "BaselineAdminNetworkPolicy"]),
  metadata,
  spec: v.object({
    priority: v.nullish(v.number(), 0),
    subject: v.object({ namespaces: v.nullish(selectorShape), pods: v.nullish(adminPods) }),
    ingress: list(v.object({ ...adminRule, from: list(adminPeer) })),
    egress: list(v.object({ ...adminRule, to: list(adminPeer) })),
  }),
});

/** A range that Calico gives pods their addresses from. */
const poolShape = v.object({
  kind: v.literal("IPPool"),
  metadata,
  spec: v.object({
    cidr: v.string(),
    ipipMode: v.nullish(v.string(), "Never"),
    vxlanMode: v.nullish(v.string(), "Never"),
    natOutgoing: flagOr,
    disabled: flagOr,
  }),
});

/** A policy of a kind that is not read, with whose kind it is: `Calico`. */
const unreadShape = v.object({
  kind: v.literal("UnreadPolicy"),
  metadata,
  of: v.string(),
  whose: v.string(),
});

const SHAPES = {
  Pod: podShape,
  Namespace: namespaceShape,
  Node: nodeShape,
  Service: serviceShape,
  EndpointSlice: sliceShape,
  NetworkPolicy: policyShape,
  AdminNetworkPolicy: adminShape,
  BaselineAdminNetworkPolicy: adminShape,
  IPPool: poolShape,
  UnreadPolicy: unreadShape,
} as const;

/** The API groups of the kinds; others have kinds of the same names. */
const GROUPS: Readonly<Record<keyof typeof SHAPES, readonly string[]>> = {
  ...{ Pod: [""], Namespace: [""], Node: [""], Service: [""] },
  EndpointSlice: ["discovery.k8s.io"],
  NetworkPolicy: ["networking.k8s.io"],
  AdminNetworkPolicy: ["policy.networking.k8s.io"],
  BaselineAdminNetworkPolicy: ["policy.networking.k8s.io"],
  IPPool: ["crd.projectcalico.org", "projectcalico.org"],
  UnreadPolicy: [],
};

export type PodObject = v.InferOutput<typeof podShape>;
export type NamespaceObject = v.InferOutput<typeof namespaceShape>;
export type NodeObject = v.InferOutput<typeof nodeShape>;
export type ServiceObject = v.InferOutput<typeof serviceShape>;
export type SliceObject = v.InferOutput<typeof sliceShape>;
export type PolicyObject = v.InferOutput<typeof policyShape>;
export type Peer = v.InferOutput<typeof peerShape>;
export type PolicyPorts = PolicyObject["spec"]["ingress"][number]["ports"];
export type AdminObject = v.InferOutput<typeof adminShape>;
export type AdminPeer = v.InferOutput<typeof adminPeer>;
export type PoolObject = v.InferOutput<typeof poolShape>;
export type UnreadObject = v.InferOutput<typeof unreadShape>;
export type AdminPorts = v.InferOutput<typeof adminPorts>;

/** An object that is understood. */
export type KubeObject =
  | PodObject
  | NamespaceObject
  | NodeObject
  | ServiceObject
  | SliceObject
  | PolicyObject
  | AdminObject
  | PoolObject
  | UnreadObject;

/** Objects, and what of a text was none of these. */
export interface ReadObjects {
  readonly objects: readonly KubeObject[];
  /** Objects of a kind that is read, with what is wrong with each. */
  readonly mistakes: readonly string[];
}

/**
 * The objects in a JSON text: one, a list of them, or lists of lists. Objects of other kinds are
 * passed over.
 *
 * @throws {Error} when the text is no JSON.
 */
export function readObjects(text: string): ReadObjects {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error("Cannot read the objects: they are no JSON, or were cut short", {
      cause: error,
    });
  }
  const objects: KubeObject[] = [];
  const mistakes: string[] = [];
  const left: { readonly value: unknown; readonly kind: Kind }[] = [{ value, kind: {} }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const items = itemsOf(next.value);
    if (items !== undefined) {
      if (left.length + items.length + objects.length > OBJECTS_MAX) {
        throw new RangeError(`Cannot read the objects: there are more than ${OBJECTS_MAX}`);
      }
      // Objects of a list that the API itself gives lack their kind: it is in the list's.
      const kind = listKind(next.value);
      for (const item of items.toReversed()) left.push({ value: item, kind });
      continue;
    }
    take({ ...next.kind, ...record(next.value) }, objects, mistakes);
  }
  return { objects, mistakes };
}

/** What the items of a list have from it. */
export interface Kind {
  readonly kind?: string;
  readonly apiVersion?: string;
}

function listKind(value: unknown): Kind {
  const kind = kindOf(value)?.replace(/List$/, "") ?? "";
  const { apiVersion } = record(value);
  // kubectl's own lists, of anything, are called just so.
  return kind === "" ? {} : { kind, ...(typeof apiVersion === "string" ? { apiVersion } : {}) };
}

/** Reads the items of one page of a list. */
export function takeObjects(
  items: readonly unknown[],
  kind: Kind,
  objects: KubeObject[],
  mistakes: string[],
): void {
  if (objects.length + items.length > OBJECTS_MAX) {
    throw new RangeError(`Cannot read the objects: there are more than ${OBJECTS_MAX}`);
  }
  for (const item of items) take({ ...kind, ...record(item) }, objects, mistakes);
}

function take(value: Record<string, unknown>, objects: KubeObject[], mistakes: string[]): void {
  const kind = kindOf(value);
  const group = groupOf(value);
  if (kind === undefined) return;
  const unread = unreadPolicy(kind, group);
  if (unread !== undefined) value = { ...value, ...unread };
  else if (!isRead(kind) || group !== undefined && !GROUPS[kind].includes(group)) return;
  takeAs(unread?.kind ?? kind, value, objects, mistakes);
}

function takeAs(
  kind: string,
  value: Record<string, unknown>,
  objects: KubeObject[],
  mistakes: string[],
): void {
  if (!isRead(kind)) return;
  const parsed = v.safeParse<(typeof SHAPES)[keyof typeof SHAPES]>(SHAPES[kind], value);
  if (parsed.success) {
    objects.push(parsed.output);
    return;
  }
  const [issue] = parsed.issues;
  const name = v.safeParse(v.object({ metadata }), value);
  const whose = name.success ? nameOf(name.output) : "without a name";
  mistakes.push(`${kind} ${whose}: "${v.getDotPath(issue) ?? ""}": ${issue.message}`);
}

function isRead(kind: string): kind is keyof typeof SHAPES {
  return Object.hasOwn(SHAPES, kind);
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function kindOf(value: unknown): string | undefined {
  const { kind } = record(value);
  return typeof kind === "string" ? kind : undefined;
}

/** The API group; undefined where no version is told. */
function groupOf({ apiVersion }: Record<string, unknown>): string | undefined {
  if (typeof apiVersion !== "string") return undefined;
  return apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
}

function itemsOf(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value;
  const { items } = record(value);
  return Array.isArray(items) && (kindOf(value) ?? "List").endsWith("List") ? items : undefined;
}

/** `shop/web`, or the name alone for what has no namespace. */
export function nameOf({ metadata: { name, namespace } }: Pick<KubeObject, "metadata">): string {
  return namespace === "" || namespace === null ? name : `${namespace}/${name}`;
}
