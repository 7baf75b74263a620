/**
 * Who is behind a network namespace or a process, and the seam where sources of names plug in.
 *
 * @module
 */
import type { Outcome } from "../outcome.ts";

/**
 * Whose traffic it is.
 *
 * | kind | namespace | name |
 * |---|---|---|
 * | `host` | "" | "" |
 * | `pod` | the Kubernetes namespace | the pod's name |
 * | `pod-uid` | `pod-uid` | the pod's UID: its cgroup is known, its name is not |
 * | `container` | `container` | the container's name, else the first 12 digits of its id |
 * | `netns` | `netns` | the name that `ip netns` shows |
 * | `process` | `process` | `COMM-PID` of the namespace's first process |
 * | `unknown` | `unknown` | "": nothing is known of the namespace |
 */
export interface Identity {
  readonly kind: "host" | "pod" | "pod-uid" | "container" | "netns" | "process" | "unknown";
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `Deployment/web`: what made a pod, as the Kubernetes API tells. */
  readonly workload?: string;
}

/**
 * What is known of a network namespace from the kernel alone; a source of names gets it to name.
 */
export interface Namespace {
  /** Inode number, as in `/proc/PID/ns/net`. */
  readonly inum: number;
  /** `SO_NETNS_COOKIE`: unique until the next boot; 0 where the kernel has none (before 5.14). */
  readonly cookie: bigint;
  readonly host: boolean;
  /**
   * Where it can be opened: `/proc/PID/ns/net` of a member, or a mount such as `/run/netns/blue`.
   */
  readonly path: string;
  /** Processes (not threads) that live in it, ascending. */
  readonly pids: readonly number[];
  /** Where it is mounted, if it is: `/run/netns/blue`, `/var/run/docker/netns/1234`. */
  readonly mounts: readonly string[];
  readonly podUid?: string;
  readonly containerIds: readonly string[];
  /** `containerd`, `cri-o`, `docker`, … as the cgroup's name tells. */
  readonly runtime?: string;
  /** Seconds since the epoch at which it was last seen alive; set once it is gone. */
  readonly goneAt?: number;
}

/** A process of the node, as far as telling whose it is takes. */
export interface ProcessRow {
  readonly pid: number;
  readonly netns: number;
  readonly podUid?: string;
  readonly containerId?: string;
}

/** What has that address. */
export interface AddressOwner {
  readonly pod?: {
    readonly namespace: string;
    readonly name: string;
    readonly workload?: string;
  };
  readonly service?: { readonly namespace: string; readonly name: string };
  readonly node?: string;
}

/**
 * A source of names: a container runtime, the Kubernetes API. Answers from what it holds, at once;
 * keeping that fresh is its own affair. Sources are asked in order, the best first.
 */
export interface IdentitySource {
  /** `cri`, `kubernetes`, …, as `/status` shows it. */
  readonly name: string;
  outcome(): Outcome;
  /** The pod or container that owns a namespace, or a process of it (a hostNetwork pod's, say). */
  identify(
    subject: {
      readonly podUid?: string;
      readonly containerId?: string;
      readonly netns?: number;
      /** Where the namespace is, or was, mounted: runtimes give each a path that no other gets. */
      readonly mount?: string;
    },
  ): Identity | undefined;
  /** Who has an address, cluster-wide where the source knows. */
  owner?(address: string): AddressOwner | undefined;
  /**
   * Asked for when a namespace appears that nobody can name. A promise resolves when a look that
   * began after it was asked for has ended.
   */
  refresh?(): void | Promise<void>;
  /** What its limits turned away, by limit; each only grows. */
  refused?(): Readonly<Record<string, number>>;
  close(): void;
}
