/**
 * Snapshots of several nodes for `podskoop diagnose`: of a cluster's agents, asked through its API
 * server, or of agents that were named. A node that does not answer is missing, and said to be; the
 * diagnosis goes on without it.
 *
 * @module
 */
import { readSnapshot, type Snapshot, SNAPSHOT_BYTES_MAX } from "../../diagnose/snapshot/format.ts";
import type { Cause, End } from "../../diagnose/walk/trail.ts";
import type { Diagnosis, Way } from "../../diagnose/walk/diagnosis.ts";
import { agentToken, askAgent, type NodeAgent, nodeAgents } from "../kubernetes/agents.ts";
import type { ApiClient } from "../kubernetes/client.ts";
import { AgentClient, type ClientOptions, readToken } from "./client.ts";
import { printable } from "../log.ts";
import { apiOf, type ObjectsOptions } from "./diagnose_objects.ts";
import { Failure, type Terminal } from "./terminal.ts";

/** Nodes of one diagnosis, and how many of them are asked at the same time. */
const NODES_MAX = 256;
const AT_ONCE = 16;
/** Longest that one node's snapshot may take. */
const NODE_MILLISECONDS = 90_000;
/** Names of missing nodes that are shown in one sentence. */
const MISSING_SHOWN_MAX = 3;
/** The same in lines by themselves. */
const MISSING_TOLD_MAX = 10;

/** A node whose snapshot is not there. */
export interface MissingNode {
  readonly node: string;
  /** A sentence without a full stop. */
  readonly because: string;
}

/** What was collected, and what not. */
export interface Collected {
  readonly snapshots: readonly Snapshot[];
  readonly missing: readonly MissingNode[];
  /** Of a cluster: asks the nodes that have not been asked; absent where there are none. */
  readonly others?: () => Promise<Collected>;
}

/** One more collection beside the first. */
export async function withOthers({ snapshots, missing, others }: Collected): Promise<Collected> {
  const more = await others?.();
  return {
    snapshots: [...snapshots, ...more?.snapshots ?? []],
    missing: [...missing, ...more?.missing ?? []],
  };
}

/** How the agents of a cluster are asked. */
export interface NodesOptions extends ObjectsOptions, Pick<ClientOptions, "tokenFile"> {
  /** The namespace that the agents' pods are in. */
  readonly agentNamespace?: string;
}

/** Someone who can be asked for a snapshot. */
export interface Source {
  readonly node: string;
  readonly bytes: () => Promise<Uint8Array>;
}

/** Asks all, some at a time; those beyond the limit are missing. */
export async function collected(
  sources: readonly Source[],
  nodesMax = NODES_MAX,
): Promise<Collected> {
  const missing: MissingNode[] = sources.slice(nodesMax).map(({ node }) => ({
    node,
    because: `at most ${nodesMax} nodes are asked`,
  }));
  const waiting = sources.slice(0, nodesMax).entries();
  const snapshots: Snapshot[][] = [];
  const work = async () => {
    // Each takes the next that no other has taken.
    for (const [index, { node, bytes }] of waiting) {
      try {
        snapshots[index] = [readSnapshot(await bytes())];
      } catch (error) {
        missing.push({ node, because: error instanceof Error ? error.message : String(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  missing.sort((a, b) => a.node < b.node ? -1 : 1);
  return { snapshots: snapshots.flat(), missing };
}

/**
 * The snapshots of the agents that a cluster's API knows, at first of those on the nodes that are
 * concerned, if that is known; undefined where it has none at all. Those of the nodes that have no
 * agent are missing.
 *
 * @throws {Failure} when the API cannot be asked, or gives no token.
 */
export async function ofCluster(
  { tokenFile, agentNamespace, ...api }: NodesOptions,
  nodes: Iterable<string> = [],
  concerned?: ReadonlySet<string>,
): Promise<Collected | undefined> {
  try {
    using client = await apiOf(api);
    const agents = await nodeAgents(client, agentNamespace);
    const [first] = agents;
    if (first === undefined) {
      if (agentNamespace === undefined) return undefined;
      throw new Failure(`Cannot find any agent in the namespace "${agentNamespace}"`);
    }
    const token = tokenFile === undefined
      ? await agentToken(client, first.namespace)
      : readToken(tokenFile);
    const watched = new Set(agents.map(({ node }) => node));
    const unwatched = [...nodes].filter((node) => !watched.has(node));
    const ask = async (through: ApiClient, wanted: (node: string) => boolean) => {
      const asked = agents.filter(({ node }) => wanted(node));
      const found = await collected(asked.map((agent) => sourceOf(through, agent, token)));
      const without = unwatched.filter(wanted)
        .map((node) => ({ node, because: "the cluster has no agent there" }));
      return { snapshots: found.snapshots, missing: [...found.missing, ...without] };
    };
    const isWanted = (node: string) => concerned?.has(node) ?? true;
    const found = await ask(client, isWanted);
    if (agents.every(({ node }) => isWanted(node)) && unwatched.every(isWanted)) return found;
    const others = async () => {
      using again = await apiOf(api);
      return await ask(again, (node) => !isWanted(node));
    };
    return { ...found, others };
  } catch (error) {
    if (error instanceof Failure || !(error instanceof Error)) throw error;
    throw new Failure(error.message);
  }
}

function sourceOf(client: ApiClient, agent: NodeAgent, token: string): Source {
  const limits = { milliseconds: NODE_MILLISECONDS, bytesMax: SNAPSHOT_BYTES_MAX };
  return {
    node: agent.node,
    bytes: async () => {
      if (agent.phase !== "Running") {
        throw new Error(`Its agent "${agent.name}" is ${agent.phase || "in no phase"}`);
      }
      return await askAgent(client, agent, "/snapshot", token, limits);
    },
  };
}

/** The snapshots of agents that were named one by one. */
export async function ofAgents(
  agents: readonly ClientOptions["agent"][],
  options: ClientOptions,
): Promise<Collected> {
  return await collected(agents.map((agent) => {
    const client = new AgentClient({ ...options, agent });
    const bytes = async () => {
      using asked = client;
      const signal = AbortSignal.timeout(NODE_MILLISECONDS);
      return await (await asked.get("/snapshot", {}, signal)).bytes();
    };
    return { node: client.where, bytes };
  }));
}

/** Names the nodes that are missing, for people. */
export function tellMissing(
  missing: readonly MissingNode[],
  terminal: Pick<Terminal, "err">,
): void {
  for (const { node, because } of missing.slice(0, MISSING_TOLD_MAX)) {
    terminal.err(`podskoop: no snapshot of "${printable(node)}": ${printable(because)}\n`);
  }
  const more = missing.length - MISSING_TOLD_MAX;
  if (more > 0) terminal.err(`podskoop: no snapshot of ${more} more nodes\n`);
}

/** The diagnosis, with why nodes are missing wherever that is why it does not know. */
export function withMissing(diagnosis: Diagnosis, missing: readonly MissingNode[]): Diagnosis {
  if (missing.length === 0 || diagnosis.verdict !== "unknown") return diagnosis;
  const shown = missing.slice(0, MISSING_SHOWN_MAX)
    .map(({ node, because }) => `"${node}": ${because}`);
  const more = missing.length - shown.length;
  const text = `no snapshot of ${shown.join("; ")}${more > 0 ? `; and of ${more} more` : ""}`;
  const told = (cause: Cause): Cause =>
    cause.id === "leaves-snapshot" ? { ...cause, what: `${cause.what}; ${text}` } : cause;
  const toldEnd = (end: End): End =>
    end.cause === undefined ? end : { ...end, cause: told(end.cause) };
  const toldWay = ({ request, answers }: Way): Way => ({
    request: toldEnd(request),
    answers: answers.map(toldEnd),
  });
  return {
    ...diagnosis,
    ways: diagnosis.ways.map(toldWay),
    ...(diagnosis.cause === undefined ? {} : { cause: `${diagnosis.cause}; ${text}` }),
  };
}
