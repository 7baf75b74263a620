import assert from "node:assert/strict";
import { capture } from "../../tests/snapshot_captures.ts";
import {
  parseConntrack,
  parseFdb,
  parseFilters,
  parseLinks,
  parseListeners,
  parseNeighbours,
  parseNexthops,
  parseNft,
  parsePrograms,
  parseQdiscs,
  parseRoutes,
  parseRules,
  parseVlans,
} from "./parse.ts";

Deno.test("parseLinks has kinds, attributes and addresses of both families", () => {
  const links = parseLinks(capture("links"));
  assert.deepEqual(links.map(({ ifname }) => ifname), ["lo", "vb", "va", "vx0", "mv9"]);
  const [, vb, , vx0, mv9] = links;
  assert.equal(vb?.linkinfo?.info_kind, "veth");
  assert.equal(vb?.link, "va");
  assert.deepEqual(
    vb?.addr_info?.map((each) => "local" in each ? `${each.local}/${each.prefixlen}` : ""),
    ["10.9.0.1/24", "fd09::1/64", "fe80::6ccd:9cff:fed6:9ea9/64"],
  );
  assert.equal(vx0?.linkinfo?.info_data?.id, 42);
  assert.equal(vx0?.linkinfo?.info_data?.port, 4789);
  assert.equal(vx0?.mtu, 1450);
  assert.equal(mv9?.linkinfo?.info_kind, "macvlan");
});

Deno.test("parseLinks reads names that iproute2 does not write as JSON asks for", () => {
  const [apostrophe, escape] = parseLinks(
    `[{"ifindex":1,"ifname":"it\\'s\\"<b>\\\\","flags":[],"mtu":1},` +
      `{"ifindex":2,"ifname":"e\x1b[31m","flags":[],"mtu":1}]`,
  );
  assert.equal(apostrophe?.ifname, `it's"<b>\\`);
  assert.equal(escape?.ifname, "e\x1b[31m");
});

Deno.test("parseRoutes has types by name, tables by number, and every next hop", () => {
  const routes = parseRoutes("inet", capture("routes4"));
  const to = (dst: string) => routes.find((route) => route.dst === dst);
  assert.deepEqual(
    ["10.22.0.0/16", "10.23.0.0/16", "10.9.0.1", "10.9.0.255"].map((dst) => to(dst)?.type),
    ["blackhole", "throw", "local", "broadcast"],
  );
  assert.equal(to("10.23.0.0/16")?.table, "100");
  assert.deepEqual(to("10.21.0.0/16")?.nexthops?.map(({ gateway, weight }) => [gateway, weight]), [
    ["10.9.0.2", 3],
    ["10.9.0.3", 1],
  ]);
  assert.equal(to("10.20.0.0/16")?.nhid, 10);
  assert.equal(to("10.9.0.0/24")?.prefsrc, "10.9.0.1");
  const v6 = parseRoutes("inet6", capture("routes6"));
  assert.equal(v6.find(({ dst }) => dst === "fd22::/64")?.type, "unreachable");
  assert.deepEqual(v6.find(({ dst }) => dst === "default")?.metrics, [{ mtu: 1400 }]);
  assert.ok(v6.every(({ family }) => family === "inet6"));
});

Deno.test("parseRoutes takes the destination of a route for that, not that of its tunnel", () => {
  // `ip -N -d -j route show table all` of iproute2 6.1, Linux 6.18.
  const text = '[{"type":"1","dst":"10.22.0.0/16","encap":"ip","id":7,"src":"0.0.0.0",' +
    '"dst":"10.1.1.9","ttl":0,"tos":0,"dev":"v1","table":"254","flags":[]},' +
    '{"type":"1","dst":"10.24.0.0/16","encap":"seg6","mode":"encap","segs":["fd01::9"],' +
    '"dev":"v1"}]';
  const routes = parseRoutes("inet", text);
  assert.deepEqual(routes.map(({ dst }) => dst), ["10.22.0.0/16", "10.24.0.0/16"]);
  const [first, second] = routes.map((route) => JSON.stringify(route));
  assert.match(first ?? "", /"encap":"ip".*"encap_dst":"10\.1\.1\.9"/);
  assert.match(second ?? "", /"encap":"seg6"/);
});

Deno.test("parseRules has selectors, and says what is negated", () => {
  const rules = parseRules("inet", capture("rules4"));
  assert.deepEqual(rules.map(({ priority }) => priority), [0, 31999, 32000, 32765, 32766, 32767]);
  const [, negated, , marked] = rules;
  assert.equal(negated?.not, null);
  assert.equal(negated?.goto, 32000);
  assert.deepEqual([marked?.fwmark, marked?.fwmask, marked?.table], ["0x1", "0xff", "100"]);
  assert.equal(parseRules("inet6", capture("rules6"))[1]?.srclen, 64);
});

Deno.test("parseNexthops has groups with their weights", () => {
  const [, , group] = parseNexthops(capture("nexthops"));
  assert.deepEqual(group?.group, [{ id: 1, weight: 5 }, { id: 2 }]);
});

Deno.test("parseNeighbours and parseFdb have entries, proxies and remote ends", () => {
  const [neighbour] = parseNeighbours(capture("neighbours"));
  assert.deepEqual([neighbour?.lladdr, neighbour?.state], ["02:00:00:00:00:02", ["PERMANENT"]]);
  assert.equal(parseNeighbours(capture("proxies"))[0]?.dst, "10.9.0.77");
  const remote = parseFdb(capture("fdb")).find(({ ifname }) => ifname === "vx0");
  assert.deepEqual([remote?.mac, remote?.dst], ["00:00:00:00:00:00", "10.9.0.2"]);
});

Deno.test("parseVlans has ranges, as bridge(8) shows them", () => {
  const text = '[{"ifname":"va","vlans":[{"vlan":1,"flags":["PVID"]},{"vlan":10,"vlanEnd":12}]}]';
  assert.equal(parseVlans(text)[0]?.vlans[1]?.vlanEnd, 12);
  assert.deepEqual(parseVlans("[]"), []);
});

Deno.test("parseQdiscs has the devices' kinds", () => {
  assert.deepEqual(parseQdiscs(capture("qdiscs")).map(({ kind, dev }) => `${kind} ${dev}`), [
    "noqueue lo",
    "noqueue vb",
    "noqueue va",
    "noqueue vx0",
  ]);
});

Deno.test("parseListeners has backlogs, devices, and who listens in both families", () => {
  const listeners = parseListeners(capture("listeners"));
  const by = (port: number) => listeners.find((each) => each.port === port);
  const own = { uid: 0, queued: 0 };
  assert.deepEqual(by(8080), {
    ...{ ...own, protocol: "tcp", state: "LISTEN", address: "*", port: 8080 },
    ...{ queueMax: 17, inode: 967546, v6only: false },
  });
  assert.deepEqual(by(53), {
    ...{ ...own, protocol: "udp", state: "UNCONN", address: "10.9.0.1", device: "vb", port: 53 },
    ...{ queueMax: 0, inode: 967547 },
  });
  assert.deepEqual([by(54)?.address, by(54)?.v6only], ["::", true]);
  assert.deepEqual([by(81)?.address, by(81)?.queueMax], ["0.0.0.0", 5]);
});

Deno.test("parseListeners reads the scope of a link-local address", () => {
  const [one] = parseListeners("udp UNCONN 0 0 [fe80::1]%eth0:546 [::]:* uid:101 ino:7 sk:1 <->\n");
  assert.deepEqual([one?.address, one?.device, one?.uid], ["fe80::1", "eth0", 101]);
});

Deno.test("parseNft has every object, texts as they are", () => {
  const objects = parseNft(capture("nft"));
  assert.equal(objects.filter((each) => "table" in each).length, 3);
  assert.ok(JSON.stringify(objects).includes('"comment":"x<b>"'));
  assert.deepEqual(parseNft(""), []);
});

Deno.test("parseConntrack wants whole numbers", () => {
  assert.deepEqual(parseConntrack("17\n", "262144\n"), { count: 17, max: 262_144 });
  assert.throws(() => parseConntrack("-1", "2"), SyntaxError);
});

Deno.test("parsers say what is wrong, with the text", () => {
  const cases: readonly [() => unknown, RegExp][] = [
    [() => parseLinks("[{"), /^SyntaxError: Cannot parse devices "\[\{": /],
    [() => parseLinks("{}"), /^SyntaxError: Cannot parse a device "\{\}": it is no list$/],
    [() => parseRoutes("inet", '[{"dst":7}]'), /"dst": Invalid type/],
    [() => parseListeners("sctp LISTEN"), /does not begin with tcp or udp/],
    [() => parseListeners("tcp LISTEN 0 1 x:99999 *:*"), /"x:99999" is no address and port/],
    [() => parseListeners("tcp LISTEN z 1 x:9 *:*"), /"z" is no number/],
    [() => parseNft("[]"), /it has no list "nftables"/],
  ];
  for (const [parse, expected] of cases) assert.throws(parse, expected);
});

Deno.test("parseFilters has what filters ask and do, without the entries that say nothing", () => {
  const filters = parseFilters("v1", "ingress", capture("filters-ingress"));
  assert.deepEqual(filters.map(({ dev, direction, kind, pref }) => [dev, direction, kind, pref]), [
    ["v1", "ingress", "flower", 3],
    ["v1", "ingress", "flower", 4],
    ["v1", "ingress", "matchall", 9],
  ]);
  assert.deepEqual(filters[0]?.options["keys"], {
    ...{ eth_type: "ipv4", ip_proto: "tcp", dst_ip: "10.0.0.0/8", dst_port: 80 },
  });
  assert.throws(() => parseFilters("v1", "egress", "{}"), /^SyntaxError: Cannot parse filters/);
});

Deno.test("parsePrograms has each program with its device and hook", () => {
  assert.deepEqual(parsePrograms(capture("programs")), [
    { dev: "v2", hook: "xdp", id: 178_420 },
    { dev: "v1", hook: "tcx/ingress", id: 178_417, name: "passes" },
    { dev: "v1", hook: "clsact/egress", id: 178_418, name: "drops:[*fsobj]" },
  ]);
  assert.throws(() => parsePrograms('[{"xdp":5}]'), /^SyntaxError: Cannot parse the programs/);
});
