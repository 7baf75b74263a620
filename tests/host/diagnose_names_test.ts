/**
 * `podskoop diagnose` of a name, beside what glibc asks a real nameserver for in that namespace.
 *
 * Needs root.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { DiagnosisDocument } from "../../diagnose/report/json.ts";
import { BINARY, eventually, folder, run } from "./lab.ts";

const SERVER = "10.208.0.1";
const CLIENT = "10.208.0.2";
const PORT = 8080;
/** The only name that there is. */
const KNOWN = "web.shop.svc.cluster.local";

/** Asked for after all others. */
const LAST = "last.example";

/** Answers one name by the server's own address, and prints each that it is asked for. */
const NAMESERVER = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("${SERVER}", 53))
print("ready", flush=True)
while True:
    q, who = s.recvfrom(512)
    labels, at = [], 12
    while q[at]:
        labels.append(q[at + 1:at + 1 + q[at]].decode())
        at += 1 + q[at]
    name, kind = ".".join(labels), q[at + 2]
    print(name, flush=True)
    known = name == "${KNOWN}"
    a = known and kind == 1
    head = q[:2] + bytes([0x81, 0x80 if known else 0x83, 0, 1, 0, 1 if a else 0, 0, 0, 0, 0])
    body = bytes([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]) + socket.inet_aton("${SERVER}")
    s.sendto(head + q[12:at + 5] + (body if a else b""), who)
`;

/** A namespace with a nameserver, and one whose processes ask it. */
class Names implements AsyncDisposable {
  readonly id = `dm${Deno.pid.toString(36)}`;
  readonly #lines: string[] = [];
  dir = "";
  readonly #children: Deno.ChildProcess[] = [];
  #read: Promise<void> = Promise.resolve();

  get server(): string {
    return `${this.id}-s`;
  }

  get client(): string {
    return `${this.id}-c`;
  }

  static async create(resolvConf: string): Promise<Names> {
    const names = new Names();
    const { server, client } = names;
    // `ip netns exec` shows these to its processes as their own.
    await Deno.mkdir(`/etc/netns/${client}`, { recursive: true });
    await Deno.writeTextFile(`/etc/netns/${client}/resolv.conf`, resolvConf);
    await Deno.writeTextFile(`/etc/netns/${client}/hosts`, `${SERVER} by-hosts.example\n`);
    for (const name of [server, client]) await run("ip", "netns", "add", name);
    await run("ip", "-n", server, "link", "add", "e", "type", "veth", "peer", "e", "netns", client);
    for (const [name, address] of [[server, SERVER], [client, CLIENT]] as const) {
      for (const device of ["lo", "e"]) await run("ip", "-n", name, "link", "set", device, "up");
      await run("ip", "-n", name, "address", "add", `${address}/24`, "dev", "e");
    }
    await names.#start(server, NAMESERVER);
    // The client needs a process: its files are those that a process there sees.
    await names.#start(client, "import time;print('ready',flush=True);time.sleep(600)");
    names.dir = await folder();
    await names.collect();
    return names;
  }

  async #start(name: string, code: string): Promise<void> {
    const child = new Deno.Command("ip", {
      args: ["netns", "exec", name, "python3", "-c", code],
      stdout: "piped",
    }).spawn();
    this.#children.push(child);
    const started = Promise.withResolvers<void>();
    const reading = (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        this.#lines.push(...text.split("\n").filter((line) => line !== "" && line !== "ready"));
        if (text.includes("ready")) started.resolve();
      }
    })();
    this.#read = Promise.all([this.#read, reading]).then(() => {});
    await started.promise;
  }

  /** The names that glibc asks for, each once, and what it finds. */
  async asked(name: string): Promise<{ names: readonly string[]; found: boolean }> {
    this.#lines.length = 0;
    const { success } = await new Deno.Command("ip", {
      args: ["netns", "exec", this.client, "getent", "ahostsv4", name],
      ...{ stdout: "null", stderr: "null" },
    }).output();
    // What it prints comes by another way than what it answers: what comes after this is behind it.
    await new Deno.Command("ip", {
      args: ["netns", "exec", this.client, "getent", "ahostsv4", `${LAST}.`],
      ...{ stdout: "null", stderr: "null" },
    }).output();
    const there = () => Promise.resolve(this.#lines.includes(LAST));
    assert.ok(await eventually(there, (is) => is));
    return { names: [...new Set(this.#lines)].filter((each) => each !== LAST), found: success };
  }

  async collect(): Promise<void> {
    const namespaces = ["--netns", this.server, "--netns", this.client];
    await run(BINARY, "collect", "--local", ...namespaces, "-o", `${this.dir}/s.json`);
    await Deno.writeTextFile(`${this.dir}/o.json`, JSON.stringify(OBJECTS));
  }

  async diagnose(name: string): Promise<DiagnosisDocument> {
    const { stdout } = await new Deno.Command(BINARY, {
      args: [
        ...["diagnose", "--snapshot", `${this.dir}/s.json`, "--objects", `${this.dir}/o.json`],
        ...["-s", CLIENT, "-d", name, "-p", String(PORT), "--format", "json"],
      ],
      ...{ stdout: "piped", stderr: "inherit" },
    }).output();
    return JSON.parse(new TextDecoder().decode(stdout));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      child.kill("SIGKILL");
      await child.status;
    }
    await this.#read;
    for (const name of [this.server, this.client]) await run("ip", "netns", "delete", name);
    for (const dir of [`/etc/netns/${this.client}`, this.dir]) {
      await Deno.remove(dir, { recursive: true });
    }
  }
}

const OBJECTS = [
  {
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: { clusterIP: SERVER, ports: [{ port: PORT }] },
  },
];

Deno.test("diagnose looks names up in the order in which glibc asks for them", async () => {
  await using names = await Names.create(
    `nameserver ${SERVER}\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\n` +
      "options ndots:5 timeout:1\n",
  );
  for (
    const [name, found] of [
      ["web", true],
      ["web.shop", true],
      ["web.shop.svc.cluster.local.", true],
      ["db.example.org", false],
      ["a.b.c.d.e.example", false],
    ] as const
  ) {
    const [real, said] = [await names.asked(name), await names.diagnose(name)];
    assert.deepEqual(said.dns?.tried.map((each) => each.name), real.names, name);
    assert.equal(real.found, found, name);
    assert.equal(said.dns?.by, found ? "cluster" : "nobody", name);
    assert.equal(said.dns?.nameservers[0]?.udp.verdict, "reachable", name);
    // Nobody listens for TCP there.
    assert.equal(said.dns?.nameservers[0]?.tcp.verdict, "blocked", name);
  }
  const [real, said] = [
    await names.asked("by-hosts.example"),
    await names.diagnose("by-hosts.example"),
  ];
  assert.deepEqual([real.names, real.found], [[], true]);
  assert.deepEqual([said.dns?.by, said.dns?.addresses], ["hosts", [SERVER]]);
});
