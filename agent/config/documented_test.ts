import assert from "node:assert/strict";
import { discoverCollectors, discoverProbes } from "../discover.ts";
import { unitCards } from "./cards.ts";
import { defaultConfig } from "./defaults.ts";
import { readConfig } from "./read.ts";

const PAGE = await Deno.readTextFile(new URL("../../docs/configuration.md", import.meta.url));
const UNITS = unitCards(await discoverProbes(), await discoverCollectors());

function examples(): string[] {
  return [...PAGE.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = ""]) => text)
    .filter((text) => !text.startsWith("env:\n")); // a pod's, not ours
}

Deno.test("the page's first example is the defaults, key by key", () => {
  const [first = ""] = examples();
  const read = readConfig(first, "docs", UNITS);
  assert("config" in read, JSON.stringify(read));
  assert.deepEqual(read.config, { ...defaultConfig(UNITS), nodeName: "node-a" });
  assert.deepEqual(read.warnings, []);
});

Deno.test("every example of the page is taken, ours without a warning", () => {
  const all = examples();
  assert.equal(all.length, 7);
  for (const [index, text] of all.entries()) {
    const read = readConfig(text, "docs", UNITS);
    assert("config" in read, JSON.stringify(read));
    if (index < 6) assert.deepEqual(read.warnings, []);
  }
});

Deno.test("the page's table has every parameter of every probe, with default and bounds", () => {
  const documented = [...PAGE.matchAll(/^\| `(\w+)` \| `(\w+)` \| (\S+) \| (.+?) \| .+ \|$/gm)]
    .map(([, probe, name, value, allowed]) => `${probe} ${name} ${value} ${allowed}`);
  const actual = UNITS.flatMap((unit) =>
    Object.entries(unit.parameters).map(([name, { default: value, min, max }]) => {
      const allowed = typeof value === "boolean"
        ? "true, false"
        : typeof value === "string"
        ? "a list"
        : `${min} to ${max}`;
      return `${unit.name} ${name} ${value === "" ? '""' : value} ${allowed}`;
    })
  );
  assert.deepEqual(
    documented.filter((line) => !/^(stderr|file) /.test(line)).sort(),
    actual.sort(),
  );
});
