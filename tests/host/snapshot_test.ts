/**
 * `podskoop collect` and `GET /snapshot` against the kernel's own tools, part by part.
 *
 * Needs root.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  type NamespaceSnapshot,
  readSnapshot,
  type Snapshot,
} from "../../diagnose/snapshot/format.ts";
import { AgentUnderTest, BINARY, folder, Lab, run } from "./lab.ts";

/** A name that no terminal, page or shell should act on. */
const HOSTILE = `'"<b>\x1b[31m`;

/** Everything that a snapshot records, as far as a kernel without modules has it. */
async function furnish(lab: Lab): Promise<void> {
  const { name } = lab.left;
  const ip = (...args: string[]) => run("ip", "-n", name, ...args);
  // An address that is still being probed for is another the next time it is looked at.
  await lab.inside(name, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0");
  await ip("link", "add", "vx0", "type", "vxlan", "id", "42", "dstport", "4789", "dev", "cable0");
  await ip("link", "add", HOSTILE, "link", "cable0", "type", "macvlan", "mode", "bridge");
  await ip("link", "set", "vx0", "up");
  await ip("nexthop", "add", "id", "1", "via", lab.right.v4, "dev", "cable0");
  await ip("nexthop", "add", "id", "10", "group", "1,5");
  await ip("route", "add", "10.20.0.0/16", "nhid", "10");
  const hop = ["nexthop", "via", lab.right.v4, "dev", "cable0"];
  await ip("route", "add", "10.21.0.0/16", ...hop, "weight", "3", ...hop, "onlink");
  await ip("route", "add", "blackhole", "10.22.0.0/16");
  await ip("route", "add", "throw", "10.23.0.0/16", "table", "100");
  await ip("-6", "route", "add", "unreachable", "fd22::/64");
  await ip("-6", "route", "add", "default", "via", lab.right.v6, "dev", "cable0", "mtu", "1400");
  await ip("rule", "add", "fwmark", "0x1/0xff", "table", "100");
  await ip("-6", "rule", "add", "from", "fd09::/64", "table", "101");
  await ip("neighbour", "add", "proxy", "10.9.0.77", "dev", "cable0");
  await run(
    "bridge",
    "-n",
    name,
    "fdb",
    "append",
    "00:00:00:00:00:00",
    "dev",
    "vx0",
    "dst",
    "1.2.3.4",
  );
  const comment = ["-m", "comment", "--comment", HOSTILE];
  for (
    const tool of ["iptables-legacy", "ip6tables-legacy", "iptables-nft", "ip6tables-nft"] as const
  ) {
    await lab.inside(name, tool, "-A", "FORWARD", "-p", "tcp", "--dport", "81", ...comment);
  }
  await lab.inside(
    name,
    "nft",
    "add table inet t { chain c { type filter hook input priority 5; }; }",
  );
  await lab.inside(name, "ipset", "create", "s1", "hash:ip");
  await lab.inside(name, "sysctl", "-qw", "net.ipv4.conf.cable0.rp_filter=2");
}

async function collected(...args: string[]): Promise<Snapshot> {
  const dir = await folder();
  try {
    await run(BINARY, "collect", ...args, "-o", `${dir}/s.json.gz`);
    assert.equal((await Deno.stat(`${dir}/s.json.gz`)).mode! & 0o777, 0o600);
    return readSnapshot(await Deno.readFile(`${dir}/s.json.gz`));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** What a text has besides counters and times. */
function steady(text: string | undefined): string {
  return (text ?? "").replace(/^#.*$/gm, "").replace(/\[\d+:\d+\]/g, "");
}

async function compare(lab: Lab, seen: NamespaceSnapshot): Promise<void> {
  const { name } = lab.left;
  const json = async (...command: [string, ...string[]]) =>
    JSON.parse((await run(...command)).replaceAll("\\'", "'").replaceAll("\x1b", "\\u001b"));
  const ip = (...args: string[]) => json("ip", "-n", name, "-N", "-d", "-j", ...args);
  assert.deepEqual(seen.links, (await ip("address")).filter((each: object) => "ifname" in each));
  for (const [family, option] of [["inet", "-4"], ["inet6", "-6"]] as const) {
    const routes = await ip(option, "route", "show", "table", "all");
    const bare = ({ family: _, type: __, ...rest }: Readonly<Record<string, unknown>>) => rest;
    const own = seen.routes?.filter((route) => route.family === family);
    assert.deepEqual(
      own?.map(bare),
      routes.map(({ table = "254", ...rest }) => bare({ table, ...rest })),
    );
    const rules = seen.rules?.filter((rule) => rule.family === family);
    assert.deepEqual(
      rules?.map(({ family: _, ...rest }) => rest),
      await ip(option, "rule"),
    );
  }
  assert.deepEqual(
    seen.routes?.filter(({ dst }) => /^(10\.2[23]|fd22)/.test(dst)).map(({ type }) => type).sort(),
    ["blackhole", "throw", "unreachable"],
  );
  assert.deepEqual(seen.nexthops, await ip("nexthop"));
  assert.deepEqual(seen.fdb, await json("bridge", "-n", name, "-j", "fdb"));
  assert.deepEqual(seen.qdiscs, await json("tc", "-n", name, "-j", "qdisc"));
  assert.ok(seen.neighbours?.some(({ dst }) => dst === "10.9.0.77"));
  const tools = {
    iptablesLegacy: "iptables-legacy-save",
    ip6tablesLegacy: "ip6tables-legacy-save",
    iptablesNft: "iptables-nft-save",
    ip6tablesNft: "ip6tables-nft-save",
  } as const;
  for (const [part, tool] of Object.entries(tools)) {
    const text = steady(seen[part as keyof typeof tools]);
    assert.equal(text, steady(await lab.inside(name, tool, "-c")));
    assert.ok(text.includes("\x1b[31m"), tool);
  }
  const nft = (text: string) => text.replace(/"(packets|bytes)": \d+/g, "");
  assert.equal(nft(seen.nft ?? ""), nft(await lab.inside(name, "nft", "-j", "list", "ruleset")));
  assert.equal(seen.ipset, await lab.inside(name, "ipset", "save"));
  for (const path of ["net/ipv4/conf/cable0/rp_filter", "net/ipv4/ip_forward"]) {
    const value = await lab.inside(name, "cat", `/proc/sys/${path}`);
    assert.equal(seen.sysctls?.[path], value.trim());
  }
  assert.equal(seen.sysctls?.["net/ipv4/conf/cable0/rp_filter"], "2");
  assert.deepEqual(seen.missing, []);
}

Deno.test("collect has what the kernel's own tools say, hostile names as they are", async () => {
  await using lab = await Lab.create();
  await furnish(lab);
  const wanted = ["--local", "--netns", lab.left.name, "--netns", lab.right.name] as const;
  const snapshot = await collected(...wanted);
  const [left, right] = [lab.left, lab.right].map(({ name }) =>
    snapshot.namespaces.find(({ owner }) => owner.name === name)
  );
  assert.ok(left !== undefined && right !== undefined);
  assert.equal(snapshot.namespaces.length, 2);
  await compare(lab, left);
  assert.ok(left.links?.some(({ ifname }) => ifname === HOSTILE));
  // The cable's far end, by the number that each side has for the other.
  const cable = left.links?.find(({ ifname }) => ifname === "cable0");
  assert.equal(left.netnsIds[String(cable?.link_netnsid)], right.netns);
  const far = right.links?.find(({ ifindex }) => ifindex === cable?.link_index);
  assert.equal(far?.ifname, "cable0");
  assert.equal(right.netnsIds[String(far?.link_netnsid)], left.netns);
  // A listener, with the backlog that it asked for.
  const code = "import socket,sys,time;s=socket.socket(socket.AF_INET6);s.bind(('::',8081));" +
    "s.listen(13);print(1,flush=True);time.sleep(60)";
  const listener = new Deno.Command("ip", {
    args: ["netns", "exec", lab.right.name, "python3", "-c", code],
    stdout: "piped",
  }).spawn();
  const said = listener.stdout.getReader();
  try {
    await said.read();
    const [now] = (await collected("--local", "--netns", lab.right.name)).namespaces;
    const found = now?.listeners?.find(({ port }) => port === 8081);
    assert.deepEqual([found?.address, found?.queueMax, found?.v6only], ["*", 13, false]);
  } finally {
    listener.kill("SIGKILL");
    await said.cancel();
    await listener.status;
  }
});

Deno.test("collect counts what ip says that there is of IPsec", async () => {
  await using lab = await Lab.create();
  const { name } = lab.left;
  const counted = async () => {
    const [now] = (await collected("--local", "--netns", name)).namespaces;
    assert.deepEqual(now?.missing, []);
    return now?.xfrm;
  };
  assert.deepEqual(await counted(), { policies: 0, states: 0 });
  const xfrm = (...args: string[]) => run("ip", "-n", name, "xfrm", ...args);
  for (const [at, direction] of ["in", "out", "out", "fwd", "in"].entries()) {
    const ends = ["src", `10.1.${at}.0/24`, "dst", "10.2.0.0/24", "dir", direction];
    await xfrm("policy", "add", ...ends, "action", "block");
  }
  // States that wait for their keys: what ESP needs is not in every kernel.
  await lab.inside(name, "sysctl", "-qw", "net.core.xfrm_acq_expires=300");
  for (const id of ["1", "2", "3"]) {
    const ends = ["src", "10.9.0.1", "dst", "10.9.0.2", "proto", "esp", "reqid", id];
    await xfrm("state", "allocspi", ...ends, "mode", "transport", "min", "256", "max", "512");
  }
  assert.deepEqual(await counted(), { policies: 5, states: 3 });
  assert.match(await xfrm("policy", "count"), /IN\s+2 OUT 2 FWD 1/);
  assert.match(await xfrm("state", "count"), /SAD count 3/);
});

Deno.test("GET /snapshot gives the same through the agent, only over the socket", async () => {
  await using lab = await Lab.create();
  await using agent = await AgentUnderTest.start();
  const refused = await fetch(`${agent.url}/snapshot`);
  await refused.body?.cancel();
  assert.equal(refused.status, 403);
  const unknown = await agent.ask("/snapshot?netns=nosuch");
  assert.equal(unknown.status, 404);
  assert.match(await unknown.text(), /Cannot find the network namespace/);
  const args = ["--netns", lab.left.name, "--agent", `unix:${agent.dir}/agent.sock`];
  const through = await collected(...args);
  assert.equal(through.node, "lab-node");
  const [seen] = through.namespaces;
  const [own] = (await collected("--local", "--netns", lab.left.name)).namespaces;
  assert.deepEqual(seen?.links, own?.links);
  assert.deepEqual(seen?.routes, own?.routes);
  assert.deepEqual(seen?.missing, []);
});

Deno.test("collect records no key of the kernel, no environment and no argument", async () => {
  await using lab = await Lab.create();
  const { name } = lab.left;
  const key = "01234567-89abcdef-fedcba98-76543210";
  await lab.inside(name, "sysctl", "-qw", `net.ipv4.tcp_fastopen_key=${key}`);
  const code = "import socket,time;s=socket.socket();s.bind(('',8083));s.listen();" +
    "print(1,flush=True);time.sleep(60)";
  const secretive = new Deno.Command("ip", {
    args: ["netns", "exec", name, "python3", "-c", code, "--password=argument-s3cret"],
    env: { TOKEN: "environment-s3cret" },
    stdout: "piped",
  }).spawn();
  const said = secretive.stdout.getReader();
  try {
    await said.read();
    const text = await run(BINARY, "collect", "--local", "--netns", name);
    // It has seen the process, and what the namespace is set to.
    const [seen] = readSnapshot(new TextEncoder().encode(text)).namespaces;
    assert.ok(seen !== undefined && seen.listeners?.some(({ port }) => port === 8083));
    assert.ok(seen.pids.length > 0);
    assert.ok(Object.keys(seen.sysctls ?? {}).length > 100);
    for (const secret of ["argument-s3cret", "environment-s3cret", key, key.replaceAll("-", "")]) {
      assert.ok(!text.includes(secret), secret);
    }
    const names = new Set(Array.from(text.matchAll(/"([\w/-]+)":/g), ([, each]) => each));
    assert.deepEqual(
      [...names].filter((each) => /passw|secret|token|private|environ/i.test(each ?? "")),
      [],
    );
  } finally {
    secretive.kill("SIGKILL");
    await said.cancel();
    await secretive.status;
  }
});
