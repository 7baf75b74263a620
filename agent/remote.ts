/**
 * Who the far end of a pod's traffic is, in the words of labels: a name where one is known, else
 * the network that its address belongs to.
 *
 * @module
 */
import type { AddressOwner } from "./pods/identity.ts";
import { address as addressCodec } from "./schema.ts";

/** The labels of a metric that tell the far end; a card lists those that it wants. */
export const REMOTE_LABELS = ["remote_kind", "remote_namespace", "remote_name"] as const;

/** One of them. */
export type RemoteLabel = typeof REMOTE_LABELS[number];

/** Their values: `pod`, `workload`, `service`, `node` or `network`, and its name. */
export type Remote = Readonly<Record<RemoteLabel, string>>;

/** How much is said of an address. */
export interface RemoteDetail {
  /** Whether pods, services and nodes are named; without, there are only networks. */
  readonly names: boolean;
  /** Whether a pod is told by what made it, where that is known: `Deployment/web`. */
  readonly workloads: boolean;
  /** Bits of an address that make its network. */
  readonly ipv4Prefix: number;
  readonly ipv6Prefix: number;
}

/** The labels of the far end with an address, which `owner` has, if anybody known does. */
export function remoteOf(
  address: string,
  owner: AddressOwner | undefined,
  detail: RemoteDetail,
): Remote {
  if (detail.names) {
    if (owner?.pod !== undefined) {
      const { namespace, name, workload } = owner.pod;
      return detail.workloads && workload !== undefined
        ? labels("workload", namespace, workload)
        : labels("pod", namespace, name);
    }
    if (owner?.service !== undefined) {
      return labels("service", owner.service.namespace, owner.service.name);
    }
    if (owner?.node !== undefined) return labels("node", "", owner.node);
  }
  return labels("network", "", networkOf(address, detail));
}

/** Names of far ends that are kept; then they are forgotten, and found anew. */
const NAMES_MAX = 65_536;

/** One object for each far end, so that two of them can be compared at once. */
export class RemoteNames {
  readonly #known = new Map<string, Remote>();

  /** The object that stands for a far end. */
  same(remote: Remote): Remote {
    const key = `${remote.remote_kind} ${remote.remote_namespace} ${remote.remote_name}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= NAMES_MAX) this.#known.clear();
    this.#known.set(key, remote);
    return remote;
  }
}

function labels(kind: string, namespace: string, name: string): Remote {
  return { remote_kind: kind, remote_namespace: namespace, remote_name: name };
}

const IPV4_BITS = 32;
const IPV6_BITS = 128;

/** `10.1.2.3` in networks of 16 bits is `10.1.0.0/16`. */
export function networkOf(address: string, detail: RemoteDetail): string {
  const isIpv6 = address.includes(":");
  const prefix = isIpv6 ? detail.ipv6Prefix : detail.ipv4Prefix;
  if (prefix === 0) return isIpv6 ? "::/0" : "0.0.0.0/0";
  if (prefix >= (isIpv6 ? IPV6_BITS : IPV4_BITS)) return `${address}/${prefix}`;
  const bytes = isIpv6 ? ipv6Bytes(address) : ipv4Bytes(address);
  const first = isIpv6 ? 0 : IPV6_BITS - IPV4_BITS;
  for (let bit = first + prefix; bit < IPV6_BITS; bit++) {
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) & ~(0x80 >> (bit & 7));
  }
  return `${addressCodec.read(new DataView(bytes.buffer), 0)}/${prefix}`;
}

/** As `struct ip_addr` has it: `::ffff:a.b.c.d`. */
function ipv4Bytes(address: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(16));
  bytes.set([0xff, 0xff, ...address.split(".").map(Number)], 10);
  return bytes;
}

function ipv6Bytes(address: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(16));
  const view = new DataView(bytes.buffer);
  const [head = "", tail = ""] = address.split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":");
  const [front, back] = [groups(head), groups(tail)];
  front.forEach((group, index) => view.setUint16(index * 2, Number.parseInt(group, 16)));
  back.forEach((group, index) =>
    view.setUint16(16 - (back.length - index) * 2, Number.parseInt(group, 16))
  );
  return bytes;
}
