/**
 * Pods by all that tells them: container, UID, network namespace, address.
 *
 * @module
 */
import type { AddressOwner, Identity } from "../identity.ts";
import type { Subject } from "../naming.ts";
import type { Container, Sandbox, SandboxStatus } from "./messages.ts";

/** Sandboxes that are held, the ready ones first: a node runs some hundreds of pods. */
export const SANDBOXES_MAX = 4_096;
/** Containers that are held, exited ones too. */
export const CONTAINERS_MAX = 32_768;

/** A sandbox with its status, where that could be had. */
export interface Known extends Sandbox {
  readonly status?: SandboxStatus;
  /** Inode of the network namespace; undefined where it cannot be seen. */
  readonly netns?: number;
  /** Milliseconds of `performance.now()` at the first look that no longer found it. */
  readonly leftAt?: number;
}

/** What one look at the runtime found. */
export class Sandboxes {
  readonly known: ReadonlyMap<string, Known>;
  readonly #byContainer = new Map<string, Identity>();
  readonly #byUid = new Map<string, Identity>();
  readonly #byNetns = new Map<number, { readonly identity: Identity; readonly pod: Known }>();
  readonly #byPath = new Map<string, Identity>();
  /** Null for an address that several pods have. */
  readonly #byAddress = new Map<string, AddressOwner | null>();

  constructor(sandboxes: readonly Known[] = [], containers: readonly Container[] = []) {
    this.known = new Map(sandboxes.map((pod) => [pod.id, pod]));
    const byAge = sandboxes.toSorted((a, b) =>
      Number(a.ready) - Number(b.ready) || a.attempt - b.attempt
    );
    // What is ready and youngest comes last, and so goes before others of the same pod.
    for (const pod of byAge) {
      const identity = identityOf(pod);
      this.#byContainer.set(pod.id, identity);
      if (pod.uid !== "") this.#byUid.set(pod.uid, identity);
      if (pod.status?.netnsPath !== undefined) {
        this.#byPath.set(canonical(pod.status.netnsPath), identity);
      }
      if (!pod.ready || pod.status?.hostNetwork === true) continue;
      if (pod.netns !== undefined) this.#byNetns.set(pod.netns, { identity, pod });
      for (const address of pod.status?.addresses ?? []) {
        const owner = { pod: { namespace: pod.namespace, name: pod.name } };
        this.#byAddress.set(address, this.#byAddress.has(address) ? null : owner);
      }
    }
    for (const { id, sandboxId } of containers) {
      const identity = this.#byContainer.get(sandboxId);
      if (identity !== undefined) this.#byContainer.set(id, identity);
    }
  }

  /**
   * The pod of a container, else of a UID. Its namespace tells only where neither is known: an id
   * that this runtime lacks is another's, or younger than the last look, and so may the namespace
   * be. `isStill` says whether a pod's namespace still has the number, as numbers are used again.
   */
  identify(
    { containerId, podUid, netns, mount }: Subject,
    isStill: (pod: Known, netns: number) => boolean,
  ): Identity | undefined {
    const byContainer = containerId === undefined ? undefined : this.#byContainer.get(containerId);
    if (byContainer !== undefined) return byContainer;
    if (podUid !== undefined) return this.#byUid.get(podUid);
    if (mount !== undefined) return this.#byPath.get(canonical(mount));
    if (containerId !== undefined || netns === undefined) return undefined;
    const found = this.#byNetns.get(netns);
    return found !== undefined && isStill(found.pod, netns) ? found.identity : undefined;
  }

  owner(address: string): AddressOwner | undefined {
    return this.#byAddress.get(address) ?? undefined;
  }
}

/** `/var/run` is `/run`, and mount tables say so. */
function canonical(path: string): string {
  return path.replace(/^\/var\/run\//, "/run/");
}

function identityOf({ namespace, name, uid, labels }: Known): Identity {
  return {
    kind: "pod",
    namespace,
    name,
    ...(uid === "" ? {} : { uid }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
}

/** The first `max`, and how many were not taken. */
export function bounded<T>(items: readonly T[], max: number): readonly [T[], number] {
  return [items.slice(0, max), Math.max(0, items.length - max)];
}
