/**
 * Reads the node's own files. The host's `/proc` and `/sys` are those of process 1, which the agent
 * sees from inside a container too (with `hostPID`).
 *
 * @module
 */

/** Where the node's files are; a test gives a folder. */
export interface HostPaths {
  readonly proc: string;
}

const NODE: HostPaths = { proc: "/proc" };

/** The process whose namespaces are the host's. */
export const HOST_PID = 1;

/** A file below `/proc` as process 1 has it: `net/softnet_stat` is `/proc/1/net/softnet_stat`. */
export function readNodeFile(file: string, paths: HostPaths = NODE): string {
  const path = file.startsWith("net/")
    ? `${paths.proc}/${HOST_PID}/${file}`
    : `${paths.proc}/${file}`;
  return Deno.readTextFileSync(path);
}

/** The first process's `/sys`, else our own: a hidden one is the same on a node. */
export function sysOf({ proc }: HostPaths = NODE): string {
  const sys = `${proc}/${HOST_PID}/root/sys`;
  try {
    return Deno.statSync(sys).isDirectory ? sys : "/sys";
  } catch (error) {
    if (error instanceof Error) return "/sys";
    throw error;
  }
}

/** A file of one process, such as `io`; undefined when the process has ended, which is normal. */
export function readProcessFile(
  pid: number,
  file: string,
  paths: HostPaths = NODE,
): string | undefined {
  try {
    return Deno.readTextFileSync(`${paths.proc}/${pid}/${file}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    // ESRCH: it ended between open and read.
    if (error instanceof Error && error.message.includes("os error 3)")) return undefined;
    throw error;
  }
}

/**
 * The host's devices that carry its traffic to and from the outside: those with a driver's device
 * behind them (`/sys/class/net/DEVICE/device`), so that a bond, a bridge and a veth do not count
 * the same packet again. Where there is none, as in a virtual machine made of namespaces, those
 * that a default route goes through; where there is none either, undefined.
 */
export function uplinks(paths: HostPaths = NODE): ReadonlySet<string> | undefined {
  const classes = `${paths.proc}/${HOST_PID}/root/sys/class/net`;
  const found = new Set<string>();
  try {
    for (const { name } of Deno.readDirSync(classes)) {
      try {
        Deno.lstatSync(`${classes}/${name}/device`);
        found.add(name);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) {
      throw error;
    }
  }
  if (found.size === 0) defaultRouteDevices(found, paths);
  return found.size === 0 ? undefined : found;
}

/**
 * `/proc/net/route` (destination and mask 0) and `/proc/net/ipv6_route` (destination ::/0, not
 * `lo`).
 */
function defaultRouteDevices(found: Set<string>, paths: HostPaths): void {
  const read = (file: string) => readProcessFile(HOST_PID, file, paths) ?? "";
  for (const line of read("net/route").split("\n").slice(1)) {
    const [device, destination, , , , , , mask] = line.split("\t");
    if (device !== undefined && destination === "00000000" && mask === "00000000") {
      found.add(device.trim());
    }
  }
  for (const line of read("net/ipv6_route").split("\n")) {
    const columns = line.trim().split(/\s+/);
    const device = columns[9];
    if (device === undefined || device === "lo") continue;
    if (columns[1] === "00" && /^0+$/.test(columns[0] ?? "")) found.add(device);
  }
}
