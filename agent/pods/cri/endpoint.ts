/**
 * Where container runtimes listen.
 *
 * @module
 */

/**
 * The sockets of containerd, CRI-O, cri-dockerd, k3s and rke2, microk8s and k0s, below `/run` and
 * `/var/run`, which are one folder on most systems.
 */
const ENDPOINTS = [
  "containerd/containerd.sock",
  "crio/crio.sock",
  "cri-dockerd.sock",
  "k3s/containerd/containerd.sock",
  "k0s/containerd.sock",
].flatMap((path) => [`/run/${path}`, `/var/run/${path}`])
  .concat("/var/snap/microk8s/common/run/containerd.sock");

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
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
        continue;
      }
      throw error;
    }
  }
  return [...found.values()];
}
