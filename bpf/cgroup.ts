/**
 * The root of the node's cgroup v2 hierarchy, to which every process and so every socket belongs,
 * and programs that are attached to it.
 *
 * @module
 */
import { Attributes, BPF, bpf, close, cString, open } from "./libc.ts";
import { openPin } from "./maps.ts";
import { UnavailableError } from "./unavailable.ts";

/** `enum bpf_attach_type`, by the section that a program is in. */
const ATTACH_TYPES: ReadonlyMap<string, number> = new Map([
  ["cgroup_skb/ingress", 0],
  ["cgroup_skb/egress", 1],
]);

/** Whether programs of a section are attached to the root cgroup. */
export function isOfCgroup(section: string): boolean {
  return ATTACH_TYPES.has(section);
}

/**
 * Where the root of the hierarchy can be opened; undefined where it is not mounted. The first
 * process's mounts are looked at before our own, as a container sees a part of the hierarchy only.
 */
export function rootCgroup(proc = "/proc"): string | undefined {
  for (const [process, root] of [["1", `${proc}/1/root`], ["self", ""]] as const) {
    for (const point of mountPoints(`${proc}/${process}/mountinfo`)) {
      const path = `${root}${point}`;
      if (isDirectory(path)) return path;
    }
  }
  return undefined;
}

/** proc_pid_mountinfo(5): number, parent, device, root, mount point, options, …, `-`, type. */
function mountPoints(file: string): readonly string[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(file);
  } catch (error) {
    if (isHidden(error)) return [];
    throw error;
  }
  return text.split("\n").flatMap((line) => {
    const [fields = "", rest = ""] = line.split(" - ");
    const [, , , root, point] = fields.split(" ");
    return rest.startsWith("cgroup2 ") && root === "/" && point !== undefined ? [point] : [];
  });
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (isHidden(error)) return false;
    throw error;
  }
}

function isHidden(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied;
}

/**
 * Attaches a pinned program to the root cgroup, beside whatever others have there, and has the link
 * take its pin. Throws Errno, or UnavailableError when there is no such hierarchy.
 */
export function attachToCgroup(pin: string, section: string): void {
  const type = ATTACH_TYPES.get(section);
  const root = rootCgroup();
  if (type === undefined || root === undefined) {
    throw new UnavailableError(
      `Cannot attach a program of the section "${section}": no cgroup v2 hierarchy is mounted`,
      "cgroup v2",
      "run 'mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified'",
    );
  }
  const cgroup = open(root);
  const program = openPin(pin);
  try {
    const attributes = new Attributes(16).u32(0, program).u32(4, cgroup).u32(8, type);
    const link = bpf(BPF.LINK_CREATE, attributes, `attach a program to the cgroup "${root}"`);
    try {
      Deno.removeSync(pin);
      bpf(BPF.OBJ_PIN, new Attributes(16).pointer(0, cString(pin)).u32(8, link), `pin "${pin}"`);
    } finally {
      close(link);
    }
  } finally {
    close(program);
    close(cgroup);
  }
}
