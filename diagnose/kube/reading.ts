/**
 * Reads a cluster's objects from the Kubernetes API, once.
 *
 * @module
 */
import * as v from "valibot";
import { ApiError } from "@agent/kubernetes/client.ts";
import type { ApiClient } from "@agent/kubernetes/client.ts";
import { type Kind, type KubeObject, type ReadObjects, takeObjects } from "./objects.ts";
import { UNREAD_KINDS } from "./unread.ts";

/** Objects in one page of a list. */
const PAGE_OBJECTS = 200;

/** The kinds that are read, and where. The last two exist only where someone has added them. */
const LISTS = [
  ["Pod", "/api/v1/pods"],
  ["Namespace", "/api/v1/namespaces"],
  ["Node", "/api/v1/nodes"],
  ["Service", "/api/v1/services"],
  ["EndpointSlice", "/apis/discovery.k8s.io/v1/endpointslices"],
  // Before Kubernetes 1.21; asked for only where the other is not known.
  ["EndpointSlice", "/apis/discovery.k8s.io/v1beta1/endpointslices"],
  ["NetworkPolicy", "/apis/networking.k8s.io/v1/networkpolicies"],
  ["AdminNetworkPolicy", "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies"],
  [
    "BaselineAdminNetworkPolicy",
    "/apis/policy.networking.k8s.io/v1alpha1/baselineadminnetworkpolicies",
  ],
] as const;

/** The groups of the API, which everyone who is known may ask for. */
const GROUPS_PATH = "/apis";

/** Kinds that only some networks have, by the paths of their lists. */
const SOME_LISTS: readonly (readonly [Kind & { readonly apiVersion: string }, string])[] = [
  { kind: "IPPool", resource: "ippools", group: "crd.projectcalico.org", version: "v1" },
  ...UNREAD_KINDS,
].map(({ kind, resource, group, version }) => [
  { kind, apiVersion: `${group}/${version}` },
  `/apis/${group}/${version}/${resource}`,
]);

/** HTTP's statuses for kinds that a cluster does not have, and that we may not read. */
const NOT_FOUND = 404;
const FORBIDDEN = 403;

const page = v.object({
  metadata: v.object({ continue: v.nullish(v.string(), "") }),
  items: v.nullish(v.array(v.unknown()), []),
});

const groups = v.object({
  groups: v.array(v.object({ versions: v.array(v.object({ groupVersion: v.string() })) })),
});

/**
 * All objects that a diagnosis reads. What may not be read is a mistake among the others; without
 * pods nothing can be said.
 *
 * @throws {Error} when the API cannot be asked, or has no pods to read.
 */
export async function clusterObjects(client: Pick<ApiClient, "read">): Promise<ReadObjects> {
  const read = { objects: new Array<KubeObject>(), mistakes: new Array<string>() };
  const taken = new Set<string>();
  for (const [kind, path] of LISTS) {
    if (taken.has(kind)) continue;
    if (await readList(client, { kind }, path, read)) taken.add(kind);
  }
  const there = await groupVersions(client, read.mistakes);
  for (const [kind, path] of SOME_LISTS) {
    if (there.has(kind.apiVersion)) await readList(client, kind, path, read);
  }
  return read;
}

/** Reads one list; whether there is one. */
async function readList(
  client: Pick<ApiClient, "read">,
  kind: Kind,
  path: string,
  { objects, mistakes }: { readonly objects: KubeObject[]; readonly mistakes: string[] },
): Promise<boolean> {
  try {
    let token = "";
    do {
      const limit = { limit: `${PAGE_OBJECTS}` };
      const parameters = token === "" ? limit : { ...limit, continue: token };
      const parsed = v.safeParse(page, await client.read({ path, parameters }));
      if (!parsed.success) throw new Error(`Cannot read ${path}: the answer is no list`);
      takeObjects(parsed.output.items, kind, objects, mistakes);
      token = parsed.output.metadata.continue;
    } while (token !== "");
    return true;
  } catch (error) {
    if (kind.kind === "Pod") throw error;
    return passOver(error, mistakes);
  }
}

/** What is not there is nothing, and false; what may not be read is told; all else is an error. */
function passOver(error: unknown, mistakes: string[]): boolean {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === NOT_FOUND) return false;
  if (error.status !== FORBIDDEN) throw error;
  mistakes.push(error.message);
  return true;
}

/** The groups that this API has, each with its version. */
async function groupVersions(
  client: Pick<ApiClient, "read">,
  mistakes: string[],
): Promise<ReadonlySet<string>> {
  try {
    const parsed = v.safeParse(groups, await client.read({ path: GROUPS_PATH, parameters: {} }));
    if (!parsed.success) throw new Error(`Cannot read ${GROUPS_PATH}: the answer has no groups`);
    const all = parsed.output.groups.flatMap(({ versions }) => versions);
    return new Set(all.map(({ groupVersion }) => groupVersion));
  } catch (error) {
    passOver(error, mistakes);
    return new Set();
  }
}
