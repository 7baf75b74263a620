/**
 * Which nodes of a cluster a connection is about: its ends' and, of a service, its backends'.
 *
 * @module
 */
import type { Address } from "../packet/address.ts";
import type { Question } from "../walk/diagnosis.ts";
import type { Cluster, End } from "./cluster.ts";
import { intentOf } from "./service.ts";

/**
 * The nodes that packets of these questions should meet; undefined where the objects do not tell
 * whose an end is. Packets may go other ways, which the walk then does not know.
 */
export function nodesOf(
  cluster: Cluster,
  questions: readonly Question[],
): ReadonlySet<string> | undefined {
  const found = new Set<string>();
  for (const question of questions) {
    const { source, destination, protocol, port = 0, lookup } = question;
    const node = nodeOf(cluster.endOf(source));
    if (node === undefined || lookup !== undefined) return undefined;
    found.add(node);
    const named = protocol === "icmp" ? "ICMP" : protocol === "udp" ? "UDP" : "TCP";
    for (const end of endsOf(cluster, { source, destination, port, protocol: named, node })) {
      if (end === undefined) return undefined;
      found.add(end);
    }
  }
  return found;
}

interface Connection {
  readonly source: Address;
  readonly destination: Address;
  readonly port: number;
  readonly protocol: string;
  readonly node: string;
}

/** The nodes at the far end; undefined where that is nobody's. */
function endsOf(
  cluster: Cluster,
  { source, destination, port, protocol, node }: Connection,
): readonly (string | undefined)[] {
  const from = cluster.endOf(source);
  const intent = intentOf(cluster, { address: destination, port, protocol, node, source: from });
  const backends = intent?.backends.map((each) => each.node === "" ? undefined : each.node) ?? [];
  const end = nodeOf(cluster.endOf(destination));
  if (intent !== undefined) return end === undefined ? backends : [end, ...backends];
  return [end];
}

function nodeOf({ pod, node }: End): string | undefined {
  const name = pod?.spec.nodeName ?? node ?? "";
  return name === "" ? undefined : name;
}
