/**
 * A diagnosis in the predecessor's JSON (`skoop --format json`), for what reads that.
 *
 * Its keys are kept, with what it left out or empty filled in: suspicions are findings, and a list
 * without anything in it is empty instead of null.
 *
 * @module
 */
import { formatAddress } from "../packet/address.ts";
import type { Diagnosis } from "../walk/diagnosis.ts";
import type { Namespace } from "../walk/namespace.ts";
import type { End } from "../walk/trail.ts";
import { type Finding, findingsOf } from "./finding.ts";

/** Its levels: 0 INFO, 1 WARNING, 2 CRITICAL, 3 FATAL. */
const LEVELS: Readonly<Record<Finding["severity"], number>> = { hint: 0, warning: 1, critical: 3 };

interface Suspicion {
  readonly level: number;
  readonly message: string;
}

interface Link {
  readonly id: string;
  readonly source: string;
  readonly destination: string;
  readonly type: "veth" | "infra";
  readonly action: string;
  readonly source_attributes: Readonly<Record<string, string>>;
  readonly destination_attributes: Readonly<Record<string, string>>;
  readonly packet: {
    readonly source: string;
    readonly destination: string;
    readonly dport: number;
    readonly protocol: string;
  };
}

/** The whole. */
export interface PredecessorDocument {
  readonly cluster: { readonly suspicions: readonly Suspicion[] };
  readonly nodes: readonly {
    readonly id: string;
    readonly type: "pod" | "node" | "generic";
    readonly suspicions: readonly Suspicion[];
    readonly actions: Readonly<Record<string, { readonly type: string }>>;
  }[];
  readonly links: readonly Link[];
}

/** The document of a diagnosis: the requests' ways, as the predecessor walked no answers. */
export function predecessorDocument(diagnosis: Diagnosis): PredecessorDocument {
  const findings = findingsOf(diagnosis);
  const namespaces = new Map<string, Namespace>();
  const links = new Map<string, Link>();
  const actions = new Map<string, Record<string, { readonly type: string }>>();
  for (const { request } of diagnosis.ways) {
    addWay(request, diagnosis.question.protocol, { namespaces, links, actions });
  }
  const isOfCluster = ({ id }: Finding) => /^(policy|service|node)-/.test(id);
  return {
    cluster: { suspicions: findings.filter(isOfCluster).map(suspicion) },
    nodes: Array.from(namespaces, ([key, namespace]) => ({
      id: idOf(namespace),
      type: typeOf(namespace),
      suspicions: findings.filter((finding) =>
        !isOfCluster(finding) && `${finding.where.node}/${finding.where.netns}` === key
      ).map(suspicion),
      actions: actions.get(key) ?? {},
    })),
    links: [...links.values()],
  };
}

interface Found {
  readonly namespaces: Map<string, Namespace>;
  readonly links: Map<string, Link>;
  readonly actions: Map<string, Record<string, { readonly type: string }>>;
}

function addWay(
  { trail: { steps }, verdict }: End,
  protocol: string,
  { namespaces, links, actions }: Found,
): void {
  const act = (namespace: Namespace, link: string, type: string) => {
    actions.set(namespace.key, { ...actions.get(namespace.key), [link]: { type } });
  };
  let came = "";
  for (const [index, step] of steps.entries()) {
    const { namespace } = step;
    namespaces.set(namespace.key, namespace);
    const next = steps[index + 1];
    if (next === undefined) {
      if (verdict === "delivered") act(namespace, came, "serve");
      continue;
    }
    if (next.namespace === namespace) continue;
    const isVeth = namespace.node === next.namespace.node;
    const packet = {
      source: formatAddress(step.packet.source),
      destination: formatAddress(step.packet.destination),
      dport: step.packet.destinationPort ?? 0,
      protocol,
    };
    const [source, destination] = [idOf(namespace), idOf(next.namespace)];
    const type = isVeth ? "veth" : "infra";
    const id = `${type},${source},${destination},${packet.destination}:${packet.dport}`;
    const action = came === "" ? "send" : "forward";
    links.set(id, {
      ...{ id, source, destination, type, action, packet },
      source_attributes: step.device === undefined ? {} : { if: step.device },
      destination_attributes: next.device === undefined ? {} : { if: next.device },
    });
    // It keeps what a node does with a packet by the link that the packet came by.
    act(namespace, came, action);
    came = id;
  }
}

function suspicion({ severity, message }: Finding): Suspicion {
  return { level: LEVELS[severity], message };
}

function idOf({ node, label, snapshot: { host, owner } }: Namespace): string {
  if (host) return node;
  return owner.kind === "pod" ? `${owner.namespace}/${owner.name}` : label;
}

function typeOf({ snapshot: { host, owner } }: Namespace): "pod" | "node" | "generic" {
  return host ? "node" : owner.kind === "pod" ? "pod" : "generic";
}
