/**
 * Reads a cluster's objects from the Kubernetes API, once.
 *
 * @module
 */
import * as v from "valibot";
import { ApiError } from "@agent/kubernetes/client.ts";
import type { ApiClient } from "@agent/kubernetes/client.ts";
import { type KubeObject, type ReadObjects, takeObjects } from "./objects.ts";

/** Objects in one page of a list. */
const PAGE_OBJECTS = 200;

/** The kinds that are read, and where. The last two exist only where someone has added them. */
const LISTS = [
  ["Pod", "/api/v1/pods"],
  ["Namespace", "/api/v1/namespaces"],
  ["Node", "/api/v1/nodes"],
  ["Service", "/api/v1/services"],
  ["EndpointSlice", "/apis/discovery.k8s.io/v1/endpointslices"],
  ["NetworkPolicy", "/apis/networking.k8s.io/v1/networkpolicies"],
  ["AdminNetworkPolicy", "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies"],
  [
    "BaselineAdminNetworkPolicy",
    "/apis/policy.networking.k8s.io/v1alpha1/baselineadminnetworkpolicies",
  ],
] as const;

/** HTTP's statuses for kinds that a cluster does not have, and that we may not read. */
const NOT_FOUND = 404;
const FORBIDDEN = 403;

const page = v.object({
  metadata: v.object({ continue: v.nullish(v.string(), "") }),
  items: v.nullish(v.array(v.unknown()), []),
});

/**
 * All objects that a diagnosis reads. What may not be read is a mistake among the others; without
 * pods nothing can be said.
 *
 * @throws {Error} when the API cannot be asked, or has no pods to read.
 */
export async function clusterObjects(client: Pick<ApiClient, "read">): Promise<ReadObjects> {
  const objects: KubeObject[] = [];
  const mistakes: string[] = [];
  for (const [kind, path] of LISTS) {
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
    } catch (error) {
      if (!(error instanceof ApiError) || kind === "Pod") throw error;
      if (error.status === NOT_FOUND) continue;
      if (error.status !== FORBIDDEN) throw error;
      mistakes.push(error.message);
    }
  }
  return { objects, mistakes };
}
