import assert from "node:assert/strict";
import { UNITS } from "../../tests/fake_units.ts";
import { defaultConfig } from "./defaults.ts";
import { readConfig } from "./read.ts";
import { addressText, render } from "./render.ts";

Deno.test("what is rendered reads as the same configuration again", () => {
  const texts = [
    "",
    "listen: '[::1]:1'\nprobes: { packetloss: { rate: 7, stack: true }, tcpreset: false }",
    "events: { sinks: [stderr, { kind: file, path: '/x: y' }] }\naccess: { tokenFile: /t }",
    "port: 7\nmetrics: { probes: [netdev] }\nevent: { probes: [{ name: packetloss }] }",
  ];
  for (const text of texts) {
    const first = readConfig(text, "first", UNITS);
    assert("config" in first);
    const second = readConfig(render(first.config), "second", UNITS);
    assert("config" in second, JSON.stringify(second));
    assert.deepEqual(second.config, first.config);
    assert.deepEqual(second.warnings, []);
  }
});

Deno.test("what is rendered shows every default", () => {
  const text = render({ ...defaultConfig(UNITS), nodeName: "node-a" });
  assert.match(text, /^listen: 0\.0\.0\.0:9102$/m);
  assert.match(text, /^nodeName: node-a$/m);
  const packetloss = "packetloss: metrics: true events: true stack: false rate: 100 ";
  assert(text.replace(/\s+/g, " ").includes(packetloss), text);
});

Deno.test("an IPv6 address is in brackets before its port", () => {
  assert.equal(addressText({ hostname: "::", port: 9102 }), "[::]:9102");
  assert.equal(addressText({ hostname: "0.0.0.0", port: 1 }), "0.0.0.0:1");
});
