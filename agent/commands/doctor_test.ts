import assert from "node:assert/strict";
import { FakeTerminal } from "../../tests/fake_terminal.ts";
import { examine, findingsText } from "./doctor.ts";
import { atLeast, type Finding, type Places } from "./doctor/finding.ts";
import { type Node, thisNode } from "./doctor/node.ts";

const PLACES: Places = {
  listen: { hostname: "0.0.0.0", port: 9102 },
  socket: "/run/podskoop/podskoop.sock",
  dataDir: "/var/lib/podskoop",
  pinDir: "/sys/fs/bpf/podskoop",
};

/** What a test makes different about the node. */
interface Difference {
  readonly files?: Readonly<Record<string, string | undefined>>;
  readonly tools?: Readonly<Record<string, string | undefined>>;
  readonly node?: Partial<Node>;
  readonly places?: Partial<Places>;
}

/** As Debian 12 with bpftool from its backports answers. */
const FILES: Readonly<Record<string, string | undefined>> = {
  "/proc/self/status": "Name:\tpodskoop\nCapEff:\t000001ffffffffff\n",
  "/proc/sys/kernel/osrelease": "6.12.9-amd64\n",
  "/sys/kernel/btf/vmlinux": "",
  "/proc/sys/kernel/kptr_restrict": "1\n",
  "/proc/sys/kernel/unprivileged_bpf_disabled": "2\n",
  "/sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
  "/sys/kernel/tracing/available_filter_functions": "",
  "/proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n" +
    "42 23 0:39 / /sys/fs/bpf rw,nosuid,nodev shared:11 - bpf bpf rw,mode=700\n",
  "/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
  "/run/containerd/containerd.sock": "",
};

const TOOLS: Readonly<Record<string, string | undefined>> = {
  "bpftool version": "bpftool v7.5.0\nusing libbpf v1.5\nfeatures:\n",
  "bpftool prog help": "Usage: bpftool prog load … [autoattach]",
  "ip -V": "ip utility, iproute2-6.1.0, libbpf 1.1.2\n",
  "tc -V": "tc utility, iproute2-6.1.0, libbpf 1.1.2\n",
  "ss -V": "ss utility, iproute2-6.1.0\n",
  "bridge -V": "bridge utility, 0.0\n",
  "conntrack -V": "conntrack v1.4.7 (conntrack-tools)\n",
};

async function findings(difference: Difference = {}): Promise<readonly Finding[]> {
  const files = { ...FILES, ...difference.files };
  const tools = { ...TOOLS, ...difference.tools };
  const node: Node = {
    readText: (path) => Promise.resolve(files[path]),
    readLink: () => Promise.resolve("pid:[4026531836]"),
    exists: (path) => Promise.resolve(files[path] !== undefined),
    run: (tool, args) => Promise.resolve(tools[[tool, ...args].join(" ")]),
    whyNotWritable: () => Promise.resolve(undefined),
    bytesFree: () => Promise.resolve(1e9),
    whyNotFree: () => undefined,
    answers: () => Promise.resolve(false),
    now: () => new Date("2026-01-31T09:30:00Z"),
    uid: () => 0,
    ...difference.node,
  };
  return await examine(node, { ...PLACES, ...difference.places });
}

/** All that is not ok. */
async function trouble(difference: Difference): Promise<readonly Finding[]> {
  return (await findings(difference)).filter(({ state }) => state !== "ok");
}

function file(path: string, text: string | undefined): Difference {
  return { files: { [path]: text } };
}

Deno.test("a node that has everything is all ok, and each line says what is there", async () => {
  const found = await findings();
  assert.deepEqual(found.filter(({ state }) => state !== "ok"), []);
  assert.deepEqual(Object.fromEntries(found.map(({ name, found }) => [name, found])), {
    kernel: "Linux 6.12.9-amd64",
    BTF: "/sys/kernel/btf/vmlinux",
    lockdown: "none",
    capabilities: "root, with all 7 that are used",
    processes: "/proc shows those of the whole node",
    cgroups: "v2",
    bpffs: '/sys/fs/bpf, for "/sys/fs/bpf/podskoop"',
    "pin directory": "/sys/fs/bpf/podskoop",
    bpftool: "7.5.0",
    tracefs: "/sys/kernel/tracing",
    kptr_restrict: "1",
    unprivileged_bpf: "disabled=2",
    "data directory": "/var/lib/podskoop",
    socket: "/run/podskoop/podskoop.sock",
    listen: "0.0.0.0:9102",
    iproute2: "6.1.0",
    conntrack: "1.4.7",
    runtime: "/run/containerd/containerd.sock",
    time: "2026-01-31T09:30:00Z, clock source tsc",
  });
});

Deno.test("a copy of BTF stands for the kernel's own, if it is there", async () => {
  const own = "/sys/kernel/btf/vmlinux";
  const places = { btf: "/a.btf" };
  const [copied, absent] = await Promise.all(
    [{ "/a.btf": "" }, {}].map(async (files) =>
      (await trouble({ files: { ...files, [own]: undefined }, places }))
        .map(({ name, state, found }) => [name, state, found].join("; "))
    ),
  );
  assert.deepEqual(copied, [`BTF; warn; ${own} is not there; "/a.btf" stands for it`]);
  assert.deepEqual(absent, [`BTF; fail; ${own} is not there, and neither is "/a.btf"`]);
});

Deno.test("each miss is told with its state, what it disables, and what to do", async () => {
  const cases: readonly (readonly [Difference, string, Finding["state"], RegExp, RegExp])[] = [
    [file("/sys/kernel/btf/vmlinux", undefined), "BTF", "fail", /all probes/, /a copy: --btf/],
    [
      file("/proc/sys/kernel/osrelease", "5.4.0-200-generic\n"),
      "kernel",
      "fail",
      /ring buffers/,
      /newer kernel/,
    ],
    [file("/proc/sys/kernel/osrelease", "5.10.0-8"), "kernel", "warn", /of drops/, /newer/],
    [file("/proc/sys/kernel/osrelease", "6.1.0-8"), "kernel", "warn", /of resets/, /newer/],
    [file("/proc/sys/kernel/kptr_restrict", "2"), "kptr_restrict", "warn", /names/, /sysctl/],
    [
      file("/proc/sys/kernel/unprivileged_bpf_disabled", "0\n"),
      "unprivileged_bpf",
      "warn",
      /a risk/,
      /unprivileged_bpf_disabled=2/,
    ],
    [
      file("/sys/kernel/security/lockdown", "none integrity [confidentiality]\n"),
      "lockdown",
      "fail",
      /all probes/,
      /lockdown=integrity/,
    ],
    [
      file("/sys/kernel/tracing/available_filter_functions", undefined),
      "tracefs",
      "warn",
      /hooks on functions/,
      /mount -t tracefs/,
    ],
    [
      file("/proc/self/mountinfo", "1 1 0:1 / / rw - cgroup cgroup rw\n"),
      "cgroups",
      "warn",
      /./,
      /./,
    ],
    [
      { node: { readLink: () => Promise.resolve("pid:[4026532999]") } },
      "processes",
      "fail",
      /pods/,
      /hostPID: true/,
    ],
    [{ tools: { "bpftool version": undefined } }, "bpftool", "fail", /probes/, /backports/],
    [{ tools: { "bpftool version": "bpftool v7.1.0" } }, "bpftool", "fail", /probes/, /7\.5/],
    [{ tools: { "bpftool prog help": "Usage:" } }, "bpftool", "fail", /probes/, /7\.5/],
    [{ tools: { "ss -V": undefined } }, "iproute2", "warn", /./, /apt-get install iproute2/],
    [{ tools: { "conntrack -V": undefined } }, "conntrack", "warn", /./, /apt-get install/],
    [{ places: { pinDir: "/var/pins" } }, "bpffs", "fail", /all probes/, /below \/sys\/fs\/bpf/],
    [{ node: { bytesFree: () => Promise.resolve(7) } }, "data directory", "warn", /past/, /room/],
    [{ node: { whyNotFree: () => "Address in use" } }, "listen", "fail", /agent/, /--listen/],
    [{ node: { now: () => new Date(0) } }, "time", "warn", /certificates/, /timedatectl/],
  ];
  for (const [difference, name, state, disables, remedy] of cases) {
    const found = (await trouble(difference)).find((finding) => finding.name === name);
    assert.equal(found?.state, state, name);
    assert.match(found?.disables ?? "", disables);
    assert.match(found?.remedy ?? "", remedy);
  }
});

Deno.test("each capability that is missing is named with what it is for", async () => {
  // Bits 12, 19, 21, 34, 38 and 39 are clear, bit 1 is set: CAP_DAC_OVERRIDE reads what 2 would.
  const found = await trouble(file("/proc/self/status", "CapEff:\t0000000000000002\n"));
  assert.deepEqual(found.map(({ state, found }) => `${state} ${found}`), [
    "fail root, without CAP_BPF",
    "fail root, without CAP_PERFMON",
    "fail root, without CAP_SYS_ADMIN",
    "fail root, without CAP_SYS_PTRACE",
    "warn root, without CAP_NET_ADMIN",
    "warn root, without CAP_SYSLOG",
  ]);
  assert.match(found[2]?.disables ?? "", /entering network namespaces/);
  assert.match(found[2]?.remedy ?? "", /add SYS_ADMIN to securityContext/);
});

Deno.test("CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON", async () => {
  const found = await trouble(file("/proc/self/status", "CapEff:\t0000000400281006\n"));
  assert.deepEqual(found, []);
});

Deno.test("someone else than root is told to be root", async () => {
  const found = await trouble({
    ...file("/proc/self/status", "CapEff:\t0000000000000000\n"),
    node: { uid: () => 1000, whyNotWritable: (path) => Promise.resolve(`"${path}" cannot be`) },
  });
  assert.equal(found[0]?.found, "uid 1000, without CAP_BPF");
  assert.equal(found[0]?.remedy, "run it as root");
  const names = found.filter(({ found }) => found.includes("cannot be")).map(({ name }) => name);
  assert.deepEqual(names, ["pin directory", "data directory", "socket"]);
});

Deno.test("a bpffs that is not mounted where the agent mounts it is no failure", async () => {
  const cgroup = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
  const [found] = await trouble(file("/proc/self/mountinfo", cgroup));
  assert.equal(found?.name, "bpffs");
  assert.equal(found.state, "warn");
  assert.match(found.remedy ?? "", /mount -t bpf bpf \/sys\/fs\/bpf/);
});

Deno.test("the port of a running agent is not in the way of it", async () => {
  const node = { whyNotFree: () => "Address in use", answers: () => Promise.resolve(true) };
  assert.deepEqual(await trouble({ node }), []);
});

Deno.test("a check that breaks says so, and the others go on", async () => {
  const found = await findings({
    node: { readLink: () => Promise.reject(new Error("Cannot look")) },
  });
  assert.equal(found.length, 19);
  assert.deepEqual(found.filter(({ state }) => state !== "ok").map(({ found }) => found), [
    "Cannot check: Cannot look",
  ]);
});

Deno.test("versions are compared by number, not by letter", () => {
  assert(atLeast("7.10", "7.5"));
  assert(atLeast("5.17.0-rc1", "5.17"));
  assert(!atLeast("5.8", "5.17"));
  assert(!atLeast("7", "7.5"));
  assert(!atLeast("", "7.5"));
});

Deno.test("the lines fit 80 columns and end with the count", async () => {
  const text = findingsText(
    await findings({ files: { "/proc/self/status": "CapEff:\t0\n" } }),
    new FakeTerminal(80),
  );
  for (const line of text.split("\n")) assert([...line].length <= 80, line);
  assert.match(text, /^fail {2}capabilities {6}root, without CAP_BPF\n {24}disables: loading/m);
  assert.match(text, /\n18 ok, 3 warn, 4 fail\n$/);
});

Deno.test("this node is looked at without changing it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "podskoop-doctor-test-" });
  try {
    assert.equal(await thisNode.whyNotWritable(`${folder}/a/b`), undefined);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
    assert.match(await thisNode.whyNotWritable("/proc/nothing") ?? "", /"\/proc" cannot be/);
    assert((await thisNode.bytesFree(`${folder}/a`) ?? 0) > 0);
    assert.equal(await thisNode.answers(`${folder}/none.sock`), false);
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    assert.equal(taken.addr.transport, "tcp");
    assert.match(thisNode.whyNotFree(taken.addr) ?? "", /in use/);
    assert.equal(await thisNode.run("podskoop-no-such-tool", []), undefined);
    assert.equal(await thisNode.run("echo", ["one", "$HOME"]), "one $HOME\n");
    assert.equal(await thisNode.readText(`${folder}/none`), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
