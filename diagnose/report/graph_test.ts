import assert from "node:assert/strict";
import { forwarding, madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { diagnose, type Diagnosis } from "../walk/diagnosis.ts";
import { d2Text } from "./d2.ts";
import { graphOf } from "./graph.ts";
import { htmlText } from "./html.ts";
import { mermaidText } from "./mermaid.ts";
import { predecessorDocument } from "./predecessor.ts";
import { svgText } from "./svg.ts";

/** A name that is markup, a string's end and a terminal's escape at once. */
const EVIL = `a"]<img src=x onerror=alert(1)>'&\${x}#;|\x1b[31m\\`;

/** From a namespace over the node to another, whose name is given. */
function made(name = "b", listens = true): Diagnosis {
  const pod = (own: number, port: string) => ({
    devices: {
      eth0: { kind: "veth", to: ["node", port] as const, addresses: [`10.0.${own}.2/24`] },
    },
    routes: [{ gateway: `10.0.${own}.1`, dev: "eth0" }],
    listeners: own === 1 && listens ? ["tcp * 80"] : [],
  });
  const port = (other: string, own: number) => ({
    ...{ kind: "veth", to: [other, "eth0"] as const, addresses: [`10.0.${own}.1/24`] },
  });
  const snapshot = madeSnapshot({
    node: { devices: { va: port("a", 0), vb: port(name, 1) }, sysctls: forwarding("va", "vb") },
    ...{ a: pod(0, "va"), [name]: pod(1, "vb") },
  });
  const [source, destination] = ["10.0.0.2", "10.0.1.2"].map(parseAddress);
  assert.ok(source !== undefined && destination !== undefined);
  return diagnose([snapshot], { source, destination, protocol: "tcp", port: 80 });
}

Deno.test("a graph has each namespace once, and the hops of request and answer", () => {
  const { places, hops, verdict } = graphOf(made());
  assert.equal(verdict, "reachable");
  assert.deepEqual(places.map(({ id, label, kind }) => `${id} ${kind} ${label}`), [
    "p1 namespace netns a",
    "p2 host node node1",
    "p3 namespace netns b",
  ]);
  assert.deepEqual(hops.map(({ from, to, direction }) => `${from} ${to} ${direction}`), [
    "p1 p2 request",
    "p2 p3 request",
    "p3 p2 answer",
    "p2 p1 answer",
  ]);
  assert.deepEqual(hops.map(({ label }) => label), ["eth0", "vb", "eth0", "va"]);
  assert.ok(places.every(({ standing }) => standing === "passed"));
});

Deno.test("a graph ends a blocked way where it ends, with the reason", () => {
  const { places, hops } = graphOf(made("b", false));
  assert.deepEqual(places.slice(2).map(({ kind, standing }) => `${kind} ${standing}`), [
    "namespace blocked",
    "end blocked",
  ]);
  assert.match(places[3]?.label ?? "", /^nothing listens on tcp port 80/);
  const [last] = hops.slice(-1);
  assert.deepEqual([last?.from, last?.to, last?.standing], ["p3", "p4", "blocked"]);
});

Deno.test("mermaid groups places by node, and marks the end", () => {
  const lines = mermaidText(graphOf(made("b", false))).split("\n");
  assert.deepEqual(lines.slice(2, 8), [
    "---",
    "flowchart LR",
    '  subgraph n1["node node1"]',
    '    p1("netns a")',
    '    p2["node node1"]',
    '    p3("netns b")',
  ]);
  assert.match(lines[8] ?? "", /^ {4}p4\{\{"nothing listens on tcp port 80 for [^"]*"\}\}$/);
  assert.ok(lines.includes('  p1 -->|"eth0"| p2'), lines.join("\n"));
  assert.ok(lines.some((line) => /^ {2}p3 --x.* p4$/.test(line)), lines.join("\n"));
  assert.ok(lines.includes("  class p3,p4 blocked"));
});

Deno.test("d2 has the places of a node within it, and dashes for answers", () => {
  const lines = d2Text(graphOf(made())).split("\n");
  assert.equal(lines[0], "direction: right");
  assert.ok(lines.includes('n1: "node node1" {'));
  assert.ok(lines.includes('  p1: "netns a" {style.stroke: "#2e7d32"}'));
  assert.ok(lines.includes('n1.p1 -> n1.p2: "eth0" {style.stroke: "#2e7d32"}'));
  const dashed = 'n1.p2 -> n1.p1: "va" {style.stroke: "#2e7d32"; style.stroke-dash: 4}';
  assert.ok(lines.includes(dashed), lines.join("\n"));
});

Deno.test("the drawing has a box for each place and an arrow for each hop", () => {
  const graph = graphOf(made("b", false));
  const svg = svgText(graph);
  assert.equal(svg.match(/<g><rect /g)?.length, graph.places.length);
  assert.equal(svg.match(/marker-end="url/g)?.length, graph.hops.length);
  assert.match(svg, /✕ nothing listens on tcp port 80/);
  // Each element is closed, in its order.
  const open: string[] = [];
  for (const [, close, name = "", self] of svg.matchAll(/<(\/?)([\w]+)[^<>]*?(\/?)>/g)) {
    if (close === "/") assert.equal(open.pop(), name);
    else if (self !== "/") open.push(name);
  }
  assert.deepEqual(open, []);
});

Deno.test("no format lets a name out of its place", () => {
  for (const listens of [true, false]) {
    const diagnosis = made(EVIL, listens);
    const graph = graphOf(diagnosis);
    for (const text of [svgText(graph), htmlText(diagnosis)]) {
      assert.ok(text.includes("onerror"), text);
      assert.ok(!text.includes("<img") && !text.includes("\x1b"), text);
      assert.doesNotMatch(text, /<script|<link|(src|href)=["']?http|url\((?!#)/i);
    }
    const mermaid = mermaidText(graph);
    assert.match(mermaid, /p3\("netns a#34;#93;#60;img src=x onerror=alert#40;1#41;#62;/);
    assert.ok(!mermaid.includes("\x1b"), mermaid);
    const label = d2Text(graph).split("\n").find((line) => line.startsWith("  p3: ")) ?? "";
    assert.match(label, /^ {2}p3: "netns a\\"\]<img .*\\\${x}#;\|\?\[31m\\\\" \{style/);
  }
});

Deno.test("the page says what to do, and forbids itself everything", () => {
  const html = htmlText(made("b", false));
  assert.match(html, /^<!DOCTYPE html>/);
  assert.match(html, /content="default-src 'none'; style-src 'unsafe-inline'"/);
  assert.match(html, /<header class="blocked"><span class="verdict">blocked</);
  assert.match(html, /<h1>at netns b: nothing listens on tcp port 80/);
  assert.match(
    html,
    /<dt>confirm<\/dt><dd class="do"><code>ip netns exec b ss -Hlnt sport = :80<\/code>/,
  );
  assert.match(html, /<summary>Request: blocked<\/summary>/);
});

Deno.test("the page sets prediction and reality side by side", () => {
  const seen = [{ by: "event", where: "netns b", text: "dropped <here>" }] as const;
  const verification = { outcome: "silence", agrees: false, text: "a real SYN was lost", seen };
  const html = htmlText({ ...made(), verification });
  assert.match(html, /<th>the walk<\/th><td class="reachable">reachable<\/td>/);
  assert.match(html, /<th>a real packet<\/th><td class="blocked">a real SYN was lost<\/td>/);
  assert.match(html, /<th>event<\/th><td>netns b: dropped &#60;here&#62;<\/td>/);
});

Deno.test("the predecessor's document has its keys, and no null", () => {
  const document = predecessorDocument(made("b", false));
  assert.deepEqual(Object.keys(document), ["cluster", "nodes", "links"]);
  assert.deepEqual(document.nodes.map(({ id, type }) => [id, type]), [
    ["netns a", "generic"],
    ["node1", "node"],
    ["netns b", "generic"],
  ]);
  const [first, second] = document.links;
  assert.equal(first?.id, "veth,netns a,node1,10.0.1.2:80");
  assert.deepEqual(first?.packet, {
    ...{ source: "10.0.0.2", destination: "10.0.1.2", dport: 80, protocol: "tcp" },
  });
  assert.deepEqual(document.nodes[0]?.actions, { "": { type: "send" } });
  assert.deepEqual(document.nodes[1]?.actions, { [first?.id ?? ""]: { type: "forward" } });
  assert.deepEqual(second?.source_attributes, { if: "vb" });
  const [suspicion] = document.nodes[2]?.suspicions ?? [];
  assert.equal(suspicion?.level, 3);
  assert.match(suspicion?.message ?? "", /^nothing listens/);
  assert.doesNotMatch(JSON.stringify(document), /null/);
  const open = predecessorDocument(made());
  assert.deepEqual(open.nodes[2]?.actions, { [open.links[1]?.id ?? ""]: { type: "serve" } });
});
