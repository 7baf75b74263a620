import assert from "node:assert/strict";
import { NamespaceTools } from "./tools.ts";
import type { Target } from "./visit.ts";

const PATIENCE_MS = 20_000;

/** A folder with files that stand for namespaces, and a program that stands for nsenter. */
class Stage implements Disposable {
  readonly #dir = Deno.makeTempDirSync({ prefix: "tools-" });
  readonly nsenter = `${this.#dir}/nsenter`;

  /** `script` has the tool and its arguments as `$@`, and the namespace's path as `$NS`. */
  constructor(script: string) {
    this.plays(script);
  }

  plays(script: string): void {
    const log = `echo "$NS" >> "${this.#dir}/log"`;
    const text = `#!/bin/sh\nNS="\${1#--net=}"\n${log}\nshift 2\n${script}\n`;
    Deno.writeTextFileSync(this.nsenter, text);
    Deno.chmodSync(this.nsenter, 0o755);
  }

  namespace(name: string): Target {
    const path = `${this.#dir}/${name}`;
    Deno.writeTextFileSync(path, "");
    return { inum: Deno.statSync(path).ino ?? 0, cookie: 0n, paths: [`${path}.gone`, path] };
  }

  remove({ paths }: Target): void {
    Deno.removeSync(paths.at(-1) ?? "");
  }

  /** The names of the namespaces in which a tool was started since the last call, in order. */
  entered(): readonly string[] {
    const path = `${this.#dir}/log`;
    const lines = Deno.readTextFileSync(path).trim().split("\n");
    Deno.writeTextFileSync(path, "");
    return lines.map((line) => line.slice(line.lastIndexOf("/") + 1));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#dir, { recursive: true });
  }
}

function soon(ms = PATIENCE_MS): number {
  return performance.now() + ms;
}

const HEAD = `
  printf '==> /proc/self/net/dev <==\\nof %s\\n' "\${NS##*/}"
  printf '\\n==> /proc/self/net <==\\n'
  printf '\\n==> /proc/sys/net/netfilter/nf_conntrack_count <==\\n17\\n'
  printf '\\n==> /proc/sys/net/netfilter/nf_conntrack_max <==\\n19\\n'
  echo "head: cannot open '/proc/self/net/ip_vs' for reading: No such file or directory" >&2
  echo "head: error reading '/proc/self/net': Is a directory" >&2
  exit 1`;
const FIGURES =
  '"bytes":2,"packets":3,"drops":5,"overlimits":7,"requeues":11,"qlen":13,"backlog":17';
const TOOLS = `
case "$1" in
head) ${HEAD} ;;
tc) echo '[{"kind":"fq","dev":"e0","handle":"1:","root":true,${FIGURES}}]' ;;
conntrack) [ "$2" = -S ] && printf 'cpu=0 found=1 \\ncpu=1 found=2 \\n' ;;
ip) echo '[{"ifindex":5,"ifname":"e0","flags":[]}]' ;;
*) echo "sh: 1: exec: $1: not found" >&2; exit 127 ;;
esac`;
const FILES = ["net/dev", "net", "netlink/qdiscs", "netlink/conntrack", "netlink/ipvs"];

Deno.test("tools read files, tables and devices of many namespaces, each its own", async () => {
  using stage = new Stage(TOOLS);
  const tools = new NamespaceTools(stage.nsenter);
  const names = ["a", "b", "c", "d", "e", "f", "g"];
  const targets = names.map((name) => stage.namespace(name));
  const gone = stage.namespace("h");
  stage.remove(gone);
  const wanted = { files: FILES, interfaces: true };
  const results = await tools.visit([...targets, gone], wanted, soon());
  assert.equal(results.get(gone)?.state, "gone");
  for (const [index, target] of targets.entries()) {
    const result = results.get(target);
    assert.ok(result?.state === "read", JSON.stringify(result?.state));
    assert.deepEqual(result.sight.files, {
      "net/dev": `of ${names[index]}\n`,
      "netlink/qdiscs": "device kind handle parent bytes packets drops overlimits requeues " +
        "qlen backlog\ne0 fq 10000 ffffffff 2 3 5 7 11 13 17\n",
      "netlink/conntrack": "entries 17\nmaxentries 19\nfound 3\n",
    });
    assert.deepEqual(Object.keys(result.sight.errors), ["net"]);
    assert.match(
      result.sight.errors["net"] ?? "",
      /^Cannot read ".*net" by a tool: .*a directory$/,
    );
    const device = { index: 5, name: "e0", loopback: false, addresses: [] };
    assert.deepEqual(result.sight.interfaces, [device]);
    assert.equal(result.sight.cookie, 0n);
  }
  assert.equal(tools.problem, undefined);
});

Deno.test("a tool that is missing, or breaks, costs its own table", async () => {
  const broken = 'tc) echo "Cannot talk to rtnetlink" >&2; exit 2 ;; conntrack) exit 127 ;;';
  using stage = new Stage(`case "$1" in head) ${HEAD} ;; ${broken} esac`);
  const tools = new NamespaceTools(stage.nsenter);
  const target = stage.namespace("a");
  const result = (await tools.visit([target], { files: FILES, interfaces: false }, soon()))
    .get(target);
  assert.ok(result?.state === "read");
  assert.deepEqual(Object.keys(result.sight.files), ["net/dev"]);
  const { "netlink/qdiscs": qdiscs, "netlink/conntrack": conntrack } = result.sight.errors;
  assert.equal(
    qdiscs,
    'Cannot use "tc", which ended with 2: Cannot talk to rtnetlink',
  );
  assert.equal(
    conntrack,
    'Cannot run "conntrack": it is not installed',
  );
});

Deno.test("what no tool may do is not tried in each namespace, and is said", async () => {
  using stage = new Stage("echo 'nsenter: cannot open it: Operation not permitted' >&2; exit 1");
  const tools = new NamespaceTools(stage.nsenter);
  const targets = ["a", "b", "c", "d", "e", "f", "g"].map((name) => stage.namespace(name));
  const wanted = { files: ["net/dev"], interfaces: false };
  for (let round = 0; round < 2; round++) {
    const results = await tools.visit(targets, wanted, soon());
    for (const target of targets) {
      const result = results.get(target);
      assert.ok(result?.state === "failed");
      assert.match(result.because, /^Cannot read network namespace \d+ by tools: .*CAP_SYS_ADMIN/);
    }
  }
  const entered = stage.entered();
  assert.ok(entered.length <= 4, entered.join());
  assert.match(tools.problem ?? "", /not permitted: it takes CAP_SYS_ADMIN/);

  const none = new NamespaceTools(`${stage.nsenter}.not`);
  const result = (await none.visit(targets, wanted, soon())).get(
    targets[0] ?? stage.namespace("a"),
  );
  assert.ok(result?.state === "failed");
  assert.match(result.because, /Cannot run ".*nsenter\.not": it is not installed$/);
});

Deno.test("tools that hang are killed, and who was not waited for comes first", async () => {
  using stage = new Stage("exec sleep 60");
  const tools = new NamespaceTools(stage.nsenter);
  const targets = ["a", "b", "c", "d", "e", "f", "g"].map((name) => stage.namespace(name));
  const wanted = { files: ["net/dev"], interfaces: false };
  const first = await tools.visit(targets, wanted, soon(1_500));
  for (const target of targets) assert.equal(first.get(target)?.state, "late");
  assert.deepEqual([...stage.entered()].sort(), ["a", "b", "c", "d"]);
  const late = first.get(targets[0] ?? stage.namespace("a"));
  assert.match(
    late?.state === "late" ? late.because : "",
    /"head -v .*" did not end within \d+ ms/,
  );
  // Another kind of look does not count.
  stage.plays("exit 127");
  const others = targets.slice(4);
  const devices = await tools.visit(others, { files: [], interfaces: true }, soon());
  for (const target of others) {
    const result = devices.get(target);
    assert.match(result?.state === "failed" ? result.because : "", /Cannot run "ip": it is not/);
  }
  stage.entered();
  stage.plays("exec sleep 60");
  await tools.visit(targets, wanted, soon(1_500));
  const second = stage.entered();
  assert.deepEqual([...second].sort().slice(-3), ["e", "f", "g"], second.join());
  assert.equal(second.length, 4);
});

Deno.test("a tool that writes without end is killed, and one that is stopped ends", async () => {
  using stage = new Stage("exec cat /dev/zero");
  const tools = new NamespaceTools(stage.nsenter);
  const target = stage.namespace("a");
  const wanted = { files: ["net/dev"], interfaces: false };
  const result = (await tools.visit([target], wanted, soon())).get(target);
  assert.ok(result?.state === "failed");
  assert.match(result.because, /"head .*" wrote more than 16777216 bytes$/);

  stage.plays("exec sleep 60");
  const stopped = tools.visit([target], wanted, soon());
  const began = performance.now();
  const timer = setInterval(() => tools.close(), 50);
  assert.equal((await stopped).get(target)?.state, "late");
  clearInterval(timer);
  assert.ok(performance.now() - began < 2_000);
});

Deno.test("a namespace that ends while a tool is in it is gone; none is listened in", async () => {
  using stage = new Stage('rm "$NS"; printf "==> /proc/self/net/dev <==\\nold\\n"');
  const tools = new NamespaceTools(stage.nsenter);
  const target = stage.namespace("a");
  const wanted = { files: ["net/dev"], interfaces: false };
  assert.equal((await tools.visit([target], wanted, soon())).get(target)?.state, "gone");
  const listening = { protocol: 0, groups: [1], bytes: 1 };
  const results = await tools.visit([target], { ...wanted, listening }, soon());
  assert.equal(results.get(target)?.state, "failed");
});
