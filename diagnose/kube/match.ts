/**
 * What all kinds of policies ask of a connection, in three values.
 *
 * @module
 */
import { type Cluster, containersOf, type End } from "./cluster.ts";
import type { Selector } from "./objects.ts";
import { selects } from "./selector.ts";

/** What is asked. */
export interface Connecting {
  readonly source: End;
  readonly destination: End;
  readonly protocol: "TCP" | "UDP" | "SCTP" | "ICMP";
  readonly port?: number;
}

export type Direction = "ingress" | "egress";

/** Three values: what is unknown on one side stays so unless the other side decides. */
export type Match = boolean | "unknown";

/** Both must hold. */
export function both(one: Match, other: Match): Match {
  if (one === false || other === false) return false;
  return one === true && other === true ? true : "unknown";
}

/** One must hold. */
export function any(matches: Iterable<Match>): Match {
  let found: Match = false;
  for (const match of matches) {
    if (match === true) return true;
    if (match === "unknown") found = match;
  }
  return found;
}

/** Whether a selector selects a namespace; of one that the objects lack, only its name is known. */
export function namespaceSelected(
  cluster: Cluster,
  selector: Selector,
  namespace: string,
): Match {
  const name = { "kubernetes.io/metadata.name": namespace };
  const known = cluster.namespaceLabels(namespace);
  if (known !== undefined) return selects(selector, { ...name, ...known });
  const keys = [
    ...Object.keys(selector.matchLabels),
    ...selector.matchExpressions.map(({ key }) => key),
  ];
  return keys.every((key) => key in name) ? selects(selector, name) : "unknown";
}

/** Whether the port is the one that a container of the receiving pod calls so. */
export function namedPort(
  { destination, port }: Connecting,
  name: string,
  protocol?: string,
): boolean {
  const containers = destination.pod === undefined ? [] : containersOf(destination.pod);
  return containers.flatMap(({ ports }) => ports).some((each) =>
    each.name === name && each.containerPort === port &&
    (protocol === undefined || each.protocol === protocol)
  );
}
