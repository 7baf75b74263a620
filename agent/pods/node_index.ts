/**
 * What is found by searching through all namespaces at once: who has an address, and which
 * namespace is a pod's main one.
 *
 * @module
 */
import type { KnownNamespace } from "./view.ts";

/** Addresses that are kept; with more, those of the namespaces seen last have no owner. */
export const ADDRESSES_MAX = 65_536;

/** An index of the namespaces at one moment. */
export class NodeIndex {
  readonly #byAddress = new Map<string, KnownNamespace | undefined>();
  readonly #mains = new Map<string, KnownNamespace>();
  #refused = 0;

  constructor(namespaces: readonly KnownNamespace[]) {
    for (const namespace of namespaces) {
      this.#addMain(namespace);
      for (const { loopback, addresses } of namespace.interfaces) {
        if (!loopback) { for (const address of addresses) this.#addAddress(address, namespace); }
      }
    }
  }

  /** Addresses beyond `ADDRESSES_MAX`. */
  get refused(): number {
    return this.#refused;
  }

  /** The one namespace that has the address; undefined if several have it. */
  owner(address: string): KnownNamespace | undefined {
    return this.#byAddress.get(address);
  }

  /**
   * Whether the namespace is its pod's, or its container's, own: the one with the oldest process of
   * it. Others are made by what runs inside.
   */
  isMain(namespace: KnownNamespace): boolean {
    const whose = whoseOf(namespace);
    if (whose === undefined || namespace.goneAt !== undefined) return true;
    const main = this.#mains.get(whose);
    return main === undefined || main.inum === namespace.inum;
  }

  #addMain(namespace: KnownNamespace): void {
    const whose = whoseOf(namespace);
    if (whose === undefined) return;
    const main = this.#mains.get(whose);
    if (main === undefined || namespace.since < main.since) this.#mains.set(whose, namespace);
  }

  #addAddress(address: string, namespace: KnownNamespace): void {
    if (address.startsWith("fe80:")) return;
    const isKnown = this.#byAddress.has(address);
    if (!isKnown && this.#byAddress.size >= ADDRESSES_MAX) {
      this.#refused++;
      return;
    }
    const isSame = this.#byAddress.get(address)?.inum === namespace.inum;
    this.#byAddress.set(address, isKnown && !isSame ? undefined : namespace);
  }
}

function whoseOf({ podUid, containerIds: [containerId] }: KnownNamespace): string | undefined {
  return podUid === undefined ? containerId : `pod ${podUid}`;
}

/** Whether the address never leaves its namespace. */
export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

/** Whether a device of the namespace has the address. */
export function hasAddress({ interfaces }: KnownNamespace, address: string): boolean {
  return interfaces.some(({ addresses }) => addresses.includes(address));
}
