/**
 * WireGuard: which peer may have a packet, and where its end is.
 *
 * Source: the kernel's `wg_xmit`, `wg_allowedips_lookup_dst`, `wg_packet_consume_data_done`.
 *
 * @module
 */
import {
  type Address,
  inPrefix,
  parseAddress,
  parsePrefix,
  type Prefix,
} from "../packet/address.ts";
import type { Namespace } from "./namespace.ts";

/** Someone that a device exchanges packets with. */
export interface Peer {
  readonly key: string;
  /** What it may send from, and be sent to. */
  readonly allowed: readonly Prefix[];
  /** Where it was last heard from, or is configured to be. */
  readonly endpoint?: { readonly address: Address; readonly port: number };
}

/** The peers of a device, from `wg show all allowed-ips` and `wg show all endpoints`. */
export function peersOf({ snapshot }: Namespace, device: string): readonly Peer[] {
  const endpoints = linesOf(snapshot.wireguardEndpoints, device);
  return linesOf(snapshot.wireguardAllowedIps, device).map(([key = "", texts = ""]) => {
    const endpoint = endpointOf(endpoints.find(([other]) => other === key)?.[1] ?? "");
    return {
      key,
      allowed: texts.split(" ").flatMap((text) => parsePrefix(text) ?? []),
      ...(endpoint === undefined ? {} : { endpoint }),
    };
  });
}

/** Key and the rest of each line that is of a device. */
function linesOf(text = "", device: string): readonly (readonly string[])[] {
  return text.split("\n").map((line) => line.split("\t"))
    .filter(([name, key]) => name === device && key !== undefined)
    .map(([, ...rest]) => rest);
}

function endpointOf(text: string): Peer["endpoint"] {
  const [, host = "", port = ""] = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(text) ?? [];
  const address = parseAddress(host);
  return address === undefined ? undefined : { address, port: Number(port) };
}

/** The peer that an address belongs to: of the longest prefix that has it. */
export function peerOf(namespace: Namespace, device: string, address: Address): Peer | undefined {
  let best: { readonly peer: Peer; readonly length: number } | undefined;
  for (const peer of peersOf(namespace, device)) {
    for (const prefix of peer.allowed) {
      if (prefix.address.family !== address.family || !inPrefix(address, prefix)) continue;
      if (best === undefined || prefix.length > best.length) best = { peer, length: prefix.length };
    }
  }
  return best?.peer;
}
