/**
 * The pre-flight's questions to the kernel.
 *
 * Sources: capabilities(7), proc(5), kernel_lockdown(7), cgroups(7), bpf(2), and for each figure
 * the kernel's own documentation.
 *
 * @module
 */
import { type Check, fail, type Finding, ok, warn } from "./finding.ts";
import { atLeast } from "./finding.ts";

const OWN_BTF = "/sys/kernel/btf/vmlinux";

/** Capabilities, by the bit that linux/capability.h gives each, and what of podskoop needs it. */
const CAPABILITIES: readonly { bit: bigint; name: string; disables: string; needed: boolean }[] = [
  { bit: 39n, name: "CAP_BPF", disables: "loading probes", needed: true },
  { bit: 38n, name: "CAP_PERFMON", disables: "attaching probes", needed: true },
  {
    bit: 21n,
    name: "CAP_SYS_ADMIN",
    disables: "entering network namespaces, and so every pod's metrics",
    needed: true,
  },
  {
    bit: 19n,
    name: "CAP_SYS_PTRACE",
    disables: "telling the network namespace and files of other users' processes",
    needed: true,
  },
  {
    bit: 12n,
    name: "CAP_NET_ADMIN",
    disables: "what the kernel tells of sockets and conntrack over netlink",
    needed: false,
  },
  {
    bit: 2n,
    name: "CAP_DAC_READ_SEARCH",
    disables: "reading /proc of processes that hide from others",
    needed: false,
  },
  { bit: 34n, name: "CAP_SYSLOG", disables: "names of kernel functions in events", needed: false },
];

/** Capabilities that stand in for another: CAP_SYS_ADMIN had the work of these before Linux 5.8. */
const STANDS_IN: ReadonlyMap<string, readonly bigint[]> = new Map([
  ["CAP_BPF", [21n]],
  ["CAP_PERFMON", [21n]],
  ["CAP_DAC_READ_SEARCH", [1n]],
]);

/** Effective capabilities of this process, and what each that is missing costs. */
export const capabilities: Check = async (node) => {
  const status = await node.readText("/proc/self/status") ?? "";
  const [, hex] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  const uid = node.uid();
  const who = uid === 0 ? "root" : `uid ${uid}`;
  if (hex === undefined) {
    return fail(
      "capabilities",
      "/proc/self/status has no CapEff",
      "everything",
      "mount proc on /proc: mount -t proc proc /proc",
    );
  }
  const effective = BigInt(`0x${hex}`);
  const has = (bit: bigint) => (effective >> bit & 1n) === 1n;
  const missing = CAPABILITIES.filter(({ bit, name }) =>
    !has(bit) && !(STANDS_IN.get(name) ?? []).some(has)
  );
  if (missing.length === 0) {
    return ok("capabilities", `${who}, with all ${CAPABILITIES.length} that are used`);
  }
  return missing.map(({ name, disables, needed }): Finding => ({
    name: "capabilities",
    state: needed ? "fail" : "warn",
    found: `${who}, without ${name}`,
    disables,
    remedy: uid === 0
      ? `add ${name.replace("CAP_", "")} to securityContext.capabilities.add, or to ` +
        "CapabilityBoundingSet"
      : "run it as root",
  }));
};

/** What a kernel must have, and what it is better with. */
export const kernel: Check = async (node) => {
  const release = (await node.readText("/proc/sys/kernel/osrelease") ?? "").trim();
  const found = `Linux ${release}`;
  const newer = "run a newer kernel";
  if (!atLeast(release, "5.8")) {
    return fail("kernel", found, "all probes: ring buffers came with 5.8", newer);
  }
  if (!atLeast(release, "5.17")) {
    return warn("kernel", found, "reasons of drops, which came with 5.17", newer);
  }
  if (!atLeast(release, "6.10")) {
    return warn("kernel", found, "reasons of resets, which came with 6.10", newer);
  }
  return ok("kernel", found);
};

/** The kernel's own types, without which nothing finds its way in a running kernel. */
export const btf: Check = async (node, { btf }) => {
  if (await node.exists(OWN_BTF)) return ok("BTF", OWN_BTF);
  if (btf !== undefined && await node.exists(btf)) {
    return warn(
      "BTF",
      `${OWN_BTF} is not there; "${btf}" stands for it`,
      "probes without hooks on raw_tp, kprobe or cgroups",
      "run a kernel built with CONFIG_DEBUG_INFO_BTF=y",
    );
  }
  return fail(
    "BTF",
    `${OWN_BTF} is not there${btf === undefined ? "" : `, and neither is "${btf}"`}`,
    "all probes",
    "mount sysfs on /sys, run a kernel built with CONFIG_DEBUG_INFO_BTF=y, or name a copy: --btf",
  );
};

/** Symbols, without which events have addresses in place of names. */
export const kptrRestrict: Check = async (node) => {
  const value = (await node.readText("/proc/sys/kernel/kptr_restrict") ?? "").trim();
  if (value !== "2") return ok("kptr_restrict", value === "" ? "not shown" : value);
  return warn(
    "kptr_restrict",
    "2: addresses are hidden from everyone",
    "names of kernel functions in events",
    "sysctl kernel.kptr_restrict=1, which shows them to CAP_SYSLOG",
  );
};

/** Whether anyone may load BPF programs, which this is a chance to say. */
export const unprivilegedBpf: Check = async (node) => {
  const value = (await node.readText("/proc/sys/kernel/unprivileged_bpf_disabled") ?? "").trim();
  if (value !== "0") {
    return ok("unprivileged_bpf", value === "" ? "not shown" : `disabled=${value}`);
  }
  return warn(
    "unprivileged_bpf",
    "disabled=0: every user may load BPF programs",
    "nothing of podskoop, but it is a risk to the node",
    "sysctl kernel.unprivileged_bpf_disabled=2",
  );
};

/** In confidentiality mode BPF may not read kernel memory, which all probes do. */
export const lockdown: Check = async (node) => {
  const text = await node.readText("/sys/kernel/security/lockdown");
  const mode = /\[(\w+)\]/.exec(text ?? "")?.[1];
  if (mode !== "confidentiality") return ok("lockdown", mode ?? "not shown, so there is none");
  return fail(
    "lockdown",
    "confidentiality",
    "all probes",
    "boot with lockdown=integrity, or without",
  );
};

/** Functions that hooks can attach to are listed by tracefs. */
export const tracefs: Check = async (node) => {
  for (const root of ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]) {
    if (await node.exists(`${root}/available_filter_functions`)) return ok("tracefs", root);
  }
  return warn(
    "tracefs",
    "no list of traceable functions",
    "hooks on functions; those on tracepoints work",
    "mount -t tracefs tracefs /sys/kernel/tracing, on a kernel with CONFIG_FUNCTION_TRACER=y",
  );
};

/** Which cgroups there are: they tell pods and containers apart. */
export const cgroups: Check = async (node) => {
  const mounts = await node.readText("/proc/self/mountinfo") ?? "";
  const v2 = / - cgroup2 /.test(mounts);
  const v1 = / - cgroup /.test(mounts);
  if (v2 && v1) return ok("cgroups", "v1 and v2 (hybrid)");
  if (v2) return ok("cgroups", "v2");
  return warn(
    "cgroups",
    v1 ? "v1 only" : "none is mounted",
    "telling pods on the host's network apart in events",
    "boot with systemd.unified_cgroup_hierarchy=1, or mount /sys/fs/cgroup into the container",
  );
};

/** The inode of the first pid namespace, PROC_PID_INIT_INO in the kernel's linux/proc_ns.h. */
const FIRST_PID_NAMESPACE = "pid:[4026531836]";

/** Whether `/proc` shows all processes of the node, or those of a container. */
export const hostPid: Check = async (node) => {
  const own = await node.readLink("/proc/self/ns/pid");
  if (own === FIRST_PID_NAMESPACE) return ok("processes", "/proc shows those of the whole node");
  return fail(
    "processes",
    own === undefined ? "/proc is not there" : "/proc shows those of a container only",
    "pods, their metrics and names",
    "hostPID: true in the pod, or --pid=host",
  );
};

/** A clock that was never set makes history useless. */
export const time: Check = async (node) => {
  const now = node.now();
  const source = await node.readText(
    "/sys/devices/system/clocksource/clocksource0/current_clocksource",
  );
  const found = `${now.toISOString().slice(0, 19)}Z, clock source ${source?.trim() ?? "unknown"}`;
  if (now.getUTCFullYear() >= 2024) return ok("time", found);
  return warn(
    "time",
    found,
    "events by time, and TLS certificates",
    "set the clock: timedatectl set-ntp true",
  );
};
