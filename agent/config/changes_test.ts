import assert from "node:assert/strict";
import { UNITS } from "../../tests/fake_units.ts";
import { changedNames, changes } from "./changes.ts";
import type { Config } from "./config.ts";
import { readConfig } from "./read.ts";

function config(text: string): Config {
  const result = readConfig(text, "test", UNITS);
  assert("config" in result, JSON.stringify(result));
  return result.config;
}

function changed(before: string, after: string): readonly string[] {
  return changedNames(changes(config(before), config(after)));
}

Deno.test("nothing changes when the same is said in other words", () => {
  assert.deepEqual(changed("", "listen: 9102\nprobes: { reset: true }"), []);
  const sinks = "{ kind: file, path: /x, format: json }";
  const turned = "{ format: json, path: /x, kind: file }";
  assert.deepEqual(changed(`events: { sinks: [${sinks}] }`, `events: { sinks: [${turned}] }`), []);
});

Deno.test("a unit that is switched, or whose half is, is named; no other is", () => {
  assert.deepEqual(
    changed("", "probes: { io: false, packetloss: { events: false }, tcpsummary: true }"),
    ["probes.packetloss", "probes.tcpsummary", "probes.io"],
  );
});

Deno.test("a changed parameter restarts nothing", () => {
  const found = changes(config(""), config("probes: { packetloss: { rate: 7 } }"));
  assert.deepEqual(found.parameters, ["packetloss"]);
  assert.deepEqual(found.units, []);
  assert.deepEqual(changedNames(found), ["probes.packetloss (parameters)"]);
});

Deno.test("what restarts, what holds at once and what waits are told apart", () => {
  const found = changes(
    config(""),
    config(`
listen: 1
socket: /s
dataDir: /d
nodeName: other
runtimeEndpoint: /run/other.sock
kubernetes: { scope: off }
logLevel: error
metrics: { names: [kubeskoop] }
events: { foldSeconds: 1, sinks: [stderr] }
access: { tokenFile: /t }
`),
  );
  assert.deepEqual(found.listeners, ["listen", "socket", "access"]);
  assert.equal(found.sinks, true);
  assert.deepEqual(found.live, ["logLevel", "metrics", "events"]);
  assert.deepEqual(found.atStart, ["dataDir", "nodeName", "runtimeEndpoint", "kubernetes"]);
  assert.deepEqual(found.units, []);
});
