/**
 * Names for namespaces, from what the kernel alone tells.
 *
 * @module
 */
import { printable } from "../log.ts";
import type { PodView } from "../surface.ts";
import type { Identity, IdentitySource } from "./identity.ts";
import type { KnownNamespace } from "./view.ts";

/** A longer name is cut: Kubernetes allows 253 characters, and other sources know no bound. */
export const NAME_LENGTH_MAX = 253;

/** Container engines show this much of an id. */
const CONTAINER_ID_SHOWN = 12;

/** The host, and those that nothing is known of. */
export const HOST: Identity = { kind: "host", namespace: "", name: "" };
export const UNKNOWN: Identity = { kind: "unknown", namespace: "unknown", name: "" };

/** Mounts of a namespace that are asked about: one is usual. */
const MOUNTS_ASKED_MAX = 4;

/** What a source of names is asked about. */
export type Subject = Parameters<IdentitySource["identify"]>[0];

/** A name that can be shown and kept: bounded, and without control characters. */
export function safeName(name: string): string {
  const shown = printable(name);
  return shown.length <= NAME_LENGTH_MAX
    ? shown
    : Array.from(shown).slice(0, NAME_LENGTH_MAX).join("");
}

/** A pod whose name nobody knows. */
export function ofPod(podUid: string): Identity {
  return { kind: "pod-uid", namespace: "pod-uid", name: podUid, uid: podUid };
}

/** A container whose name nobody knows. */
export function ofContainer(id: string): Identity {
  const isHash = /^[0-9a-f]{32,}/.test(id);
  const name = isHash ? id.slice(0, CONTAINER_ID_SHOWN) : id;
  return { kind: "container", namespace: "container", name };
}

/**
 * The name of a namespace. `isMain` says that it is the one of its pod or container; another one,
 * of a container engine inside of a pod say, goes by what is known of its own.
 */
export function nameOf(namespace: KnownNamespace, isMain: boolean): Identity {
  const { host, podUid, containerIds, innerId, mounts, first } = namespace;
  if (host) return HOST;
  if (isMain && podUid !== undefined) return ofPod(podUid);
  const containerId = isMain ? containerIds[0] : innerId;
  if (containerId !== undefined) return ofContainer(containerId);
  const shown = mounts.find((path) => /^(\/var)?\/run\/netns\/[^/]+$/.test(path));
  if (shown !== undefined) return ofMount(shown);
  if (first !== undefined) {
    return { kind: "process", namespace: "process", name: `${first.comm}-${first.pid}` };
  }
  const [mount] = mounts;
  return mount === undefined ? UNKNOWN : ofMount(mount);
}

function ofMount(path: string): Identity {
  return { kind: "netns", namespace: "netns", name: path.slice(path.lastIndexOf("/") + 1) };
}

/**
 * What to ask the sources about a namespace. A number that is free again may be another's by now.
 */
export function subjectsOf(namespace: KnownNamespace, isMain: boolean): readonly Subject[] {
  const { inum, podUid, containerIds, innerId, mounts, goneAt } = namespace;
  const netns = goneAt === undefined ? { netns: inum } : {};
  const inner = innerId === undefined ? {} : { containerId: innerId };
  if (!isMain) return [{ ...netns, ...inner }];
  const pod = podUid === undefined ? {} : { podUid };
  if (containerIds.length === 0) {
    // A pod may have gone before any process of it was seen.
    const asked = podUid === undefined ? mounts.slice(0, MOUNTS_ASKED_MAX) : [];
    return [{ ...netns, ...pod }, ...asked.map((mount) => ({ mount }))];
  }
  return containerIds.map((containerId) => ({ ...netns, ...pod, containerId }));
}

/** How `/pods` shows a namespace. */
export function podViewOf(namespace: KnownNamespace, identity: Identity): PodView {
  const { inum, cookie, interfaces, pids, containerIds, runtime, goneAt } = namespace;
  const addresses = interfaces.filter(({ loopback }) => !loopback).flatMap((device) =>
    device.addresses
  );
  return {
    ...identity,
    netns: inum,
    netnsCookie: String(cookie),
    addresses,
    pids,
    containerIds,
    ...(runtime === undefined ? {} : { runtime }),
    ...(goneAt === undefined ? {} : { goneAt: new Date(goneAt * 1000).toISOString() }),
  };
}
