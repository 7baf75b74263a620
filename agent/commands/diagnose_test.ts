import assert from "node:assert/strict";
import { join } from "node:path";
import { programOf } from "../../main.ts";
import { FakeTerminal } from "../../tests/fake_terminal.ts";
import { forwarding, madeSnapshot } from "../../tests/made_network.ts";
import { runProgram } from "./program.ts";

/** A folder with a snapshot of two pods on a node, one of which listens on port 80. */
async function withSnapshot(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "podskoop-diagnose-" });
  const pod = (own: number, port: string) => ({
    devices: {
      eth0: {
        ...{ kind: "veth", to: ["node", port] as const },
        addresses: [`10.0.${own}.2/24`],
      },
    },
    routes: [{ gateway: `10.0.${own}.1`, dev: "eth0" }],
    listeners: own === 1 ? ["tcp * 80"] : [],
  });
  const port = (name: string, own: number) => ({
    ...{ kind: "veth", to: [name, "eth0"] as const, addresses: [`10.0.${own}.1/24`] },
  });
  const snapshot = madeSnapshot({
    node: { devices: { va: port("a", 0), vb: port("b", 1) }, sysctls: forwarding("va", "vb") },
    ...{ a: pod(0, "va"), b: pod(1, "vb") },
  });
  try {
    await Deno.writeTextFile(join(dir, "s.json"), JSON.stringify(snapshot));
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function run(name: string, ...args: readonly string[]) {
  const terminal = new FakeTerminal();
  const code = await runProgram(await programOf(name, terminal), args, terminal);
  return { code, out: terminal.stdout, err: terminal.stderr };
}

const PAIR = ["-s", "10.0.0.2", "-d", "10.0.1.2"];

Deno.test("diagnose says the verdict first, and ends with 0, 2 or 3", async () => {
  await withSnapshot(async (dir) => {
    const asked = ["diagnose", "--snapshot", `${dir}/s.json`];
    const open = await run("podskoop", ...asked, ...PAIR, "-p", "80");
    assert.match(open.out, /^reachable: tcp arrives at 10\.0\.1\.2:80 in netns b/);
    assert.equal(open.code, 0, open.err);
    const shut = await run("podskoop", ...asked, ...PAIR, "--dport", "81");
    assert.match(shut.out, /^blocked at netns b: nothing listens on tcp port 81/);
    assert.equal(shut.code, 2);
    const far = await run("podskoop", ...asked, "-s", "10.7.7.7", "-d", "10.0.1.2", "-p", "80");
    assert.match(far.out, /^unknown because no namespace of the snapshot has the source/);
    assert.equal(far.code, 3);
    for (const line of [open, shut, far].flatMap(({ out }) => out.split("\n"))) {
      assert.ok(line.length <= 80, line);
    }
  });
});

Deno.test("diagnose writes JSON without a null, to a file only its owner reads", async () => {
  await withSnapshot(async (dir) => {
    const file = join(dir, "d.json");
    const json = ["--format", "json", "-o", file];
    const asked = ["diagnose", "--snapshot", `${dir}/s.json`, ...PAIR, "-p", "80", ...json];
    const { code, out } = await run("podskoop", ...asked);
    assert.deepEqual({ code, out }, { code: 0, out: "" });
    const text = await Deno.readTextFile(file);
    assert.doesNotMatch(text, /\bnull\b/);
    const { format, version, verdict, ways } = JSON.parse(text);
    assert.deepEqual([format, version, verdict], ["podskoop-diagnosis", 1, "reachable"]);
    assert.equal(ways[0].request.steps.at(-1).text, "socket tcp *:80");
    assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  });
});

Deno.test("diagnose takes many pairs from a file, and ends as the worst of them", async () => {
  await withSnapshot(async (dir) => {
    const matrix = join(dir, "pairs");
    const lines = ["# who to whom", "10.0.0.2 10.0.1.2 80", "10.0.1.2 10.0.0.2 - icmp"];
    await Deno.writeTextFile(matrix, lines.join("\n"));
    const asked = ["diagnose", "--snapshot", `${dir}/s.json`, "--matrix", matrix];
    const { code, out } = await run("podskoop", ...asked);
    assert.equal(code, 0);
    assert.deepEqual(out.trimEnd().split("\n").map((line) => line.replace(/: .*/, "")), [
      "10.0.0.2 10.0.1.2 80 tcp",
      "10.0.1.2 10.0.0.2 - icmp",
    ]);
    await Deno.writeTextFile(matrix, "10.0.0.2 10.0.1.2 80\n10.0.0.2 10.0.1.2 http\n");
    const wrong = await run("podskoop", ...asked);
    assert.equal(wrong.code, 2);
    assert.match(
      wrong.err,
      /pairs", line 2: Cannot take "http" as a port: it is one of 1 to 65535/,
    );
  });
});

Deno.test("diagnose says which argument it cannot take, and why", async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["-d", "10.0.0.1", "-p", "80"], /without a source: give -s ADDRESS/],
    [["-s", "10.0.0.1", "-p", "80"], /without a destination: give -d ADDRESS/],
    [["-s", "10.0.0.1", "-d", "10.0.0.2"], /tcp without a port: give -p PORT/],
    [
      ["-s", "10.0.0.256", "-d", "10.0.0.2", "-p", "80"],
      /"10\.0\.0\.256" as the source.*node\/\n$/,
    ],
    [["-s", "10.0.0.1:80", "-d", "10.0.0.2"], /node\/: give 10\.0\.0\.1 alone, and a port by -p\n/],
    [["-s", "fd00::1", "-d", "[fd00::2]:80"], /node\/: give fd00::2 alone, and a port by -p\n/],
    [["-s", "[fd00::1]", "-d", "fd00::2"], /node\/: give fd00::1 alone, and a port by -p\n/],
    [["-s", "10.0.0.1", "-d", "10.0.0.2", "-p", "0"], /"0" as a port: it is one of 1 to 65535/],
    [["--protocol", "sctp"], /'sctp' is invalid\. Allowed choices are tcp, udp, icmp/],
    [["--verify", "--snapshot", "s.json"], /Cannot verify on a snapshot/],
    [["--matrix", "/nowhere/m"], /Cannot read the matrix "\/nowhere\/m"/],
    [["--matrix", "m", "-s", "10.0.0.1"], /--src or --dst beside --matrix/],
  ];
  for (const [args, expected] of cases) {
    const { code, err } = await run("podskoop", "diagnose", ...args);
    assert.match(err, expected);
    assert.ok(code === 2 || err.includes("Cannot read the matrix"), err);
  }
  const { code, err } = await run(
    ...["podskoop", "diagnose", "--snapshot", "/nowhere/s.json"] as const,
    ...[...PAIR, "-p", "80"],
  );
  assert.match(err, /Cannot read the snapshot "\/nowhere\/s\.json"/);
  assert.equal(code, 1);
});

Deno.test("skoop takes the predecessor's command lines, and says what is needless", async () => {
  await withSnapshot(async (dir) => {
    const line = ["--calico-host-interface", "ens192"];
    const asked = [...PAIR, "-p", "80", ...line, "--snapshot", `${dir}/s.json`];
    const { code, out, err } = await run("skoop", ...asked);
    assert.equal(code, 0);
    assert.match(out, /^reachable: /);
    assert.match(err, /^skoop: --calico-host-interface is no longer needed/);
    const terminal = new FakeTerminal();
    const args = [...asked, "--http", "--http-address", "127.0.0.1:0"];
    const shown = runProgram(await programOf("skoop", terminal), args, terminal);
    while (!terminal.stderr.includes("the page is at")) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const page = await fetch(/http:\S+/.exec(terminal.stderr)?.[0] ?? assert.fail());
    assert.match(await page.text(), /<header class="reachable">[^]*<h1>tcp arrives at/);
    Deno.kill(Deno.pid, "SIGTERM");
    assert.equal(await shown, 0);
  });
});

Deno.test("skoop takes every flag that its predecessor's help has", async () => {
  const flags = "--cloud-provider generic --network-plugin calico --proxy-mode ipvs " +
    "--cluster-cidr 10.0.0.0/8 --collector-image i --collector-image-pull-policy Never " +
    "--collector-namespace skoop --collector-cri-address /run/c.sock " +
    "--collector-pod-wait-interval 2s --collector-pod-wait-timeout 9s " +
    "--preserve-collector-pod --flannel-backend-type vxlan --flannel-bridge cni0 " +
    "--flannel-pod-mtu 1450 --flannel-ip-masq=false --flannel-host-interface eth0 " +
    "--calico-host-interface eth0 --calico-host-mtu 1500 --calico-pod-mtu 1500 " +
    "--calico-ipip-pod-mtu 1480 --aliyun-access-key-id i --aliyun-access-key-secret s " +
    "--aliyun-security-token t -v=3 --logtostderr --alsologtostderr=true --log_dir /tmp " +
    "--log_file /tmp/l --stderrthreshold 2 --vmodule a=3 --one_output --skip_headers";
  await withSnapshot(async (dir) => {
    const asked = [...PAIR, "--dport", "80", "--protocol", "tcp", "--snapshot", `${dir}/s.json`];
    const words = flags.split(" ");
    const { code, out, err } = await run("skoop", ...asked, ...words, "--format", "json");
    assert.equal(code, 0, err);
    assert.deepEqual(Object.keys(JSON.parse(out)), ["cluster", "nodes", "links"]);
    const given = words.filter((each) => each.startsWith("--")).map((each) => each.split("=")[0]);
    const told = err.trimEnd().split("\n").map((line) => line.split(" ")[1]);
    assert.deepEqual(told.toSorted(), [...given, "--v"].toSorted());
    assert.doesNotMatch(err, /no longer needed.*\b[ist]$/m);
    const none = await run("skoop", ...asked, "--kube-config", "/nowhere/config");
    assert.match(none.err, /Cannot read the kubeconfig "\/nowhere\/config"/);
    const svg = await run("skoop", ...asked, "--format", "svg", "--output", "-");
    assert.match(svg.out, /^<svg /);
    assert.match((await run("skoop", "--version")).out, /^podskoop \w/);
  });
});
