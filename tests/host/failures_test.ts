/**
 * Bad input and broken surroundings: a clear word at the right place, and everything else goes on.
 */
import { match, strictEqual } from "node:assert/strict";
import type { Status } from "../../agent/surface.ts";
import { AgentUnderTest, BINARY, eventually, Lab, run, sleep } from "./lab.ts";

async function stateOf(agent: AgentUnderTest, name: string): Promise<string> {
  const { inuse_probes: { event, metrics } } = await agent.json<Status>("/status");
  const unit = [...event, ...metrics].find((unit) => unit.name === name);
  return `${unit?.state}${unit?.because === undefined ? "" : `: ${unit.because}`}`;
}

/** Starts an agent that is expected to end by itself; what it said. */
async function refused(...args: string[]): Promise<{ code: number; said: string }> {
  const dir = await Deno.makeTempDir({ prefix: "lab-" });
  const defaults = ["--socket", `${dir}/a.sock`, "--data-dir", `${dir}/data`];
  const { code, stderr } = await new Deno.Command("timeout", {
    args: ["10", BINARY, "agent", ...defaults, "--pin-dir", `/sys/fs/bpf/${dir.slice(5)}`, ...args],
    stdout: "null",
  }).output();
  await Deno.remove(dir, { recursive: true });
  return { code, said: new TextDecoder().decode(stderr) };
}

Deno.test("an unknown probe in the file is said in /status, and every other one runs", async () => {
  await using agent = await AgentUnderTest.start({
    config: "probes:\n  packetlos: true\n  tcpreset: true\n",
  });
  const { config } = await agent.json<Status>("/status");
  match(config.error ?? "", /"packetlos"/);
  match(config.error ?? "", /packetloss/);
  strictEqual(await stateOf(agent, "tcpreset"), "Running");
  strictEqual(await stateOf(agent, "packetloss"), "Running");
});

Deno.test(
  "a configuration that is wrong changes nothing, and says where and what would be " +
    "right",
  async () => {
    await using agent = await AgentUnderTest.start();
    const before = await (await agent.ask("/config")).text();
    for (
      const [body, said] of [
        ["probes: {packetloss: {stack: maybe}}", /stack.*maybe/],
        ["probes: {nonsense: true}", /nonsense/],
        ["listn: 127.0.0.1:1", /listn.*listen/],
        ["events: {foldSeconds: [1, 2}", /./],
        ["events: {foldSeconds: -1}", /foldSeconds.*-1/],
        [`nodeName: "${"x".repeat(2_000_000)}"`, /./],
      ] as const
    ) {
      const response = await agent.ask("/config", { method: "PUT", body });
      const text = await response.text();
      strictEqual(
        response.status === 422 || response.status === 413,
        true,
        `${response.status} ${text}`,
      );
      match(text, said);
    }
    strictEqual(await (await agent.ask("/config")).text(), before);
    strictEqual(await stateOf(agent, "packetloss"), "Running");
  },
);

Deno.test(
  "a changed file, a swapped ConfigMap and SIGHUP are followed; a bad file changes " +
    "nothing",
  async () => {
    const dir = await Deno.makeTempDir({ prefix: "lab-config-" });
    const version = async (name: string, text: string) => {
      await Deno.mkdir(`${dir}/${name}`);
      await Deno.writeTextFile(`${dir}/${name}/config.yaml`, text);
      await Deno.symlink(name, `${dir}/..tmp`);
      await Deno.rename(`${dir}/..tmp`, `${dir}/..data`);
    };
    await version("..1", "probes: {tcpreset: false}\n");
    await Deno.symlink("..data/config.yaml", `${dir}/config.yaml`);
    await using agent = await AgentUnderTest.start({ args: ["--config", `${dir}/config.yaml`] });
    strictEqual(await stateOf(agent, "tcpreset"), "undefined");
    await version("..2", "probes: {tcpreset: true}\n");
    const state = () => stateOf(agent, "tcpreset");
    strictEqual(await eventually(state, (found) => found === "Running"), "Running");
    await version("..3", "probes: {tcpreset: 7}\n");
    const error = async () => (await agent.json<Status>("/status")).config.error ?? "";
    match(await eventually(error, (found) => found !== ""), /tcpreset/);
    strictEqual(await state(), "Running");
    await Deno.writeTextFile(`${dir}/..3/config.yaml`, "probes: {tcpreset: false}\n");
    agent.signal("SIGHUP");
    strictEqual(await eventually(state, (found) => found === "undefined"), "undefined");
    await Deno.remove(dir, { recursive: true });
  },
);

Deno.test("a port in use is named, with what to do", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { code, said } = await refused("--listen", `127.0.0.1:${listener.addr.port}`);
  strictEqual(code, 1, said);
  match(said, new RegExp(`${listener.addr.port}.*ss -`, "s"));
});

Deno.test(
  "a file that cannot be read, or is no configuration, is named with its " +
    "line",
  async () => {
    match(
      (await refused("--config", "/nonexistent/config.yaml")).said,
      /\/nonexistent\/config\.yaml/,
    );
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, "listen: [unclosed\nprobes: {\n");
    const { code, said } = await refused("--config", file);
    strictEqual(code, 1);
    match(said, /line|:\d+/);
    await Deno.remove(file);
  },
);

Deno.test("without bpftool probes say which package they need, and collectors work", async () => {
  await using agent = await AgentUnderTest.start({
    prepare: 'mount --bind /dev/null "$(command -v bpftool)"',
  });
  match(await stateOf(agent, "packetloss"), /^Failed: .*bpftool/);
  strictEqual(await stateOf(agent, "tcp"), "Running");
  const metrics = await agent.metrics();
  strictEqual((metrics.sum("podskoop_tcp_in_segs_total") ?? -1) >= 0, true);
  const { missing } = await agent.json<Status>("/status");
  match(
    missing.map(({ what, remedy }) => `${what} ${remedy}`).join("\n"),
    /bpftool.*apt|install.*bpftool/is,
  );
});

Deno.test(
  "where the kernel hides its addresses, events say so once and are otherwise " +
    "whole",
  async () => {
    await using lab = await Lab.create();
    await using agent = await AgentUnderTest.start({
      prepare: 'sed "s/^[0-9a-f]*/0000000000000000/" /proc/kallsyms >"$DIR/kallsyms"\n' +
        'mount --bind "$DIR/kallsyms" /proc/kallsyms',
    });
    await lab.traffic(lab.left, "udp", lab.right.v4, 6103, 3);
    const events = await eventually(
      () => agent.events(`type=PACKETLOSS&pod=${lab.right.name}`),
      (found) => found.length > 0,
    );
    strictEqual(events[0]?.attributes["reason"], "NO_SOCKET");
    strictEqual(events[0]?.attributes["location"], "?");
    const { missing } = await agent.json<Status>("/status");
    match(missing.map(({ what }) => what).join("\n"), /kptr_restrict/);
  },
);

Deno.test("without CAP_SYS_ADMIN the rest goes on: probes, events, /metrics", async () => {
  await using lab = await Lab.create();
  // A process of the namespace's own is what its files are read through then.
  await lab.background(lab.right, "hold", lab.right.v4, 6104, 1);
  await using agent = await AgentUnderTest.start({
    prepare: "set -- setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin " +
      '--ambient-caps=-sys_admin "$@"',
  });
  const status = Deno.readTextFileSync(`/proc/${agent.pid}/status`);
  const effective = BigInt(`0x${/CapEff:\s+(\w+)/.exec(status)?.[1]}`);
  strictEqual((effective >> 21n) & 1n, 0n); // bit 21 is CAP_SYS_ADMIN
  strictEqual(await stateOf(agent, "packetloss"), "Running");
  await lab.traffic(lab.left, "udp", lab.right.v4, 6105, 7);
  const drops = async () =>
    (await agent.metrics()).sum("podskoop_packetloss_packets_total", {
      ...{ reason: "NO_SOCKET", pod: lab.right.name },
    });
  strictEqual(await eventually(drops, (found) => found === 7), 7);
  const segments = (await agent.metrics()).sum("podskoop_tcp_in_segs_total", {
    pod: lab.right.name,
  });
  strictEqual((segments ?? 0) > 0, true);
});

Deno.test("without BTF probes say so, and collectors work", async () => {
  await using agent = await AgentUnderTest.start({
    prepare: "mount --bind /dev/null /sys/kernel/btf/vmlinux",
  });
  match(await stateOf(agent, "packetloss"), /^Failed: .*BTF/);
  strictEqual(await stateOf(agent, "netdev"), "Running");
});

Deno.test("without a BPF file system the agent mounts one", async () => {
  await using agent = await AgentUnderTest.start({ prepare: "umount /sys/fs/bpf" });
  strictEqual(await stateOf(agent, "packetloss"), "Running");
});

Deno.test("a file of /proc that makes no sense fails its collector alone", async () => {
  await using agent = await AgentUnderTest.start({
    // Over one file of /proc/PID/net nothing can be mounted; over the folder it can.
    prepare: 'mkdir "$DIR/net"; cd /proc/1/net\n' +
      'cp snmp snmp6 netstat dev sockstat sockstat6 "$DIR/net"\n' +
      'echo "not a number" > "$DIR/net/softnet_stat"; cd /; mount --bind "$DIR/net" /proc/1/net',
  });
  const metrics = await agent.metrics();
  match(await stateOf(agent, "softnet"), /^Failed: .*softnet_stat.*/);
  strictEqual(metrics.sum("podskoop_unit_failures_total", { unit: "softnet" }), 1);
  strictEqual((metrics.sum("podskoop_tcp_in_segs_total") ?? -1) >= 0, true);
});

Deno.test(
  "on a read-only disk, and on a full one, events still reach who watches, and the " +
    "loss is said",
  async () => {
    for (
      const prepare of [
        'mkdir "$DIR/data"; mount -t tmpfs -o ro tmpfs "$DIR/data"',
        'mkdir "$DIR/data"; mount -t tmpfs -o size=64k tmpfs "$DIR/data"; ' +
        'dd if=/dev/zero of="$DIR/data/fill" bs=4k 2>/dev/null || true',
      ]
    ) {
      await using lab = await Lab.create();
      await using agent = await AgentUnderTest.start({ prepare });
      const stream = await agent.ask("/events/stream");
      const reader = stream.body?.getReader();
      await lab.traffic(lab.left, "refused", lab.right.v4, 6101, 3);
      let text = "";
      while (!text.includes("TCPRESET_NOSOCK")) {
        const { value, done } = await reader?.read() ?? { done: true, value: undefined };
        if (done) break;
        text += new TextDecoder().decode(value);
      }
      await reader?.cancel();
      strictEqual(text.includes("TCPRESET_NOSOCK"), true);
      const { store } = await agent.json<Status>("/status");
      strictEqual(store.state, "Failed", JSON.stringify(store));
      strictEqual((await agent.events("type=TCPRESET_NOSOCK")).length > 0, true);
    }
  },
);

Deno.test("namespaces that come and go while they are read never fail a scrape", async () => {
  await using agent = await AgentUnderTest.start();
  const churn = (async () => {
    for (let round = 0; round < 31; round++) {
      await run("ip", "netns", "add", `lab-churn-${round}`);
      if (round >= 3) await run("ip", "netns", "delete", `lab-churn-${round - 3}`);
    }
    for (const round of [28, 29, 30]) await run("ip", "netns", "delete", `lab-churn-${round}`);
  })();
  let scrapes = 0;
  let ended = false;
  void churn.finally(() => ended = true);
  while (!ended) {
    const metrics = await agent.metrics();
    strictEqual(metrics.sum("podskoop_build_info"), 1);
    strictEqual((metrics.sum("podskoop_tcp_in_segs_total", { pod: "" }) ?? -1) >= 0, true);
    scrapes++;
  }
  await churn;
  strictEqual(scrapes > 3, true);
  const metrics = await agent.metrics();
  strictEqual(metrics.sum("podskoop_unit_failures_total", { unit: "tcp" }), 0, agent.log);
});

Deno.test("a hostile process name reaches neither a terminal nor a label as it is", async () => {
  const dir = await Deno.makeTempDir();
  const name = `${dir}/a\u001b[31m"}x`;
  await Deno.copyFile("/usr/bin/sleep", name);
  const child = new Deno.Command("unshare", { args: ["-n", name, "60"] }).spawn();
  await using agent = await AgentUnderTest.start();
  const pods = async () =>
    (await agent.metrics()).text.split("\n").filter((line) =>
      line.startsWith("podskoop_tcp_in_segs_total{") && line.includes('namespace="process"')
    );
  const lines = await eventually(pods, (found) => found.some((line) => line.includes("31m")));
  strictEqual(lines.some((line) => line.includes("31m")), true, lines.join("\n"));
  strictEqual(lines.some((line) => line.includes("\u001b")), false);
  const top = await run(BINARY, "top", "--once", "--agent", `unix:${agent.dir}/agent.sock`);
  strictEqual(top.includes("\u001b[31m"), false);
  child.kill("SIGKILL");
  await child.status;
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a sink that nobody reads loses only its own events, counted", async () => {
  await using lab = await Lab.create();
  const dir = await Deno.makeTempDir();
  await run("mkfifo", `${dir}/nobody`);
  await using agent = await AgentUnderTest.start({
    config: `events:\n  foldSeconds: 1\n  sinks:\n` +
      `    - {kind: file, path: ${dir}/nobody}\n` +
      `    - {kind: file, path: ${dir}/events.log, format: text}\n`,
  });
  await lab.traffic(lab.left, "refused", lab.right.v4, 6102, 5);
  const line = async () => await Deno.readTextFile(`${dir}/events.log`).catch(() => "");
  const wanted = new RegExp(
    `^type=TCPRESET_NOSOCK pod=${lab.right.name} namespace=netns protocol=TCP ` +
      `saddr=${lab.right.v4} sport=6102 daddr=${lab.left.v4} dport=\\d+`,
    "m",
  );
  // Others on the node may be reset before.
  match(await eventually(line, (found) => wanted.test(found)), wanted);
  strictEqual((await agent.events("type=TCPRESET_NOSOCK")).length > 0, true);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("someone who is not root is told what is missing", async () => {
  const dir = await Deno.makeTempDir({ prefix: "lab-" });
  await Deno.chown(dir, 65534, 65534);
  const { stderr } = await new Deno.Command("timeout", {
    args: [
      ...["3", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BINARY, "agent"],
      ...["--listen", "127.0.0.1:0", "--socket", `${dir}/a.sock`, "--data-dir", `${dir}/data`],
      ...["--pin-dir", `/sys/fs/bpf/${dir.slice(5)}`],
    ],
    stdout: "null",
  }).output();
  match(new TextDecoder().decode(stderr), /root|permission|privilege|CAP_/i);
  await sleep(100);
  await Deno.remove(dir, { recursive: true });
});
