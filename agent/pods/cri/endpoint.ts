/**
 * Where container runtimes listen.
 *
 * @module
 */

/**
 * The sockets of containerd, CRI-O, cri-dockerd, k3s and rke2, microk8s and k0s, below `/run` and
 * `/var/run`, which are one folder on most systems. In a container that sees the host's processes,
 * they are where the host's first process has them.
 */
const PATHS = [
  "containerd/containerd.sock",
  "crio/crio.sock",
  "cri-dockerd.sock",
  "k3s/containerd/containerd.sock",
  "k0s/containerd.sock",
].flatMap((path) => [`/run/${path}`, `/var/run/${path}`])
  .concat("/var/snap/microk8s/common/run/containerd.sock");
const ENDPOINTS = underFirstProcess(PATHS);

/** These paths, and the same as the node's first process sees them. */
export function underFirstProcess(paths: readonly string[]): readonly string[] {
  return [...paths, ...paths.map((path) => `/proc/1/root${path}`)];
}

/** The path in `unix:///path`; a path is its own. Undefined for anything else. */
export function socketPath(endpoint: string): string | undefined {
  const path = endpoint.startsWith("unix://") ? endpoint.slice("unix://".length) : endpoint;
  return path.startsWith("/") ? path : undefined;
}

/** The usual places that have a socket now, each socket once. */
export async function findEndpoints(places: readonly string[] = ENDPOINTS): Promise<string[]> {
  const found = new Map<string, string>();
  for (const path of places) {
    try {
      const { isSocket, dev, ino } = await Deno.stat(path);
      const key = `${dev}/${ino}`;
      if (isSocket === true && !found.has(key)) found.set(key, path);
    } catch (error) {
      const { NotFound, NotADirectory, PermissionDenied } = Deno.errors;
      const isMissed = [NotFound, NotADirectory, PermissionDenied].some((kind) =>
        error instanceof kind
      );
      if (!isMissed) throw error;
    }
  }
  return [...found.values()];
}
