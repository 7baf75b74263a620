/**
 * The pre-flight's questions about tools.
 *
 * @module
 */
import { BPFTOOL_MIN } from "../../../bpf/bpftool.ts";
import { atLeast, type Check, fail, type Finding, ok, warn } from "./finding.ts";
import type { Node } from "./node.ts";

/** bpftool loads the probes. Older ones load, and cannot attach. */
export const bpftool: Check = async (node) => {
  const remedy = `install bpftool ${BPFTOOL_MIN} or newer (Debian 12: apt-get install -t ` +
    "bookworm-backports bpftool)";
  const text = await node.run("bpftool", ["version"]);
  if (text === undefined) return fail("bpftool", "not installed", "all probes", remedy);
  const version = /bpftool v(\d+[\d.]*)/.exec(text)?.[1];
  if (version === undefined) {
    const [first = ""] = text.split("\n");
    return fail("bpftool", `unusable: ${first}`, "all probes", remedy);
  }
  if (!atLeast(version, BPFTOOL_MIN)) return fail("bpftool", version, "all probes", remedy);
  const usage = await node.run("bpftool", ["prog", "help"]) ?? "";
  if (!usage.includes("autoattach")) {
    return fail("bpftool", `${version}, without autoattach`, "all probes", remedy);
  }
  return ok("bpftool", version);
};

const IPROUTE2 = ["ip", "tc", "ss", "bridge"] as const;

/** Tools that read what the kernel tells over netlink. */
export const iproute2: Check = async (node) => {
  const versions = await Promise.all(IPROUTE2.map((tool) => node.run(tool, ["-V"])));
  const missing = IPROUTE2.filter((_, index) => versions[index] === undefined);
  if (missing.length > 0) {
    return warn(
      "iproute2",
      `without ${missing.join(", ")}`,
      "looking into routes, queues and sockets by hand, and reading queues where threads hang",
      "apt-get install iproute2",
    );
  }
  return ok("iproute2", /iproute2-([\w.]+)/.exec(versions[0] ?? "")?.[1] ?? "installed");
};

/** The table of tracked connections. */
export const conntrack: Check = async (node) => {
  const text = await node.run("conntrack", ["-V"]);
  if (text === undefined) {
    return warn(
      "conntrack",
      "not installed",
      "looking into tracked connections by hand, and reading them where threads hang",
      "apt-get install conntrack",
    );
  }
  return ok("conntrack", /v(\d[\d.]*)/.exec(text)?.[1] ?? "installed");
};

/** Where the container runtimes listen, in the order of how common they are. */
const SOCKETS = [
  "/run/containerd/containerd.sock",
  "/run/k3s/containerd/containerd.sock",
  "/run/crio/crio.sock",
  "/run/cri-dockerd.sock",
  "/run/docker.sock",
] as const;

/** Which container runtimes are on the node; none is fine. */
export const runtimes: Check = async (node): Promise<Finding> => {
  const found = await there(node, SOCKETS);
  return ok(
    "runtime",
    found.length > 0 ? found.join(", ") : "none: names come from ip netns, cgroups and processes",
  );
};

async function there(node: Node, paths: readonly string[]): Promise<readonly string[]> {
  const each = await Promise.all(paths.map((path) => node.exists(path)));
  return paths.filter((_, index) => each[index]);
}
