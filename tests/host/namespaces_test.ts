/**
 * The table of namespaces against this kernel: real namespaces, made and ended while it looks.
 *
 * Needs root.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Identities } from "../../agent/pods/identities.ts";
import { NamespaceTable, TICK_MILLISECONDS } from "../../agent/pods/table.ts";
import { MountWatch } from "../../agent/namespaces/mounts.ts";
import { readInNamespaces, targetOf } from "../../agent/namespaces/reader.ts";
import { NamespaceVisitor } from "../../agent/namespaces/visitor.ts";

const PREFIX = `pkt${Deno.pid}`;
const encoder = new TextEncoder();

async function run(command: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  if (code !== 0) {
    throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
  return new TextDecoder().decode(stdout);
}

/** Runs many `ip` commands as one process. */
async function ip(lines: readonly string[]): Promise<void> {
  const child = new Deno.Command("ip", {
    args: ["-batch", "-"],
    stdin: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(encoder.encode(lines.join("\n") + "\n"));
  await writer.close();
  const { code, stderr } = await child.output();
  if (code !== 0) throw new Error(`ip -batch: ${new TextDecoder().decode(stderr)}`);
}

/** A process that sleeps in a network namespace of its own. */
class Sleeper {
  readonly #child = new Deno.Command("unshare", { args: ["-n", "sleep", "600"] }).spawn();

  get pid(): number {
    return this.#child.pid;
  }

  /** Its namespace, once it is in it. */
  async netns(): Promise<number> {
    for (;;) {
      const inum = inumAt(`/proc/${this.pid}/ns/net`);
      if (inum !== inumAt("/proc/self/ns/net")) return inum;
      await sleep(2);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function inumAt(path: string): number {
  return Deno.statSync(path).ino ?? 0;
}

/** A table on the real `/proc`; `handles: false` makes it work as on kernels before 6.18. */
function node(handles?: boolean) {
  const visitor = new NamespaceVisitor();
  const clock = { ahead: 0 };
  const now = () => Date.now() / 1000 + clock.ahead;
  const table = new NamespaceTable({ visitor, now, ...(handles === undefined ? {} : { handles }) });
  const identities = new Identities({ table, sources: [], node: "node-1", now });
  return {
    visitor,
    clock,
    table,
    identities,
    [Symbol.dispose]() {
      identities.close();
      table.close();
      visitor.close();
    },
  };
}

/** What the kernel says the cookie is, whoever asks. */
async function cookieOf(visitor: NamespaceVisitor, path: string): Promise<bigint> {
  const target = { inum: inumAt(path), cookie: 0n, paths: [path] };
  const [result] = await visitor.visit([target], { files: [], interfaces: false }, 1000);
  assert.equal(result?.state, "read");
  return result?.state === "read" ? result.sight.cookie : 0n;
}

/** Every thread of this process must be in its own namespace. */
function assertAllThreadsAtHome(): void {
  const home = Deno.readLinkSync("/proc/self/ns/net");
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    assert.equal(Deno.readLinkSync(`/proc/self/task/${name}/ns/net`), home);
  }
}

for (const handles of [true, false]) {
  const how = handles ? "cookies from outside" : "cookies by visits";

  Deno.test(`named namespaces come, go and stay for 60 s, with ${how}`, async () => {
    using n = node(handles);
    const name = `${PREFIX}a`;
    await n.identities.tick();
    assert.equal(
      n.table.alive().some(({ mounts }) => mounts.includes(`/run/netns/${name}`)),
      false,
    );
    await run("ip", "netns", "add", name);
    const path = `/run/netns/${name}`;
    const inum = inumAt(path);
    const cookie = await cookieOf(n.visitor, path);
    try {
      await n.identities.tick();
      const namespace = n.table.byInum(inum);
      assert.equal(namespace?.cookie, cookie);
      assert.equal(namespace?.path, path);
      assert.deepEqual(n.identities.identityOf({ inum, cookie }), {
        kind: "netns",
        namespace: "netns",
        name,
      });
    } finally {
      await run("ip", "netns", "del", name);
    }
    await n.identities.tick();
    assert.equal(n.table.byInum(inum), undefined);
    assert.equal(n.identities.identityOf({ inum, cookie }).name, name);
    n.clock.ahead += 58;
    await n.identities.tick();
    assert.equal(n.identities.identityOf({ inum, cookie }).name, name);
    n.clock.ahead += 3;
    await n.identities.tick();
    assert.equal(n.identities.identityOf({ inum, cookie }).kind, "unknown");
  });

  Deno.test(`a name mounted anew with the same number inherits nothing, with ${how}`, async () => {
    using n = node(handles);
    const name = `${PREFIX}r`;
    const path = `/run/netns/${name}`;
    /** By cookie, in order. */
    const inums = new Map<bigint, number>();
    let reused = 0;
    let last = 0;
    await run("ip", "netns", "add", name);
    try {
      // Who else makes namespaces meanwhile may take the number, so it takes more rounds at times.
      for (let round = 0; reused < 5 && round < 31; round++) {
        const inum = inumAt(path);
        if (inum === last) reused++;
        last = inum;
        const cookie = await cookieOf(n.visitor, path);
        inums.set(cookie, inum);
        await n.identities.tick();
        assert.equal(n.table.byInum(inum)?.cookie, cookie, `round ${round}`);
        await ip([`netns del ${name}`]);
        // The kernel ends a namespace a moment later; only then is its number free.
        await sleep(150);
        await ip([`netns add ${name}`]);
      }
      assert.equal(reused, 5);
      assert.ok(n.table.counts.reused >= 5);
      await n.identities.tick();
      for (const [cookie, inum] of inums) {
        const namespace = n.table.lookup({ inum, cookie });
        assert.equal(namespace?.cookie, cookie);
        assert.notEqual(namespace?.goneAt, undefined);
      }
    } finally {
      await run("ip", "netns", "del", name);
    }
  });

  Deno.test(`a process in a reused number has its own name, with ${how}`, async () => {
    using n = node(handles);
    const seen = new Set<string>();
    for (let round = 0; round < 7; round++) {
      await using sleeper = new Sleeper();
      const inum = await sleeper.netns();
      await n.identities.tick();
      const cookie = n.table.byInum(inum)?.cookie ?? 0n;
      const { name } = n.identities.identityOf({ inum, cookie });
      assert.match(name, new RegExp(`^(sleep|unshare)-${sleeper.pid}$`));
      seen.add(`${cookie}`);
    }
    assert.equal(seen.size, 7);
  });
}

Deno.test("an anonymous namespace is known within a second of its process", async () => {
  using n = node();
  await n.identities.tick();
  const timer = setInterval(() => void n.identities.tick(), TICK_MILLISECONDS);
  try {
    for (let round = 0; round < 3; round++) {
      await using sleeper = new Sleeper();
      const inum = await sleeper.netns();
      const start = performance.now();
      while (n.table.byInum(inum) === undefined) {
        assert.ok(performance.now() - start < 1000, "not known after a second");
        await sleep(5);
      }
    }
  } finally {
    clearInterval(timer);
  }
});

Deno.test("an event finds a namespace that no tick has seen", async () => {
  using n = node();
  await n.identities.tick();
  await using sleeper = new Sleeper();
  const inum = await sleeper.netns();
  const cookie = await cookieOf(n.visitor, `/proc/${sleeper.pid}/ns/net`);
  const identity = await n.identities.resolve({ inum, cookie });
  assert.equal(identity.name.endsWith(`-${sleeper.pid}`), true);
  assert.equal(n.table.counts.rescans, 1);
});

Deno.test("both ends of traffic between two namespaces are named, over IPv4 and IPv6", async () => {
  using n = node();
  const [a, b] = [`${PREFIX}x`, `${PREFIX}y`];
  await ip([`netns add ${a}`, `netns add ${b}`]);
  try {
    await ip([`link add pkx netns ${a} type veth peer name pky netns ${b}`]);
    for (const [netns, device, ...addresses] of ends(a, b)) {
      for (const address of addresses) {
        await run("ip", "-n", netns, "addr", "add", address, "dev", device);
      }
    }
    await n.identities.tick();
    const owners = ["10.231.7.1", "10.231.7.2", "fd00:231::1", "fd00:231::2"].map((address) =>
      n.identities.owner(address)?.pod?.name
    );
    assert.deepEqual(owners, [a, b, a, b]);
    const inum = inumAt(`/run/netns/${a}`);
    const key = { inum, cookie: n.table.byInum(inum)?.cookie ?? 0n };
    assert.equal(n.identities.interfaceName(key, 1), "lo");
    assert.deepEqual(n.identities.owner("127.0.0.1", key), {
      pod: { namespace: "netns", name: a },
    });
  } finally {
    await ip([`netns del ${a}`, `netns del ${b}`]);
  }
});

function ends(a: string, b: string): readonly (readonly [string, string, ...string[]])[] {
  return [
    [a, "pkx", "10.231.7.1/24", "fd00:231::1/64"],
    [b, "pky", "10.231.7.2/24", "fd00:231::2/64"],
  ];
}

Deno.test("a visit to a number that is another namespace's by now finds it gone", async () => {
  using n = node();
  await using sleeper = new Sleeper();
  const inum = await sleeper.netns();
  const path = `/proc/${sleeper.pid}/ns/net`;
  const cookie = await cookieOf(n.visitor, path);
  const wanted = { files: ["net/dev"], interfaces: false };
  const results = await n.visitor.visit(
    [
      { inum, cookie, paths: [path] },
      { inum, cookie: cookie + 1n, paths: [path] },
      { inum: inum + 1, cookie: 0n, paths: [path] },
      { inum, cookie, paths: ["/proc/0/ns/net", path] },
      { inum, cookie, paths: ["/proc/0/ns/net"] },
    ],
    wanted,
    1000,
  );
  assert.deepEqual(results.map(({ state }) => state), ["read", "gone", "gone", "read", "gone"]);
});

Deno.test("the Worker leaves no thread in another namespace, and no descriptor", async () => {
  using n = node();
  const names = Array.from({ length: 53 }, (_, index) => `${PREFIX}t${index}`);
  await ip(names.map((name) => `netns add ${name}`));
  try {
    await n.identities.tick();
    const others = n.table.alive().filter(({ host }) => !host);
    const files = ["net/dev", "net/snmp", "net/nothing"];
    await readInNamespaces(n.visitor, n.table.alive(), files, 4000);
    const before = descriptors();
    for (let round = 0; round < 7; round++) {
      const reading = readInNamespaces(n.visitor, n.table.alive(), files, 4000);
      // Threads of the pool read at the same time.
      const own = Array.from({ length: 31 }, () => Deno.readTextFile("/proc/thread-self/net/dev"));
      const [readings, texts] = await Promise.all([reading, Promise.all(own)]);
      assert.equal(readings.size, others.length + 1);
      for (const text of texts) assert.equal(text.includes("eth0"), hasDevice("eth0"));
      for (const { inum } of others.filter(({ mounts }) => mounts.length > 0)) {
        const result = readings.get(inum);
        assert.deepEqual(
          result && "files" in result && Object.keys(result.files),
          files.slice(0, 2),
        );
      }
      assertAllThreadsAtHome();
    }
    assert.equal(descriptors(), before);
  } finally {
    await ip(names.map((name) => `netns del ${name}`));
  }
});

function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

function hasDevice(name: string): boolean {
  return Deno.readTextFileSync("/proc/self/net/dev").includes(`${name}:`);
}

Deno.test("211 namespaces that come and go leave nothing open", async () => {
  using n = node();
  const names = Array.from({ length: 211 }, (_, index) => `${PREFIX}c${index}`);
  await n.identities.tick();
  const before = descriptors();
  const [outside, inside] = [`pko${Deno.pid}`, `pki${Deno.pid}`];
  await ip(names.map((name) => `netns add ${name}`));
  await ip([`link add ${outside} type veth peer name ${inside} netns ${names[0]}`]);
  await n.identities.tick();
  const mine = n.table.alive().filter(({ mounts: [mount = ""] }) => mount.includes(`${PREFIX}c`));
  assert.equal(mine.length, 211);
  assert.equal(new Set(mine.map(({ cookie }) => cookie)).size, 211);
  const reading = readInNamespaces(n.visitor, n.table.alive(), ["net/snmp"], 4000);
  await ip(names.map((name) => `netns del ${name}`));
  await reading;
  await n.identities.tick();
  const left = n.table.alive().filter(({ mounts: [mount = ""] }) => mount.includes(`${PREFIX}c`));
  assert.equal(left.length, 0);
  assert.equal(
    n.table.gone().filter(({ mounts: [path = ""] }) => path.includes(PREFIX)).length,
    211,
  );
  assert.equal(descriptors(), before);
  // The cable's other end lives in the host's namespace until the kernel has freed the first.
  const deadline = performance.now() + 5000;
  while (hasDevice(outside)) {
    assert.ok(performance.now() < deadline, "the namespace is still alive");
    await sleep(20);
  }
  assertAllThreadsAtHome();
});

Deno.test("a read that hangs costs its namespace, and no other", async () => {
  using n = node();
  const folder = Deno.makeTempDirSync({ prefix: "fifo-" });
  const fifo = `${folder}/fifo`;
  await run("mkfifo", fifo);
  await using sleeper = new Sleeper();
  await using other = new Sleeper();
  const [inum, otherInum] = [await sleeper.netns(), await other.netns()];
  try {
    await n.identities.tick();
    const targets = [inum, otherInum].map((each) => {
      const namespace = n.table.byInum(each);
      assert.ok(namespace !== undefined);
      return targetOf(namespace);
    });
    const hanging = { files: [`root${fifo}`], interfaces: false };
    const [first, second] = await n.visitor.visit(targets, hanging, 300);
    assert.deepEqual([first?.state, second?.state], ["late", "late"]);
    assert.match(JSON.stringify(first), /no answer in 300 ms/);
    assert.match(JSON.stringify(second), /the time for it was up/);
    assert.equal(n.visitor.lost, 1);
    assert.equal(n.visitor.outcome().state, "degraded");
    const [shunned, read] = await n.visitor.visit(
      targets,
      { files: ["net/dev"], interfaces: false },
      2000,
    );
    assert.equal(shunned?.state, "late");
    assert.match(JSON.stringify(shunned), /a thread hung in it/);
    assert.equal(read?.state, "read");
  } finally {
    // Lets the hung thread go on, and so end.
    Deno.writeTextFileSync(fifo, "");
    Deno.removeSync(folder, { recursive: true });
  }
});

const WITHOUT = `
import { NamespaceTable } from "${new URL("../../agent/pods/table.ts", import.meta.url)}";
import { NamespaceVisitor } from "${new URL("../../agent/namespaces/visitor.ts", import.meta.url)}";
import { readInNamespaces } from "${new URL("../../agent/namespaces/reader.ts", import.meta.url)}";
const visitor = new NamespaceVisitor();
const table = new NamespaceTable({ visitor });
await table.tick();
const readings = await readInNamespaces(visitor, table.alive(), ["net/snmp"], 2000);
const states = table.alive().map(({ inum, cookie }) => {
  const reading = readings.get(inum);
  const read = reading !== undefined && "files" in reading ? Object.keys(reading.files) : [];
  return [inum, { cookie: String(cookie), read, error: reading?.error }];
});
console.log(JSON.stringify({ states, outcome: table.outcome() }));
table.close();
visitor.close();
`;

Deno.test("without CAP_SYS_ADMIN a namespace is read through a process", async () => {
  const name = `${PREFIX}p`;
  await using sleeper = new Sleeper();
  const inum = await sleeper.netns();
  await run("ip", "netns", "add", name);
  const script = Deno.makeTempFileSync({ suffix: ".ts" });
  try {
    Deno.writeTextFileSync(script, WITHOUT);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const deno = [Deno.execPath(), "run", "-A", "--no-check", "--config", config, script];
    const text = await run("setpriv", "--bounding-set", "-sys_admin", ...deno);
    const { states, outcome } = JSON.parse(text);
    const byInum = new Map<number, { cookie: string; read: string[]; error?: string }>(states);
    assert.deepEqual(byInum.get(inum)?.read, ["net/snmp"]);
    assert.deepEqual(byInum.get(inumAt("/proc/self/ns/net"))?.read, ["net/snmp"]);
    const mounted = byInum.get(inumAt(`/run/netns/${name}`));
    assert.match(mounted?.error ?? "", /CAP_SYS_ADMIN/);
    assert.equal(outcome.state, "degraded");
  } finally {
    Deno.removeSync(script);
    await run("ip", "netns", "del", name);
  }
});

/** Where cgroup v2 is mounted, in the unified layout or the hybrid one. */
function cgroups(): string {
  const line = Deno.readTextFileSync("/proc/self/mountinfo").split("\n")
    .find((line) => line.includes(" - cgroup2 "));
  return line?.split(" ")[4] ?? "/sys/fs/cgroup";
}

Deno.test("a pod of the host's network is told by its cgroup's id", async () => {
  using n = node();
  const uid = "2b801b7a-5266-4386-864e-45ed71136371";
  const root = `${cgroups()}/kubepods-${PREFIX}`;
  const container = `${root}/pod${uid}/${"0123456789abcdef".repeat(4)}`;
  Deno.mkdirSync(container, { recursive: true });
  const onHost = new Deno.Command("sleep", { args: ["600"] }).spawn();
  try {
    await using sleeper = new Sleeper();
    const inum = await sleeper.netns();
    Deno.writeTextFileSync(`${container}/cgroup.procs`, `${onHost.pid}\n`);
    await n.identities.tick();
    const host = n.table.byInum(n.table.processes.hostNetns);
    const key = { inum: host?.inum ?? 0, cookie: host?.cookie ?? 0n };
    const cgroup = BigInt(Deno.statSync(container).ino ?? 0);
    assert.equal(n.identities.identityOf(key, cgroup).uid, uid);
    assert.equal(n.identities.identityOf(key, 1n).kind, "host");
    assert.equal(n.identities.identityOf(key).kind, "host");
    assert.equal(n.identities.identityOfProcess(onHost.pid).uid, uid);
    assert.equal(n.identities.identityOfCgroup(cgroup)?.uid, uid);
    assert.equal(n.identities.identityOfCgroup(1n), undefined);
    assert.deepEqual([...n.identities.pastGuests()], []);
    Deno.writeTextFileSync(`${container}/cgroup.procs`, `${sleeper.pid}\n`);
    await n.identities.tick();
    assert.equal(n.table.byInum(inum)?.podUid, uid);
    const members = Array.from(n.identities.members()).filter(([{ uid: each }]) => each === uid);
    assert.deepEqual(members.map(([, pids]) => pids), [
      [onHost.pid, sleeper.pid].sort((a, b) => a - b),
    ]);
    for (const { pid } of [onHost, sleeper]) {
      Deno.writeTextFileSync(`${cgroups()}/cgroup.procs`, `${pid}\n`);
    }
    await sleep(1_100);
    await n.identities.tick();
    assert.deepEqual([...n.identities.pastGuests()].map((each) => each.uid), [uid]);
  } finally {
    onHost.kill("SIGKILL");
    await onHost.status;
    await sleep(20);
    for (const folder of [container, `${root}/pod${uid}`, root]) Deno.removeSync(folder);
  }
});

Deno.test("a name is known after one look while others mount all the while", async () => {
  using n = node(false);
  await n.identities.tick();
  const dir = await Deno.makeTempDir();
  const script = `while [ ! -e "$0/end" ]; do mount --bind "$0" "$0" && umount -l "$0"; done`;
  const others = new Deno.Command("sh", { args: ["-c", script, dir] }).spawn();
  const name = `${PREFIX}m`;
  try {
    for (let round = 0; round < 5; round++) {
      await ip([`netns add ${name}`]);
      const path = `/run/netns/${name}`;
      const [inum, cookie] = [inumAt(path), await cookieOf(n.visitor, path)];
      await n.identities.tick();
      const seen = n.table.byInum(inum)?.cookie;
      await ip([`netns del ${name}`]);
      assert.equal(seen, cookie, `round ${round}`);
      await sleep(100);
    }
  } finally {
    await Deno.writeTextFile(`${dir}/end`, "");
    assert.equal((await others.status).code, 0);
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("names that are gone before anyone looks are known by their mounts", async () => {
  using n = node();
  await n.identities.tick();
  const watch = new MountWatch((mounts) => {
    if (n.table.lacksAny(mounts)) void n.identities.tick();
  });
  watch.start();
  const names = Array.from({ length: 13 }, (_, index) => `${PREFIX}s${index}`);
  const keys = new Map<string, { inum: number; cookie: bigint }>();
  for (const name of names) {
    await ip([`netns add ${name}`]);
    const path = `/run/netns/${name}`;
    keys.set(name, { inum: inumAt(path), cookie: await cookieOf(n.visitor, path) });
    // A pod's network takes as long to be made.
    await sleep(300);
    await ip([`netns del ${name}`]);
    // Its number is free only a moment later; the next one often gets it.
    await sleep(100);
  }
  await watch.close();
  for (const [name, key] of keys) {
    assert.deepEqual(n.identities.identityOf(key), { kind: "netns", namespace: "netns", name });
  }
  assert.equal(n.table.counts.rescans, 0);
});
