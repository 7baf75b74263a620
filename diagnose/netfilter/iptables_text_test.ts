import assert from "node:assert/strict";
import { readRule, splitTables } from "./iptables_text.ts";

Deno.test("splitTables finds tables, chains, policies and counters", () => {
  const { tables, foreign, damage } = splitTables(
    "# Generated\n*filter\n:INPUT DROP [7:84]\n:A - [0:0]\n[3:4] -A INPUT -j A\n-A A -j DROP\n" +
      "COMMIT\n# Table `nat' is incompatible, use 'nft' tool.\n",
  );
  assert.deepEqual(damage, []);
  assert.deepEqual([...foreign], ["nat"]);
  const filter = tables.get("filter");
  const input = filter?.chains.get("INPUT");
  assert.deepEqual([input?.policy, input?.packets, input?.lines.length], ["DROP", 7n, 1]);
  assert.equal(filter?.chains.get("A")?.lines.length, 1);
});

Deno.test("splitTables says what it cannot place", () => {
  for (
    const text of [
      "*filter\n:INPUT ACCEPT [0:0]\n",
      "*filter\n-A INPUT -j DROP\nCOMMIT\n",
      "-A INPUT -j DROP\n",
      "*filter\n:INPUT ACCEPT [0:0]\n-X\nCOMMIT\n",
      "*filter\n*nat\nCOMMIT\n",
      "*filter\n:INPUT ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\nCOMMIT\n",
      "garbage",
    ]
  ) assert.equal(splitTables(text).damage.length > 0, true, text);
});

Deno.test("readRule has matches with their options, and the target with its own", () => {
  const rule = readRule(
    "[5:300] -A A ! -s 10.0.0.0/8 -p tcp -m tcp ! --dport 80:90 -m set --match-set x src,dst " +
      '-m comment --comment "-j \\"DROP\\" ! --x" -j DNAT --to-destination 10.0.0.1:80 --random',
  );
  assert.deepEqual(rule.matches.map(({ name }) => name), ["", "tcp", "set", "comment"]);
  const [own, tcp, set, comment] = rule.matches.map(({ options }) => options);
  assert.deepEqual(own, [
    { name: "-s", negated: true, values: ["10.0.0.0/8"] },
    { name: "-p", negated: false, values: ["tcp"] },
  ]);
  assert.deepEqual(tcp, [{ name: "--dport", negated: true, values: ["80:90"] }]);
  assert.deepEqual(set?.[0]?.values, ["x", "src,dst"]);
  assert.deepEqual(comment?.[0]?.values, ['-j "DROP" ! --x']);
  assert.deepEqual(rule.target?.options.map(({ name, values }) => [name, values]), [
    ["--to-destination", ["10.0.0.1:80"]],
    ["--random", []],
  ]);
  assert.deepEqual([rule.packets, rule.goto, rule.damage], [5n, false, undefined]);
});

Deno.test("readRule takes a comment for a comment, also where nothing quotes it", () => {
  const rule = readRule("-A A -m comment --comment -j -j ACCEPT");
  assert.equal(rule.target?.name, "ACCEPT");
  assert.deepEqual(rule.matches.at(-1)?.options[0]?.values, ["-j"]);
});

Deno.test("readRule says what of a rule makes no sense", () => {
  for (const line of ['-A A -m comment --comment "x -j DROP', "-A A frob -j DROP", "-A A -j"]) {
    assert.notEqual(readRule(line).damage, undefined, line);
  }
});
