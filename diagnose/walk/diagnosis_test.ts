import assert from "node:assert/strict";
import { forwarding, macOf, type MadeNamespace, madeSnapshot } from "../../tests/made_network.ts";
import { ip } from "../../tests/made_rules.ts";
import { parseAddress } from "../packet/address.ts";
import { findingsOf } from "../report/finding.ts";
import { diagnose, type Diagnosis, type Question } from "./diagnosis.ts";

/** A pod, a node that routes, and a pod: `a` - `n` - `b`. */
function pair(changes: Readonly<Record<string, Partial<MadeNamespace>>> = {}) {
  const namespaces: Record<string, MadeNamespace> = {
    a: {
      devices: {
        eth0: { kind: "veth", to: ["n", "va"], addresses: ["10.0.0.2/24", "fd00::2/64"] },
      },
      routes: [
        { gateway: "10.0.0.1", dev: "eth0" },
        { family: "inet6", gateway: "fd00::1", dev: "eth0", metric: 1024 },
      ],
    },
    n: {
      devices: {
        va: { kind: "veth", to: ["a", "eth0"], addresses: ["10.0.0.1/24", "fd00::1/64"] },
        vb: { kind: "veth", to: ["b", "eth0"], addresses: ["10.0.1.1/24", "fd00:1::1/64"] },
      },
      sysctls: forwarding("va", "vb"),
    },
    b: {
      devices: {
        eth0: { kind: "veth", to: ["n", "vb"], addresses: ["10.0.1.2/24", "fd00:1::2/64"] },
      },
      routes: [
        { gateway: "10.0.1.1", dev: "eth0" },
        { family: "inet6", gateway: "fd00:1::1", dev: "eth0", metric: 1024 },
      ],
      listeners: ["tcp * 80", "udp 0.0.0.0 53"],
    },
  };
  for (const [name, change] of Object.entries(changes)) {
    const before = namespaces[name];
    if (before !== undefined) namespaces[name] = { ...before, ...change };
  }
  return madeSnapshot(namespaces);
}

/** `10.0.0.2 10.0.1.2 80 tcp` */
function asked(text: string): Question {
  const [source = "", destination = "", port, protocol = "tcp"] = text.split(" ");
  const [from, to] = [source, destination].map(parseAddress);
  assert.ok(from !== undefined && to !== undefined);
  assert.ok(protocol === "tcp" || protocol === "udp" || protocol === "icmp");
  return { source: from, destination: to, protocol, port: Number(port) };
}

/** The verdict, and where and why the first thing that was found is. */
function short(diagnosis: Diagnosis): string {
  const [first] = findingsOf(diagnosis);
  const place = first === undefined
    ? ""
    : ` ${first.where.namespace.split(" ").at(-1)} ${first.id}`;
  return `${diagnosis.verdict}${place}`;
}

Deno.test("diagnose reaches a pod over a node that forwards, in both families", () => {
  for (const text of ["10.0.0.2 10.0.1.2 80", "fd00::2 fd00:1::2 80", "10.0.0.2 10.0.1.2 53 udp"]) {
    const diagnosis = diagnose([pair()], asked(text));
    assert.equal(short(diagnosis), "reachable", text);
    const places = diagnosis.ways[0]?.request.trail.steps.map(({ namespace }) => namespace.label);
    assert.deepEqual([...new Set(places)], ["netns a", "netns n", "netns b"]);
  }
});

Deno.test("diagnose says what stops a packet, where it is", () => {
  const quiet = { listeners: [] };
  const shut = { sysctls: {} };
  const hole = (family: "inet" | "inet6", dst: string) => ({
    routes: [{ family, type: "blackhole", dst }],
  });
  const cases: readonly (readonly [string, ReturnType<typeof pair>, string])[] = [
    ["10.0.0.2 10.0.1.2 80", pair({ b: quiet }), "blocked b no-listener"],
    ["10.0.0.2 10.0.1.2 81", pair(), "blocked b no-listener"],
    ["10.0.0.2 10.0.1.2 80", pair({ n: shut }), "blocked n forwarding-off"],
    ["fd00::2 fd00:1::2 80", pair({ n: shut }), "blocked n forwarding-off"],
    [
      "10.0.0.2 10.0.1.2 80",
      pair({ n: { ...hole("inet", "10.0.1.2"), sysctls: forwarding("va", "vb") } }),
      "blocked n route-refuses",
    ],
    ["fd00::2 fd00:1::2 80", pair({ n: hole("inet6", "fd00:1::2") }), "blocked n route-refuses"],
    ["10.0.0.2 10.0.1.2 80", pair({ a: { routes: [] } }), "blocked a no-route"],
    ["10.0.0.2 10.0.1.2 80", pair({ b: { routes: [] } }), "blocked b no-route"],
    ["10.0.0.2 10.0.1.3 80", pair(), "blocked n neighbour-unresolved"],
    ["10.0.0.2 fd00:1::2 80", pair(), "blocked"],
    ["10.9.9.9 10.0.1.2 80", pair(), "unknown"],
  ];
  for (const [text, snapshot, expected] of cases) {
    assert.equal(short(diagnose([snapshot], asked(text))), expected, `${text}: ${expected}`);
  }
});

Deno.test("diagnose asks the reverse path filter as the kernel does, strictly and loosely", () => {
  const filtered = (level: string, all: string) =>
    pair({
      n: {
        sysctls: {
          ...forwarding("va", "vb"),
          "net/ipv4/conf/va/rp_filter": level,
          "net/ipv4/conf/all/rp_filter": all,
        },
        routes: [{ dst: "10.0.0.2", dev: "vb" }],
      },
    });
  const question = asked("10.0.0.2 10.0.1.2 80");
  assert.equal(short(diagnose([filtered("1", "0")], question)), "blocked n rp-filter");
  assert.equal(short(diagnose([filtered("0", "1")], question)), "blocked n rp-filter");
  // The larger of both counts, and 2 is loose: then it is the answer that goes astray.
  const loose = diagnose([filtered("1", "2")], question);
  assert.equal(short(loose), "blocked n neighbour-unresolved");
  assert.equal(loose.ways[0]?.request.verdict, "delivered");
});

Deno.test("diagnose parts the way where a route has several hops", () => {
  const hops = ["10.0.1.2", "10.0.1.9"].map((gateway, index) => ({
    ...{ gateway, dev: "vb", weight: index === 0 ? 3 : 1 },
  }));
  const snapshot = pair({
    n: { sysctls: forwarding("va", "vb"), routes: [{ dst: "10.0.1.2", nexthops: hops }] },
  });
  const diagnosis = diagnose([snapshot], asked("10.0.0.2 10.0.1.2 80"));
  assert.deepEqual(
    diagnosis.ways.map(({ request: { verdict, trail } }) => [verdict, trail.chance]),
    [
      ["delivered", 0.75],
      ["blocked", 0.25],
    ],
  );
  assert.equal(findingsOf(diagnosis)[0]?.certainty, "sometimes");
});

Deno.test("diagnose finds what stops only packets of full size", () => {
  const narrow = (device: "va" | "vb", mtu: number) =>
    pair({
      n: {
        devices: {
          va: {
            ...{ kind: "veth", to: ["a", "eth0"], addresses: ["10.0.0.1/24"] },
            mtu: device === "va" ? mtu : 1500,
          },
          vb: {
            ...{ kind: "veth", to: ["b", "eth0"], addresses: ["10.0.1.1/24"] },
            mtu: device === "vb" ? mtu : 1500,
          },
        },
        sysctls: forwarding("va", "vb"),
      },
    });
  const ids = (snapshot: ReturnType<typeof pair>) =>
    findingsOf(diagnose([snapshot], asked("10.0.0.2 10.0.1.2 80"))).map(({ id }) => id);
  assert.deepEqual(ids(narrow("vb", 1300)), ["mtu-silent", "mtu-icmp"]);
  assert.deepEqual(ids(narrow("vb", 1500)), []);
});

/** A pod on each of two nodes, with what carries packets between them. */
function nodes(
  tunnel: "vxlan" | "ipip" | "host-gw",
  drop: Partial<MadeNamespace> = {},
) {
  const name = tunnel === "vxlan" ? "flannel.1" : "tunl0";
  const node = (own: number, other: number) => {
    const ether = `192.168.0.1${other}`;
    const inner = `10.244.${other}.0`;
    const routes = {
      vxlan: [{ dst: `${inner}/24`, gateway: inner, dev: name, flags: ["onlink"] }],
      ipip: [{ dst: `${inner}/24`, gateway: ether, dev: name, flags: ["onlink"] }],
      "host-gw": [{ dst: `${inner}/24`, gateway: ether, dev: "eth0" }],
    }[tunnel];
    const device = {
      vxlan: { kind: "vxlan", data: { id: 1, port: 8472, local: `192.168.0.1${own}` } },
      ipip: { kind: "ipip", data: { remote: "any", local: "any" } },
      "host-gw": undefined,
    }[tunnel];
    const far = { name: `node${other}`, pod: "node" };
    return madeSnapshot({
      node: {
        devices: {
          eth0: { addresses: [`192.168.0.1${own}/24`] },
          vp: { kind: "veth", to: ["pod", "eth0"], addresses: [`10.244.${own}.1/24`] },
          ...(device === undefined ? {} : {
            [name]: { ...device, addresses: [`10.244.${own}.0/32`], mtu: 1450 },
          }),
        },
        routes,
        sysctls: forwarding("eth0", "vp", name),
        ...(tunnel === "vxlan"
          ? {
            neighbours: [{
              ...{ dst: inner, dev: name, lladdr: macOf(far.pod, name), state: ["PERMANENT"] },
            }],
            fdb: [{ mac: macOf(far.pod, name), ifname: name, dst: ether, flags: ["self"] }],
          }
          : {}),
        ...(own === 1 ? drop : {}),
      },
      pod: {
        devices: {
          eth0: { kind: "veth", to: ["node", "vp"], addresses: [`10.244.${own}.2/24`] },
        },
        routes: [{ gateway: `10.244.${own}.1`, dev: "eth0" }],
        listeners: ["tcp 0.0.0.0 80"],
      },
    }, `node${own}`);
  };
  return [node(1, 2), node(2, 1)];
}

Deno.test("diagnose follows a packet from node to node, in a tunnel and without", () => {
  for (const tunnel of ["vxlan", "ipip", "host-gw"] as const) {
    const diagnosis = diagnose(nodes(tunnel), asked("10.244.2.2 10.244.1.2 80"));
    assert.equal(diagnosis.verdict, "reachable", `${tunnel}: ${short(diagnosis)}`);
    const steps = diagnosis.ways[0]?.request.trail.steps ?? [];
    const outer = steps.filter(({ depth }) => depth === 1).map(({ packet }) => packet.protocol);
    const expected = { vxlan: [17], ipip: [4], "host-gw": [] }[tunnel];
    assert.deepEqual([...new Set(outer)], expected, tunnel);
  }
});

Deno.test("diagnose finds a rule against the other node in the tunnel, and only there", () => {
  const text = ["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"];
  const rule = "[7:420] -A INPUT -s 192.168.0.12/32 -j DROP";
  const drop = { more: { iptablesLegacy: [...text, rule, "COMMIT", ""].join("\n") } };
  for (const tunnel of ["vxlan", "ipip"] as const) {
    const diagnosis = diagnose(nodes(tunnel, drop), asked("10.244.2.2 10.244.1.2 80"));
    assert.equal(short(diagnosis), "blocked node1 netfilter-drop", tunnel);
    const [first] = findingsOf(diagnosis);
    assert.match(first?.message ?? "", /^rule 1 of filter INPUT drops it/);
    assert.match(first?.evidence[0]?.text ?? "", /-s 192\.168\.0\.12\S* -j DROP/);
    assert.equal(first?.confirm, "iptables-legacy -t filter -vnL INPUT 1");
  }
  // Without a tunnel the node's own address is nowhere in the packet.
  const plain = diagnose(nodes("host-gw", drop), asked("10.244.2.2 10.244.1.2 80"));
  assert.equal(short(plain), "reachable");
  const own = diagnose(nodes("host-gw", drop), asked("192.168.0.12 10.244.1.2 80"));
  assert.equal(own.verdict, "reachable", "forwarded, and so not through INPUT");
});

Deno.test("diagnose looks for an answer's connection in the answer's zone", () => {
  const verdict = (...zones: readonly string[]) => {
    const mangle = ["*mangle", ":FORWARD ACCEPT [0:0]"];
    const rule = "-A FORWARD -i vb -m conntrack --ctstate INVALID -j DROP";
    const raw = ["*raw", ":PREROUTING ACCEPT [0:0]", ...zones];
    const text = [...raw, "COMMIT", ...mangle, rule, "COMMIT", ""].join("\n");
    return short(diagnose([pair({ n: { more: { iptablesLegacy: text } } })], asked(PAIR)));
  };
  const zone = (device: string, number: number) =>
    `-A PREROUTING -i ${device} -j CT --zone ${number}`;
  assert.equal(verdict(), "reachable");
  assert.equal(verdict(zone("va", 5)), "blocked n netfilter-drop");
  assert.equal(verdict(zone("va", 5), zone("vb", 7)), "blocked n netfilter-drop");
  assert.equal(verdict(zone("va", 5), zone("vb", 5)), "reachable");
});

const PAIR = "10.0.0.2 10.0.1.2 80";

Deno.test("diagnose names IPsec where there is any, and decides rules about it where not", () => {
  const asks = (xfrm: { policies: number; states: number }, direction: string, kind: string) => {
    const rule = `-A FORWARD -i va -m policy --dir ${direction} --pol ${kind} -j DROP`;
    const text = ["*filter", ":FORWARD ACCEPT [0:0]", rule, "COMMIT", ""].join("\n");
    return diagnose([pair({ n: { more: { iptablesLegacy: text, xfrm } } })], asked(PAIR));
  };
  const none = { policies: 0, states: 0 };
  for (const direction of ["in", "out"]) {
    assert.equal(short(asks(none, direction, "none")), "blocked n netfilter-drop");
    assert.equal(short(asks(none, direction, "ipsec")), "reachable");
    assert.equal(short(asks(none, direction, "ipsec --strict --reqid 4")), "reachable");
    assert.deepEqual(asks(none, direction, "ipsec").ways[0]?.request.trail.assumptions, []);
  }
  const some = { policies: 3, states: 0 };
  assert.equal(short(asks(some, "in", "none")), "blocked n netfilter-drop");
  assert.equal(short(asks(some, "out", "none")), "unknown n netfilter-unknown");
  assert.equal(
    short(asks({ policies: 0, states: 2 }, "in", "ipsec")),
    "unknown n netfilter-unknown",
  );
  assert.deepEqual(asks(some, "in", "ipsec").ways[0]?.request.trail.assumptions, [
    "none of the 3 policies of IPsec in netns n holds for it",
  ]);
});

Deno.test("diagnose asks for a neighbour in the tunnel, where rules may stop the answer", () => {
  const text = ["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"];
  const asks = {
    neighbours: [],
    fdb: [{
      ...{ mac: "00:00:00:00:00:00", ifname: "flannel.1", dst: "192.168.0.12", flags: ["self"] },
    }],
  };
  const question = asked("10.244.1.2 10.244.2.2 80");
  assert.equal(diagnose(nodes("vxlan", asks), question).verdict, "reachable");
  const rule = "[7:420] -A INPUT -p udp -m udp --dport 8472 -j DROP";
  const drop = { ...asks, more: { iptablesLegacy: [...text, rule, "COMMIT", ""].join("\n") } };
  const diagnosis = diagnose(nodes("vxlan", drop), question);
  assert.equal(short(diagnosis), "blocked node1 netfilter-drop");
  assert.equal(diagnosis.ways[0]?.request.verdict, "blocked");
  assert.match(
    findingsOf(diagnosis)[0]?.message ?? "",
    /^nobody answers for 10\.244\.2\.0: rule 1 of filter INPUT drops it/,
  );
});

Deno.test("diagnose walks a handshake's third packet, which is established", () => {
  const only = (...rules: readonly string[]) =>
    pair({
      n: {
        sysctls: forwarding("va", "vb"),
        more: {
          iptablesLegacy: ["*filter", ":FORWARD DROP [0:0]", ...rules, "COMMIT", ""].join("\n"),
        },
      },
    });
  const syn = "-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT";
  const back = "-A FORWARD -s 10.0.1.2/32 -j ACCEPT";
  const question = asked("10.0.0.2 10.0.1.2 80");
  const blocked = diagnose([only(syn, back)], question);
  assert.equal(short(blocked), "blocked n netfilter-drop");
  const [first] = findingsOf(blocked);
  assert.equal(first?.direction, "request");
  assert.match(first?.message ?? "", /; it is the third packet of the handshake/);
  // Once it comes, the kernel counts on the connection; how far that is known here is not.
  const assured = "-A FORWARD -s 10.0.0.2/32 -m conntrack --ctstatus ASSURED -j DROP";
  const unsure = diagnose([only(assured, "-A FORWARD -j ACCEPT")], question);
  assert.equal(short(unsure), "unknown n netfilter-unknown");
  assert.match(findingsOf(unsure)[0]?.message ?? "", /; it is the third packet of the handshake/);
  const established = "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT";
  assert.equal(short(diagnose([only(syn, back, established)], question)), "reachable");
});

Deno.test("diagnose says what it would need where a packet leaves all snapshots", () => {
  const [, second] = nodes("host-gw");
  assert.ok(second !== undefined);
  const diagnosis = diagnose([second], asked("10.244.2.2 10.244.1.2 80"));
  assert.equal(short(diagnosis), "unknown node2 leaves-snapshot");
});

Deno.test("diagnose takes a loopback address for the node's, unless told whose it is", () => {
  const lo = { lo: { kind: "loopback", addresses: ["127.0.0.1/8", "::1/128"] } };
  const snapshot = madeSnapshot({
    node: { devices: lo, listeners: ["tcp * 9102"] },
    pod: { devices: lo, listeners: [] },
  });
  for (const pair of ["127.0.0.1 127.0.0.1 9102", "::1 ::1 9102"]) {
    assert.equal(short(diagnose([snapshot], asked(pair))), "reachable");
    const inPod = diagnose([snapshot], { ...asked(pair), from: "pod" });
    assert.equal(short(inPod), "blocked pod no-listener");
    const several = diagnose([snapshot, snapshot], asked(pair));
    assert.match(several.cause ?? "", /^several namespaces have the source address/);
  }
});

Deno.test("what IPv4 sends by loopback is delivered here, but not answered if for others", () => {
  const said = (address: string) => {
    const snapshot = madeSnapshot({
      a: {
        devices: { eth0: { addresses: ["10.0.0.1/24"] } },
        routes: [{ dst: "10.9.9.9", dev: "lo" }, { dst: "10.0.0.1", dev: "lo" }],
        listeners: ["tcp * 80"],
      },
    });
    const [source, destination] = [ip("10.0.0.1"), ip(address)];
    const diagnosis = diagnose([snapshot], { source, destination, protocol: "tcp", port: 80 });
    const [way] = diagnosis.ways;
    const [answer] = way?.answers ?? [];
    return [diagnosis.verdict, way?.request.verdict, answer?.cause?.id];
  };
  assert.deepEqual(said("10.0.0.1"), ["reachable", "delivered", undefined]);
  assert.deepEqual(said("10.9.9.9"), ["blocked", "delivered", "no-source-address"]);
});

Deno.test("a loop of routes with several hops each does not double the ways without end", () => {
  const router = (own: number, other: number): MadeNamespace => ({
    devices: {
      e0: { kind: "veth", to: [`r${other}`, "e0"], addresses: [`10.0.0.${own}/24`] },
      e1: { kind: "veth", to: [`r${other}`, "e1"], addresses: [`10.0.1.${own}/24`] },
      e2: { kind: "veth", to: [`c${own}`, "eth0"], addresses: [`10.0.${own + 1}.1/24`] },
    },
    routes: [{
      dst: "10.9.9.9",
      nexthops: [0, 1].map((net) => ({
        ...{ gateway: `10.0.${net}.${other}`, dev: `e${net}`, weight: 1 },
      })),
    }],
    sysctls: forwarding("e0", "e1", "e2"),
  });
  const client = (own: number): MadeNamespace => ({
    devices: {
      eth0: { kind: "veth", to: [`r${own}`, "e2"], addresses: [`10.0.${own + 1}.2/24`] },
    },
    routes: [{ gateway: `10.0.${own + 1}.1`, dev: "eth0" }],
  });
  const snapshot = madeSnapshot({
    ...{ r1: router(1, 2), r2: router(2, 1), c1: client(1), c2: client(2) },
  });
  const [source, destination] = [ip("10.0.2.2"), ip("10.9.9.9")];
  const asked = { source, destination, protocol: "udp", port: 53 } as const;
  const { verdict, ways } = diagnose([snapshot], asked);
  assert.equal(verdict, "blocked");
  const causes = new Set(ways.map(({ request }) => request.cause?.id));
  assert.deepEqual([...causes].sort(), ["too-many-branches", "ttl-exceeded"]);
  assert.ok(ways.length < 200, `${ways.length}`);
});
