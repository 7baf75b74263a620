import assert from "node:assert/strict";
import { FakeAgent } from "../../tests/fake_agent.ts";
import { FakeTerminal } from "../../tests/fake_terminal.ts";
import { UNITS } from "../../tests/fake_units.ts";
import type { UnitLine } from "./cards.ts";
import { probesText, unitStates } from "./probes.ts";
import { statusText } from "./status.ts";

const TERMINAL = new FakeTerminal(80);

const LINES: readonly UnitLine[] = UNITS.map((card) => ({
  card,
  kind: card.gives.events ? "probe" : "collector",
  summary: `What ${card.name} tells an operator of the node, which is more than fits one line`,
  metrics: [],
  types: [],
}));

Deno.test("probes are listed with what runs, and below with why something does not", () => {
  const units = unitStates(LINES, new FakeAgent().status());
  const text = probesText(units, TERMINAL);
  for (const line of text.split("\n")) assert([...line].length <= 80, line);
  assert.match(text, /^NAME +METRICS +EVENTS +TELLS\nio +off +- +What io tells/);
  assert.match(text, /^tcpreset +off +running +What tcpreset/m);
  assert.match(text, /^packetloss +degraded +degraded +What/m);
  assert.match(text, /^softnet: Cannot read \/proc\/net\/softnet_stat$/m);
  assert.match(
    text.replace(/\n {2}/g, " "),
    /^packetloss: passed over packetloss, as kfree_skb has 2 arguments, 3 are needed$/m,
  );
});

Deno.test("without an agent, what this program has is listed with its defaults", () => {
  const units = unitStates(LINES, undefined);
  const states = new Map(units.map(({ name, metrics, events }) => [name, `${metrics} ${events}`]));
  assert.equal(units.length, UNITS.length);
  assert.equal(states.get("packetloss"), "default default");
  assert.equal(states.get("tcpsummary"), "off none");
});

Deno.test("a unit that only the agent has is listed too", () => {
  const status = new FakeAgent().status();
  const units = unitStates([], status);
  assert.deepEqual(units.map(({ name, kind }) => `${name} ${kind}`), [
    "io unknown",
    "netdev unknown",
    "packetloss unknown",
    "softnet unknown",
    "tcp unknown",
    "tcpreset unknown",
  ]);
});

Deno.test("the status in words says who, since when, what is wrong and what is missing", () => {
  const status = new FakeAgent().status();
  const now = Date.parse("2026-02-01T10:30:00Z");
  assert.deepEqual(statusText(status, TERMINAL, now).split("\n"), [
    "agent              podskoop 1.2.3 on node-a, up 25 h",
    "kernel             6.1.0-18-amd64, with BTF",
    "config             defaults",
    "namespaces         3, 1 of them pods",
    "units              3 running, 1 failed, 1 degraded",
    "  softnet          failed: Cannot read /proc/net/softnet_stat",
    "  packetloss       degraded: Drops before 5.17 have no reason",
    "  names by cgroup  running",
    "store              23 events, 8.2kB",
    "sink stderr        23 delivered, 0 lost",
    "missing            conntrack, which disables conntrack: apt-get install",
    "                   conntrack",
    "",
  ]);
});

Deno.test("hostile words in a status are made printable, and lines fit", () => {
  const status = new FakeAgent().status();
  const text = statusText(
    { ...status, config: { origin: "/x\x1b[2J", error: "Cannot use it ".repeat(20) } },
    TERMINAL,
    0,
  );
  assert(!text.includes("\x1b"));
  for (const line of text.split("\n")) assert([...line].length <= 80, line);
});
