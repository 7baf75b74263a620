import assert from "node:assert/strict";
import { FakeTerminal, serveUnix } from "../../tests/fake_terminal.ts";
import { readSamples } from "./samples.ts";
import { frame } from "./screen.ts";
import { top, type TopOptions } from "./top.ts";
import { unitLines } from "./cards.ts";
import { FIGURES, figureTable, readingOf, rows, shortNumber, sorted } from "./top_figures.ts";

/** A pod's counters as `/metrics` has them; `drops` for two reasons. */
function exposition(pods: Readonly<Record<string, readonly number[]>>): string {
  return Object.entries(pods).map(([name, [rx = 0, tx = 0, drops = 0]]) => {
    const [namespace, pod] = name.split("/");
    const labels = `node="n",namespace="${namespace}",pod="${pod}"`;
    return `podskoop_netdev_receive_bytes_total{${labels}} ${rx}
podskoop_netdev_device_receive_bytes_total{${labels},device="eth0"} 99999
podskoop_netdev_transmit_bytes_total{${labels}} ${tx}
podskoop_packetloss_packets_total{${labels},reason="NO_SOCKET"} ${drops}
podskoop_packetloss_packets_total{${labels},reason="NETFILTER_DROP"} ${drops}
`;
  }).join("");
}

Deno.test("samples are read with escaped labels, exponents and time stamps", () => {
  const text = `# HELP a_total Counts "a"\n# TYPE a_total counter\n` +
    String.raw`a_total{x="q\"uo\\te,}",y="l\n} 7"} 1.5e+06` + "\n" +
    "a_total 17 1700000000000\na_total{} +Inf\nb_total 3\na_total garbage{\na_totals 9\n";
  assert.deepEqual([...readSamples(text, new Set(["a_total"]))], [
    { name: "a_total", labels: { x: 'q"uo\\te,}', y: "l\n} 7" }, value: 1.5e6 },
    { name: "a_total", labels: {}, value: 17 },
    { name: "a_total", labels: {}, value: Infinity },
  ]);
});

Deno.test("figures are what grew a second; what is new began at 0, what fell anew", () => {
  const before = readingOf(exposition({ "shop/cart": [1_000, 500, 3], "/": [900, 0, 0] }), 1_000);
  const after = readingOf(
    exposition({ "shop/cart": [3_000, 500, 10], "/": [100, 0, 0], "shop/new": [40, 0, 0] }),
    3_000,
  );
  const found = sorted(rows(before, after), "rx");
  assert.deepEqual(
    found.map(({ namespace, pod, rx, tx, drops }) => [namespace, pod, rx, tx, drops]),
    [
      ["shop", "cart", 1_000, 0, 7],
      ["shop", "new", 20, 0, 0],
      ["", "", 0, 0, 0],
    ],
  );
});

Deno.test("every counter that is shown is one that a unit of this build gives", async () => {
  const given = (await unitLines()).flatMap(({ metrics }) => metrics).map((name) =>
    `podskoop_${name}`
  );
  for (const { of: names } of Object.values(FIGURES)) {
    for (const name of names) assert(given.includes(name), name);
  }
});

Deno.test("rows are sorted by the figure that is asked for, and one pod can be asked for", () => {
  const before = readingOf(exposition({}), 0);
  const after = readingOf(
    exposition({ "a/x": [1, 9, 0], "b/x": [3, 1, 0], "a/y": [3, 1, 0] }),
    1_000,
  );
  const all = rows(before, after);
  const names = (list: typeof all) => list.map(({ namespace, pod }) => `${namespace}/${pod}`);
  assert.deepEqual(names(sorted(all, "rx")), ["a/y", "b/x", "a/x"]);
  assert.deepEqual(names(sorted(all, "tx")), ["a/x", "a/y", "b/x"]);
  assert.deepEqual(names(sorted(all, "rx", "b/x")), ["b/x"]);
  assert.deepEqual(names(sorted(all, "rx", "x")), ["b/x", "a/x"]);
});

Deno.test("numbers take at most five characters", () => {
  const cases: [number, string][] = [
    [0, "0"],
    [0.01, "~0"],
    [0.3, "0.3"],
    [1, "1"],
    [9.97, "10"],
    [17.4, "17"],
    [999.4, "999"],
    [999.6, "1.0k"],
    [12_345, "12k"],
    [999_499, "999k"],
    [999_600, "1.0M"],
    [3.4e8, "340M"],
    [1.25e12, "1.3T"],
  ];
  for (const [value, text] of cases) assert.equal(shortNumber(value), text);
});

Deno.test("the table fits 80 columns with the longest name of a pod, made printable", () => {
  const pod = `\x1b[31m${"x".repeat(300)}`;
  const row = { namespace: "shop", pod, rx: 3.4e8, tx: 1, packets: 2, drops: 3, retransmits: 4 };
  const text = figureTable([{ ...row, resets: 5, slow: NaN }], "drops", {
    columns: 80,
    colour: false,
  });
  const [heading = "", line = ""] = text.split("\n");
  assert.equal([...line].length, 80);
  assert.match(heading, /^POD +RX B\/s +TX B\/s +PKT\/s +DROP\/s↓ +RTX\/s +RST\/s$/);
  assert.match(line, /^shop\/\?\[31mx+… +340M +1 +2 +3 +4 +5$/);
});

Deno.test("slow reads are shown where somebody counts them, and never slow writes", () => {
  const slow = (reads: number, writes: number) =>
    ["read", "write"].map((operation) =>
      `podskoop_socketlatency_above_100ms_total{namespace="a",pod="x",operation="${operation}"} ` +
      `${operation === "read" ? reads : writes}\n`
    ).join("");
  const plain = exposition({ "a/x": [1, 1, 0], "a/y": [1, 1, 0] });
  const without = rows(readingOf(plain, 0), readingOf(plain, 1_000));
  assert.doesNotMatch(figureTable(without, "rx", { columns: 80, colour: false }), /SLOW/);
  const all = rows(readingOf(plain, 0), readingOf(plain + slow(17, 5), 1_000));
  assert.deepEqual(sorted(all, "slow").map(({ pod, slow }) => [pod, slow]), [["x", 17], [
    "y",
    0,
  ]]);
  const [head = "", first = "", second = ""] = figureTable(
    sorted(all, "slow"),
    "slow",
    { columns: 80, colour: false },
  ).split("\n");
  assert.match(head, / SLOW\/s↓$/);
  assert.match(first, /^a\/x .* 17$/);
  assert.match(second, /^a\/y .* 0$/);
});

Deno.test("a frame overwrites each line, clears what is left, and never scrolls", () => {
  assert.equal(frame("one\ntwo\nthree\n", 2), "\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J");
});

Deno.test("one table is printed where nobody looks, and JSON on request", async () => {
  let reading = 0;
  await using agent = serveUnix((request) => {
    assert.equal(new URL(request.url).search, "?names=podskoop");
    reading++;
    return new Response(exposition({ "shop/cart": [reading * 1e6, 0, 0], "/": [5, 0, 0] }));
  });
  const options: TopOptions = { agent: { unix: agent.path }, interval: 0.2, sort: "rx" };
  const text = new FakeTerminal();
  await top(options, text);
  assert.match(text.stdout, /^POD .*\nshop\/cart +\d+(\.\d)?M .*\nhost +0 .*\n$/);
  const dumb = new FakeTerminal(80, true);
  await top(options, dumb);
  assert.match(dumb.stdout, /^POD .*\nshop\/cart .*\nhost .*\n$/);
  const json = new FakeTerminal();
  await top({ ...options, json: true, pod: "shop/cart" }, json);
  const [only, ...others] = JSON.parse(json.stdout);
  assert.deepEqual(others, []);
  assert.equal(only.pod, "cart");
  assert.equal("slow" in only, false);
  assert(only.rx > 1e6 && only.rx < 6e6, only.rx);
  assert.equal(json.stderr, "");
  const nobody = new FakeTerminal();
  await top({ ...options, json: true, pod: "shop/\x1bcrat" }, nobody);
  assert.equal(nobody.stdout, "[]\n");
  assert.match(nobody.stderr, /^No pod of this node is called "shop\/.crat"\n$/);
  assert(!nobody.stderr.includes("\x1b"));
});
