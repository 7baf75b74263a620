/**
 * What is known of a network namespace, made from what one scan found in it and what was known
 * before.
 *
 * @module
 */
import type { NetnsMount } from "../namespaces/mounts.ts";
import type { Interface } from "../namespaces/netlink.ts";
import type { Process } from "../namespaces/processes.ts";
import type { Namespace } from "./identity.ts";

/** A namespace, and what was seen inside of it. */
export interface KnownNamespace extends Namespace {
  /** Seconds since the epoch at which it was first seen. */
  readonly seenAt: number;
  /** The process that was started first, of those that were there when any was first seen. */
  readonly first?: { readonly pid: number; readonly comm: string };
  /**
   * When the oldest of the processes that tell its pod or container was started, in clock ticks
   * since boot.
   */
  readonly since: number;
  /** The innermost container of its processes, where a container engine runs in a pod. */
  readonly innerId?: string;
  readonly interfaces: readonly Interface[];
}

/** What is living in one namespace, by one scan. */
export interface Found {
  readonly processes: Process[];
  readonly mounts: NetnsMount[];
}

/** What never changes of a namespace. */
export interface Birth {
  readonly inum: number;
  readonly host: boolean;
  /** The path that always leads to it, if there is one: the host's. */
  readonly path?: string;
  readonly seenAt: number;
}

/** Cgroups tell of the host only that containers run on it. */
const HOSTS_OWN = { containerIds: [], since: 0 } as const;

/**
 * The namespace as it is now. What its processes told of pod and container stays true when they
 * end.
 */
export function viewOf(
  { inum, host, path, seenAt }: Birth,
  cookie: bigint,
  { processes, mounts }: Found,
  proc: string,
  before: KnownNamespace | undefined,
): KnownNamespace {
  const oldest = processes.toSorted((a, b) => a.start - b.start || a.pid - b.pid);
  const first = firstOf(oldest, before);
  return {
    inum,
    cookie,
    host,
    path: path ?? mounts[0]?.opens ?? pathOfMember(oldest, proc) ?? before?.path ?? "",
    pids: processes.map(({ pid }) => pid).sort((a, b) => a - b),
    mounts: mounts.map(({ path }) => path),
    seenAt,
    ...(first === undefined ? {} : { first }),
    ...(host ? HOSTS_OWN : told(oldest) ?? keptOf(before)),
    interfaces: before?.interfaces ?? [],
  };
}

function pathOfMember([oldest]: readonly Process[], proc: string): string | undefined {
  return oldest === undefined ? undefined : `${proc}/${oldest.pid}/ns/net`;
}

/**
 * A process names itself anew when it executes a program, so the name is followed while the process
 * lives.
 */
function firstOf(oldest: readonly Process[], before: KnownNamespace | undefined) {
  const known = before?.first;
  if (known === undefined) {
    return oldest[0] === undefined ? undefined : { pid: oldest[0].pid, comm: oldest[0].comm };
  }
  const alive = oldest.find(({ pid }) => pid === known.pid);
  return alive === undefined ? known : { pid: alive.pid, comm: alive.comm };
}

type Told = Pick<KnownNamespace, "podUid" | "containerIds" | "runtime" | "since" | "innerId">;

/**
 * The pod is that of the oldest process that has one: the sandbox's, and not that of a tool which
 * has entered from another pod.
 */
function told(oldest: readonly Process[]): Told | undefined {
  const teller = oldest.find(({ podUid }) => podUid !== undefined) ??
    oldest.find(({ containerId }) => containerId !== undefined);
  if (teller === undefined) return undefined;
  const { podUid, facts: { runtime, innerId } } = teller;
  const containerIds = new Set<string>();
  for (const process of oldest) {
    if (process.containerId !== undefined && process.podUid === podUid) {
      containerIds.add(process.containerId);
    }
  }
  return {
    containerIds: [...containerIds],
    since: teller.start,
    ...(podUid === undefined ? {} : { podUid }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(innerId === undefined ? {} : { innerId }),
  };
}

function keptOf(before: KnownNamespace | undefined): Told {
  if (before === undefined) return { containerIds: [], since: 0 };
  const { podUid, containerIds, runtime, since, innerId } = before;
  return {
    containerIds,
    since,
    ...(podUid === undefined ? {} : { podUid }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(innerId === undefined ? {} : { innerId }),
  };
}
