import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { EACCES, ENOENT, EPERM, ESRCH } from "../../agent/namespaces/libc.ts";
import { capture } from "../../tests/snapshot_captures.ts";
import { snapshotText, type Subject } from "./collect.ts";
import { type Head, packingOf, readSnapshot } from "./format.ts";
import { idOf } from "./nsid.ts";
import { EnterError, type Place, type Ran } from "./place.ts";
import { choose, type Found } from "./subjects.ts";

const HEAD: Head = {
  format: "podskoop-snapshot",
  version: 1,
  producer: "test",
  node: "node-1",
  kernel: "6.18",
  taken: "2026-11-21T07:00:00.000Z",
};

const ANSWERS: Readonly<Record<string, string>> = {
  "-N -d -j address": capture("links"),
  "-N -d -j nexthop": capture("nexthops"),
  "-4 -N -d -j route show table all": capture("routes4"),
  "-6 -N -d -j route show table all": capture("routes6"),
  "-4 -N -d -j rule": capture("rules4"),
  "-6 -N -d -j rule": capture("rules6"),
  "-4 -N -d -j neighbour show": capture("neighbours"),
  "-4 -N -d -j neighbour show proxy": capture("proxies"),
  "-6 -N -d -j neighbour show": "[]\n",
  "-6 -N -d -j neighbour show proxy": "[]\n",
  "-j fdb": capture("fdb"),
  "-j vlan": "[]\n",
  "-j qdisc": capture("qdiscs"),
  "-j net": '[{"xdp":[],"tc":[],"flow_dissector":[],"netfilter":[]}]\n',
  "-HnltueO": capture("listeners"),
  "-j list ruleset": capture("nft"),
  "-c": "*filter\nCOMMIT\n",
  "save": "create s1 hash:ip\n",
};

/** What processes see; the container's has put a secret beside what it was given. */
const FILES: Readonly<Record<string, string | number>> = {
  "1 etc/resolv.conf": -ESRCH,
  "2 etc/resolv.conf": "# by the kubelet\nnameserver 10.96.0.10\ntoken=s3cret\n" +
    "search shop.svc.cluster.local svc.cluster.local\noptions ndots:5\n",
  "2 etc/hosts": "127.0.0.1\tlocalhost\n# none\nroot:$6$x:1\nfe00::0 ip6-localnet\n",
  "3 etc/resolv.conf": -EACCES,
};

/** A namespace in which every tool gives its capture, but those in `broken`. */
function place(
  broken: Readonly<Record<string, Ran>> = {},
  arpTables: string | number = -ENOENT,
): Place & { ran: string[] } {
  const ran: string[] = [];
  return {
    ran,
    inum: 7,
    close() {},
    xfrm: () => ({ policies: 3, states: 2 }),
    fileOf: (pid, path) => FILES[`${pid} ${path}`] ?? -ENOENT,
    ids: (others) => new Map(others.map(({ inum }) => [inum, 0])),
    files: (paths) =>
      paths.map((path) =>
        path.endsWith("nf_conntrack_count")
          ? "17\n"
          : path.endsWith("nf_conntrack_max")
          ? "262144\n"
          : path.endsWith("ip_tables_names")
          ? "filter\n"
          : path.endsWith("ip6_tables_names")
          ? -EPERM
          : path.endsWith("arp_tables_names")
          ? arpTables
          : -ENOENT
      ),
    run(program, args, input) {
      const line = [program, ...args].join(" ");
      ran.push(line);
      const ended = broken[line];
      if (ended !== undefined) return Promise.resolve(ended);
      const options = args.filter((arg) => arg !== "-batch" && arg !== "-").join(" ");
      const text = input === undefined
        ? ANSWERS[args.join(" ")]
        : input.trim().split("\n").map((each) => ANSWERS[`${options} ${each}`]).join("");
      assert.ok(text !== undefined, line);
      return Promise.resolve({ ok: true, text });
    },
  };
}

function subject(at: Subject["place"], netns = 7): Subject {
  const owner = { kind: "pod", namespace: "shop", name: "web-0" } as const;
  return { netns, netnsCookie: "1", host: false, owner, pids: [1], containerIds: [], place: at };
}

async function textOf(...subjects: readonly Subject[]): Promise<string> {
  return (await Array.fromAsync(snapshotText(HEAD, subjects, subjects, []))).join("");
}

Deno.test("a snapshot reads back, packed or not, with every part", async () => {
  const text = await textOf(subject(place()));
  const bytes = new TextEncoder().encode(text);
  const snapshot = readSnapshot(bytes);
  assert.deepEqual(readSnapshot(new Uint8Array(gzipSync(bytes))), snapshot);
  const [only] = snapshot.namespaces;
  assert.equal(only?.links?.length, 5);
  assert.equal(only?.rules?.length, 9);
  assert.equal(only?.neighbours?.length, 2);
  assert.equal(only?.iptablesLegacy, "*filter\nCOMMIT\n");
  assert.equal(only?.nft, capture("nft"));
  assert.deepEqual(only?.conntrack, { count: 17, max: 262_144 });
  assert.deepEqual(only?.xfrm, { policies: 3, states: 2 });
  assert.deepEqual(only?.missing.map(({ part, because }) => `${part}: ${because}`), [
    'ip6tablesLegacy: Cannot read "/proc/net/ip6_tables_names": EPERM',
  ]);
});

Deno.test("a snapshot says where arptables-legacy has tables", async () => {
  const missing = async (tables: string | number) => {
    const text = await textOf(subject(place({}, tables)));
    const [only] = readSnapshot(new TextEncoder().encode(text)).namespaces;
    return only?.missing.find(({ part }) => part === "arptablesLegacy")?.because;
  };
  assert.equal(await missing(""), undefined);
  assert.equal(
    await missing("filter\n"),
    "There are tables of arptables-legacy, which is not asked",
  );
  assert.equal(await missing(-EPERM), 'Cannot read "/proc/net/arp_tables_names": EPERM');
});

Deno.test("a part that fails is missing with its reason, and takes no other with it", async () => {
  const at = place({
    "ipset save": { ok: false, absent: true, because: 'The tool "ipset" is not installed' },
    "tc -j qdisc": { ok: true, text: "[{" },
    // One `ip` for all does not answer, so that each question goes to one of its own.
    "ip -6 -N -d -j -batch -": { ok: false, because: "no IPv6" },
    "ip -6 -N -d -j rule": { ok: false, because: '"ip -6 rule" ended with 2: no IPv6' },
  });
  const [only] = readSnapshot(new TextEncoder().encode(await textOf(subject(at)))).namespaces;
  const because = new Map(only?.missing.map(({ part, because }) => [part, because]));
  assert.deepEqual([...because.keys()].sort(), [
    "filters",
    "ip6tablesLegacy",
    "ipset",
    "qdiscs",
    "rules",
  ]);
  assert.match(because.get("qdiscs") ?? "", /^Cannot parse qdiscs "\[\{"/);
  const ipset = only?.missing.find(({ part }) => part === "ipset");
  assert.equal(ipset?.remedy, "Install the package ipset (Debian's name)");
  assert.equal(only?.routes?.length, 21);
});

Deno.test("a namespace is not asked for IPsec where nobody can have set any up", async () => {
  const of = async (netlink: string | number) => {
    const at = place();
    const files = (paths: readonly string[]) =>
      paths.map((path) => path.endsWith("net/netlink") ? netlink : -ENOENT);
    const text = await textOf(subject({ ...at, files, xfrm: () => -EPERM }));
    const [only] = readSnapshot(new TextEncoder().encode(text)).namespaces;
    return only?.xfrm ?? only?.missing.find(({ part }) => part === "xfrm")?.because;
  };
  const head =
    "sk               Eth Pid        Groups   Rmem\n00000000d0b4a2cc 0   6          0 0\n";
  const denied = "Cannot count the policies of IPsec: EPERM";
  assert.deepEqual(await of(head), { policies: 0, states: 0 });
  assert.equal(await of(`${head}00000000a7e5a9f1 6   0          00000000 0\n`), denied);
  assert.equal(await of(-ENOENT), denied);
});

Deno.test("a namespace that cannot be entered says so, and the next one is whole", async () => {
  const gone: Place = {
    ...place(),
    run: () => Promise.reject(new EnterError("Cannot enter it: EPERM")),
  };
  const closed = { because: "Cannot open it: ENOENT" };
  const subjects = [subject(gone), subject(closed, 8), subject(place(), 9)];
  const { namespaces } = readSnapshot(new TextEncoder().encode(await textOf(...subjects)));
  assert.deepEqual(namespaces.map(({ missing }) => missing[0]), [
    { part: "all", because: "Cannot enter it: EPERM" },
    { part: "all", because: "Cannot open it: ENOENT" },
    namespaces[2]?.missing[0],
  ]);
  assert.equal(namespaces[2]?.links?.length, 5);
});

Deno.test("readSnapshot refuses what is not one, and says why", async () => {
  const read = (text: string) => () => readSnapshot(new TextEncoder().encode(text));
  assert.throws(read("{"), /it is no JSON, or was cut short$/);
  assert.throws(read("[]"), /it is not one that `podskoop collect` wrote$/);
  const text = await textOf(subject(place()));
  assert.throws(read(text.replace('"version":1', '"version":2')), /its version is 2, and this/);
  assert.throws(read(text.replace('"mtu":1500', '"mtu":"1500"')), /"namespaces.0.links.1.mtu"/);
  const packed = new Uint8Array(gzipSync(text)).slice(0, 900);
  assert.throws(() => readSnapshot(packed), /it is damaged, or was cut short$/);
});

Deno.test("packingOf goes by the name", () => {
  const packings = ["a.json", "a.json.gz", "a.json.zst"].map(packingOf);
  assert.deepEqual(packings, ["json", "gzip", "zstd"]);
  assert.throws(() => packingOf("a.xz"), /must end in \.json, \.json\.gz or \.json\.zst$/);
});

Deno.test("choose finds by pod, name, number and path, and refuses what is not there", () => {
  const found: Found[] = [
    { subject: { ...subject({ because: "" }, 1), host: true }, names: [], paths: [] },
    {
      subject: subject({ because: "" }, 2),
      names: [{ namespace: "shop", name: "web-0" }],
      paths: ["/run/netns/blue"],
    },
  ];
  const chosen = (pods: string[], netns: string[]) =>
    choose(found, { pods, netns }).map((each) => each.netns);
  assert.deepEqual(chosen([], []), [1, 2]);
  assert.deepEqual(chosen(["shop/web-0"], ["host"]), [2, 1]);
  for (const netns of ["blue", "2", "/run/netns/blue"]) assert.deepEqual(chosen([], [netns]), [2]);
  assert.throws(() => chosen(["shop/web"], []), /^RangeError: Cannot find the pod "shop\/web"/);
});

Deno.test("idOf reads RTM_NEWNSID, and takes nothing else for one", () => {
  const answer = new Uint8Array(28);
  answer.set([28, 0, 0, 0, 88, 0]);
  answer.set([8, 0, 1, 0, 5, 0, 0, 0], 20);
  assert.equal(idOf(answer), 5);
  assert.equal(idOf(answer.with(24, 255).fill(255, 24)), undefined);
  assert.equal(idOf(answer.with(4, 2)), undefined);
  assert.equal(idOf(answer.slice(0, 22)), undefined);
  assert.equal(idOf(answer.with(20, 0).with(22, 9)), undefined);
});

Deno.test("a namespace has what its processes look names up by, and nothing else", async () => {
  const of = async (...pids: readonly number[]) => {
    const text = await textOf({ ...subject(place()), pids: [...pids] });
    return readSnapshot(new TextEncoder().encode(text)).namespaces[0];
  };
  const found = await of(1, 2);
  assert.equal(
    found?.resolvConf,
    "nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local\noptions ndots:5\n",
  );
  assert.equal(found?.hosts, "127.0.0.1\tlocalhost\nfe00::0 ip6-localnet\n");
  assert.equal((await of(1))?.resolvConf, "");
  assert.equal((await of())?.resolvConf, undefined);
  const refused = await of(3);
  assert.equal(refused?.resolvConf, undefined);
  assert.deepEqual(
    refused?.missing.filter(({ part }) => part === "resolvConf").map(({ because }) => because),
    ['Cannot read "etc/resolv.conf" of a process there: EACCES'],
  );
});
