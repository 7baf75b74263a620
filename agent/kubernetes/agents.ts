/**
 * The agents of a cluster, found by their pods and asked through the API server, which passes
 * requests on to pods: whoever reaches the API reaches them, and needs no way to the nodes.
 *
 * The API server keeps the header `Authorization` to itself, so that the agent gets a token in one
 * of its own: that of a file, or one that the API makes for a few minutes and for the agents only.
 *
 * Source: Kubernetes API reference, "Proxy operations" of pods, and "TokenRequest".
 *
 * @module
 */
import * as v from "valibot";
import { PROXIED_AUTHORIZATION } from "../access.ts";
import { AUDIENCE } from "../reviews.ts";
import { ApiError } from "./client.ts";
import type { ApiClient, Limits } from "./client.ts";

/** By which label agents' pods are found, as `deploy/kubernetes/` has it. */
const SELECTOR = "app.kubernetes.io/name=podskoop";
/** The account whose token asks the agents, in their namespace: `diagnosis.yaml` makes it. */
const ACCOUNT = "podskoop-diagnosis";
/** The shortest time that the API makes a token for. */
const TOKEN_SECONDS = 600;
/** Pods in one page of a list. */
const PAGE_PODS = "200";
/** Namespaces that are named where there should be one. */
const NAMESPACES_SHOWN_MAX = 5;
/** The port that is asked where the pod names none. */
const PORT = 9102;
/** HTTP's statuses for what we may not do, and for what is not there. */
const FORBIDDEN = 403;
const NOT_FOUND = 404;

const page = v.object({
  metadata: v.object({ continue: v.nullish(v.string(), "") }),
  items: v.nullish(
    v.array(v.object({
      metadata: v.object({
        name: v.string(),
        namespace: v.string(),
        annotations: v.nullish(v.record(v.string(), v.string()), {}),
        deletionTimestamp: v.nullish(v.string()),
      }),
      spec: v.object({
        nodeName: v.nullish(v.string(), ""),
        containers: v.array(v.object({
          ports: v.nullish(
            v.array(
              v.object({ name: v.nullish(v.string(), ""), containerPort: v.number() }),
            ),
            [],
          ),
        })),
      }),
      status: v.optional(v.object({ phase: v.optional(v.string(), "") }), {}),
    })),
    [],
  ),
});

/** One agent's pod. */
export interface NodeAgent {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  /** `Running`, if it can be asked. */
  readonly phase: string;
  readonly port: number;
  /** Whether it speaks TLS. */
  readonly tls: boolean;
}

/**
 * The agents of the cluster, one for each node; those that run go before others.
 *
 * They are told a token and believed, and whoever may make pods somewhere can give them the agents'
 * label. So all are of one namespace: of `wanted`, else of the only one that has any.
 *
 * @throws {Error} when several namespaces have some, and none is wanted
 */
export async function nodeAgents(
  client: Pick<ApiClient, "read">,
  wanted?: string,
): Promise<readonly NodeAgent[]> {
  const agents = new Map<string, NodeAgent>();
  const namespaces = new Set<string>();
  let token = "";
  do {
    const parameters = {
      ...{ labelSelector: SELECTOR, limit: PAGE_PODS },
      ...(token === "" ? {} : { continue: token }),
    };
    const parsed = v.safeParse(page, await client.read({ path: "/api/v1/pods", parameters }));
    if (!parsed.success) throw new Error("Cannot read the agents' pods: the answer is no list");
    const { items, metadata } = parsed.output;
    for (const agent of (items ?? []).flatMap(agentOf)) {
      if (wanted !== undefined && agent.namespace !== wanted) continue;
      namespaces.add(agent.namespace);
      if (agents.get(agent.node)?.phase !== "Running") agents.set(agent.node, agent);
    }
    token = metadata.continue ?? "";
  } while (token !== "");
  if (namespaces.size > 1) {
    const shown = [...namespaces].sort().slice(0, NAMESPACES_SHOWN_MAX).map((name) => `"${name}"`);
    throw new Error(
      `Cannot tell which agents to trust: pods with the label "${SELECTOR}" are in ` +
        `${namespaces.size} namespaces, such as ${shown.join(", ")}: name the agents' ` +
        "by --agent-namespace",
    );
  }
  return [...agents.values()];
}

type PodOfList = NonNullable<v.InferOutput<typeof page>["items"]>[number];

function agentOf({ metadata, spec, status }: PodOfList): readonly NodeAgent[] {
  const { name, namespace, annotations, deletionTimestamp } = metadata;
  const node = spec.nodeName ?? "";
  if (node === "") return [];
  const ports = spec.containers.flatMap((container) => container.ports ?? []);
  const isLeaving = deletionTimestamp !== undefined && deletionTimestamp !== null;
  return [{
    ...{ namespace, name, node },
    phase: isLeaving ? "Terminating" : status.phase,
    port: ports.find((port) => port.name === "metrics")?.containerPort ?? PORT,
    // As Prometheus is told it.
    tls: annotations?.["prometheus.io/scheme"] === "https",
  }];
}

/**
 * A token that agents take, and nobody else.
 *
 * @throws {Error} when the API makes none; says what to do.
 */
export async function agentToken(
  client: Pick<ApiClient, "create">,
  namespace: string,
): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${ACCOUNT}/token`;
  const request = {
    ...{ apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest" },
    spec: { audiences: [AUDIENCE], expirationSeconds: TOKEN_SECONDS },
  };
  const shape = v.object({ status: v.object({ token: v.string() }) });
  try {
    return v.parse(shape, await client.create({ path, parameters: {} }, request)).status.token;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const isRefused = error.status === FORBIDDEN || error.status === NOT_FOUND;
    const remedy = isRefused
      ? ": apply deploy/kubernetes/diagnosis.yaml, or give one by --token-file"
      : "";
    throw new Error(`Cannot have a token for the agents: ${error.message}${remedy}`, {
      cause: error,
    });
  }
}

/** What an agent answers at a path, through the API server. */
export async function askAgent(
  client: Pick<ApiClient, "bytes">,
  { namespace, name, port, tls }: NodeAgent,
  path: string,
  token: string,
  limits: Limits,
): Promise<Uint8Array> {
  const pod = `${tls ? "https:" : ""}${name}:${port}`;
  const proxied = `/api/v1/namespaces/${namespace}/pods/${pod}/proxy${path}`;
  const headers = { [PROXIED_AUTHORIZATION]: `Bearer ${token}` };
  return await client.bytes({ path: proxied, parameters: {}, headers }, limits);
}
