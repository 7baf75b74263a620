/**
 * What the path of a cgroup tells: the pod, the container, and which runtime made it.
 *
 * Paths come in every mixture of cgroup v1 and v2, the systemd and cgroupfs drivers, and nesting (a
 * node that is a container itself, a container engine inside a pod). From a cgroup namespace they
 * are relative: `/../../podUID/CID`.
 *
 * @module
 */

/** What one cgroup path, or all the paths of a process, tell. */
export interface CgroupFacts {
  readonly podUid?: string;
  /**
   * The container as the node's runtime knows it: the first one below the pod, else the innermost.
   */
  readonly containerId?: string;
  /** The innermost container inside that one: of a container engine that runs in a pod. */
  readonly innerId?: string;
  readonly runtime?: string;
}

/** What the cgroups of the node's own processes tell. */
export const NO_FACTS: CgroupFacts = {};

/** The word in front of a container's id, and the runtime that puts it there. */
const RUNTIMES: Readonly<Record<string, string>> = {
  "cri-containerd": "containerd",
  "containerd": "containerd",
  "nerdctl": "containerd",
  "crio": "cri-o",
  "docker": "docker",
  "libpod": "podman",
  "kata": "kata",
  "rkt": "rkt",
  "lxc": "lxc",
};

/** The folder that holds the containers' own, and the runtime that makes it. */
const FOLDERS: Readonly<Record<string, string>> = {
  "docker": "docker",
  "libpod_parent": "podman",
  "kata_overhead": "kata",
  "nerdctl": "containerd",
};

const HEX = "[0-9a-f]";
/** A UID as Kubernetes makes it, or with the underscores that systemd's naming asks for. */
const UID = `${HEX}{8}[-_]${HEX}{4}[-_]${HEX}{4}[-_]${HEX}{4}[-_]${HEX}{12}`;
/** A static pod's UID is a hash of its manifest, without dashes. */
const POD = new RegExp(`^(?:.*-)?pod(${UID}|${HEX}{32})(?:\\.slice)?$`);
const CONTAINER = new RegExp(`^(?:([a-z][a-z-]*)[-_])?(${HEX}{64})(?:\\.scope|\\.service)?$`);
/** ECS makes its ids of the task's and a number. */
const ECS_CONTAINER = new RegExp(`^(${HEX}{32}-\\d+)$`);
/** LXC and LXD name a container, and have no id. */
const LXC_CONTAINER = /^lxc(?:\.payload)?\.([^/]+)$/;
const NSPAWN_CONTAINER = /^systemd-nspawn@(.+)\.service$/;

/** What one path of a cgroup tells. */
export function factsOfPath(path: string): CgroupFacts {
  let podUid: string | undefined;
  let containers: Container[] = [];
  let folder = "";
  // `X.slice:cri-containerd:CID` is what a runtime without systemd makes of a systemd-style path.
  for (const segment of path.split(/[/:]/)) {
    const pod = POD.exec(segment)?.[1];
    // The outermost pod counts: what is inside of it may have been named by the pod itself.
    if (pod !== undefined && podUid === undefined) {
      podUid = pod.replaceAll("_", "-");
      // Whatever comes before a pod is the machine that it runs on.
      containers = [];
    }
    const container = containerOf(segment, folder);
    if (container !== undefined) containers.push(container);
    folder = segment;
  }
  const outer = podUid === undefined ? containers.at(-1) : containers[0];
  const inner = containers.at(-1);
  return {
    ...(podUid === undefined ? {} : { podUid }),
    ...(outer === undefined ? {} : { containerId: outer.id }),
    ...(inner === undefined || inner === outer ? {} : { innerId: inner.id }),
    ...(outer?.runtime === undefined ? {} : { runtime: outer.runtime }),
  };
}

interface Container {
  readonly id: string;
  readonly runtime?: string;
}

function containerOf(segment: string, folder: string): Container | undefined {
  const lxc = LXC_CONTAINER.exec(segment)?.[1] ??
    (folder === "lxc" || folder === "lxc.payload" ? segment : undefined);
  if (lxc !== undefined) return { id: lxc, runtime: "lxc" };
  const nspawn = NSPAWN_CONTAINER.exec(segment)?.[1];
  if (nspawn !== undefined) return { id: nspawn, runtime: "systemd-nspawn" };
  const ecs = ECS_CONTAINER.exec(segment)?.[1];
  if (ecs !== undefined) return { id: ecs };
  const [, word, id] = CONTAINER.exec(segment) ?? [];
  if (id === undefined) return undefined;
  // conmon watches a container, from outside of it.
  if (word?.endsWith("conmon")) return undefined;
  const runtime = RUNTIMES[word ?? folder] ?? (word === undefined ? FOLDERS[folder] : undefined);
  return { id, ...(runtime === undefined ? {} : { runtime }) };
}

/** One line of `/proc/PID/cgroup` (cgroups(7)). */
interface Line {
  readonly hierarchy: string;
  readonly path: string;
}

function linesOf(text: string): readonly Line[] {
  const lines: Line[] = [];
  for (const line of text.split("\n")) {
    const first = line.indexOf(":");
    const second = line.indexOf(":", first + 1);
    if (first < 0 || second < 0) continue;
    const path = line.slice(second + 1);
    // proc(5): so a cgroup shows that was removed while a process, a zombie say, was still in it.
    const removed = path.endsWith(" (deleted)") ? path.length - " (deleted)".length : undefined;
    lines.push({ hierarchy: line.slice(0, first), path: path.slice(0, removed) });
  }
  return lines;
}

/** The path in the cgroup v2 hierarchy, if the text of `/proc/PID/cgroup` has one. */
export function unifiedPath(text: string): string | undefined {
  return linesOf(text).find(({ hierarchy }) => hierarchy === "0")?.path;
}

/**
 * The part of pid 1's paths that every process of the node shares, where the node is a container
 * itself: through the innermost container of each path. Empty on other nodes.
 */
export function nodePrefixes(text: string): readonly string[] {
  const prefixes: string[] = [];
  for (const { path } of linesOf(text)) {
    const { containerId, innerId = containerId } = factsOfPath(path);
    if (innerId === undefined) continue;
    const end = path.indexOf("/", path.indexOf(innerId));
    prefixes.push(end < 0 ? path : path.slice(0, end));
  }
  return prefixes;
}

/**
 * What the text of `/proc/PID/cgroup` tells. Version 2 comes first; in the hybrid layout its path
 * is often `/`, and the first version 1 hierarchy that tells more is taken.
 */
export function factsOfCgroups(text: string, prefixes: readonly string[] = []): CgroupFacts {
  let best: CgroupFacts = NO_FACTS;
  let bestWeight = 0;
  const lines = linesOf(text);
  const unified = lines.filter(({ hierarchy }) => hierarchy === "0");
  for (const { path } of [...unified, ...lines]) {
    if (path === "/") continue;
    const prefix = prefixes.find((prefix) => path === prefix || path.startsWith(`${prefix}/`));
    const facts = factsOfPath(prefix === undefined ? path : path.slice(prefix.length));
    const weight = (facts.podUid === undefined ? 0 : 2) + (facts.containerId === undefined ? 0 : 1);
    if (weight <= bestWeight) continue;
    best = facts;
    bestWeight = weight;
  }
  return best;
}
