/**
 * Keeps imports pointing one way. The table is the architecture; the test makes it true.
 */
import assert from "node:assert/strict";
import { declared, imports, included, may, resolve, unreached } from "./imports.ts";
import { expectNone, type Finding, ROOT, textFiles } from "./tree.ts";

const DECLARED = declared(await Deno.readTextFile(new URL("deno.json", ROOT)));
const FILES = await textFiles();
const IMPORTS = imports(FILES, DECLARED);

Deno.test("every import points the way the table allows", () => {
  assert(IMPORTS.length > 0);
  expectNone(IMPORTS.flatMap((each) => may(each) ?? []));
});

Deno.test("every module is reached from the program, a worker or a tool", () => {
  expectNone(unreached(FILES.map(({ path }) => path), IMPORTS));
});

Deno.test("every include points the way the table allows", () => {
  expectNone(FILES.flatMap((file) => included(file)));
});

Deno.test("every package is declared in deno.json, in one exact version", () => {
  for (const [name, target] of DECLARED) {
    if (target.startsWith("./")) continue;
    assert.match(target, /^npm:\/?(@[\w-]+\/)?[\w-]+@\d+\.\d+\.\d+\/?$/, `"${name}" in deno.json`);
  }
});

/** The modules that are loaded with one of these, as `deno info --json` tells them. */
async function loadedWith(...entries: readonly string[]): Promise<ReadonlySet<string>> {
  const loaded = new Set<string>();
  for (const entry of entries) {
    const { stdout, success } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", new URL(entry, ROOT).pathname],
      stderr: "null",
    }).output();
    assert(success, entry);
    const { modules } = JSON.parse(new TextDecoder().decode(stdout));
    const known = new Map<string, readonly { isDynamic?: boolean; code?: { specifier: string } }[]>(
      Array.from(modules, ({ specifier, dependencies = [] }) => [specifier, dependencies]),
    );
    const open = [new URL(entry, ROOT).href];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (loaded.has(at)) continue;
      loaded.add(at);
      for (const { isDynamic = false, code } of known.get(at) ?? []) {
        if (code !== undefined && !isDynamic) open.push(code.specifier);
      }
    }
  }
  return loaded;
}

Deno.test("an agent loads nothing of a diagnosis, which is a process of its own", async () => {
  const loaded = await loadedWith("main.ts", "agent/commands/agent.ts", "agent/run.ts");
  const paths = Array.from(loaded, (url) => url.replace(ROOT.href, ""));
  assert(paths.includes("agent/running_agent.ts"));
  assert.deepEqual(paths.filter((path) => path.startsWith("diagnose/")), []);
  assert.deepEqual(paths.filter((path) => path.startsWith("agent/commands/diagnose")), []);
});

Deno.test("an import resolves to a file, a package or a built-in", () => {
  const from = "agent/routes/metrics.ts";
  const known = new Map([["@agent/", "./agent/"], ["hono", "npm:hono@4.0.0"], [
    "hono/",
    "npm:/hono@4.0.0/",
  ], ["@valibot/to-json-schema", "npm:@valibot/to-json-schema@1.8.0"]]);
  assert.equal(resolve(from, "../probe.ts", known), "agent/probe.ts");
  assert.equal(resolve(from, "@agent/probe.ts", known), "agent/probe.ts");
  assert.equal(resolve(from, "node:path", known), "node:path");
  assert.equal(resolve(from, "hono", known), "npm:hono");
  assert.equal(resolve(from, "hono/tiny", known), "npm:hono");
  assert.equal(resolve(from, "@valibot/to-json-schema", known), "npm:@valibot/to-json-schema");
  assert.equal(resolve(from, "zod", known), undefined);
  assert.equal(resolve(from, "npm:zod@4", known), undefined);
  assert.equal(resolve(from, "https://example.org/a.ts", known), undefined);
});

/** What the table says of one import, by its two ends. */
function verdict(from: string, to: string | undefined): Finding | undefined {
  return may({ from, to, line: 1, specifier: to ?? "zod" });
}

Deno.test("the table lets units import what a card needs, and nothing else", () => {
  const probe = "probes/tcpreset/tcpreset.ts";
  for (const to of ["agent/probe.ts", "agent/tcp.ts", "probes/tcpreset/words.ts"]) {
    assert.equal(verdict(probe, to), undefined);
  }
  for (
    const to of ["agent/log.ts", "agent/collector.ts", "bpf/btf.ts", "probes/packetloss/words.ts"]
  ) {
    assert.match(verdict(probe, to)?.message ?? "", /^imports ".*": probes\/tcpreset\/ may import/);
  }
  assert(verdict(probe, "node:path"));
  assert(verdict("collectors/softnet/softnet.ts", "agent/probe.ts"));
  assert.equal(verdict("collectors/softnet/softnet.ts", "agent/collector.ts"), undefined);
  assert.equal(verdict("collectors/softnet/softnet_test.ts", "agent/log.ts"), undefined);
});

Deno.test("the table keeps hono to the server and commander to the commands", () => {
  assert.equal(verdict("agent/server.ts", "npm:hono"), undefined);
  assert.equal(verdict("agent/routes/metrics.ts", "npm:hono"), undefined);
  assert.equal(verdict("agent/commands/agent.ts", "npm:commander"), undefined);
  assert.equal(verdict("main.ts", "npm:commander"), undefined);
  assert.equal(verdict("agent/config/schema.ts", "npm:valibot"), undefined);
  assert(verdict("agent/agent.ts", "npm:hono"));
  assert(verdict("agent/agent.ts", "npm:commander"));
  assert(verdict("agent/server.ts", "npm:commander"));
  assert(verdict("main.ts", "npm:hono"));
});

Deno.test("the table keeps BPF from knowing the agent, and everyone from unknown folders", () => {
  assert.equal(verdict("bpf/ring.ts", "bpf/maps.ts"), undefined);
  assert(verdict("bpf/ring.ts", "agent/log.ts"));
  assert(verdict("bpf/ring.ts", "npm:yaml"));
  assert(verdict("agent/agent.ts", "probes/tcpreset/tcpreset.ts"));
  assert(verdict("agent/agent.ts", "tests/tree.ts"));
  assert.match(verdict("extra/a.ts", "node:path")?.message ?? "", /has no row/);
  assert.match(verdict("agent/agent.ts", undefined)?.message ?? "", /deno\.json/);
});

Deno.test("imports are found in every form", () => {
  const text = `import { a } from "./a.ts";
import type { B } from "./b.ts";
export * from "./c.ts";
export { d } from "./d.ts";
const e = await import("./e.ts");
type F = import("./f.ts").F;
const g = await import(name);
`;
  const found = imports([{ path: "agent/x.ts", text }], new Map());
  assert.deepEqual(
    found.map(({ line, to }) => `${line} ${to}`),
    ["a", "b", "c", "d", "e", "f"].map((name, index) => `${index + 1} agent/${name}.ts`),
  );
});

Deno.test("a module that only its test imports is never reached", () => {
  const paths = ["main.ts", "agent/used.ts", "agent/dead.ts", "agent/dead_test.ts"];
  const edges = [["main.ts", "agent/used.ts"], ["agent/dead_test.ts", "agent/dead.ts"]] as const;
  const found = unreached(
    paths,
    edges.map(([from, to]) => ({ from, to, line: 1, specifier: to })),
  );
  assert.deepEqual(found.map(({ path }) => path), ["agent/dead.ts"]);
});

Deno.test("includes stay in the probe's folder and bpf/include/", () => {
  const own = '#include "tcpreset.h"\n#include "sock.h"\n#include <bpf/bpf_helpers.h>\n';
  assert.deepEqual(included({ path: "probes/tcpreset/tcpreset.bpf.c", text: own }), []);
  const other = '\n#include "../packetloss/packetloss.h"\n';
  assert.deepEqual(
    included({ path: "probes/tcpreset/tcpreset.bpf.c", text: other }).map(({ line }) => line),
    [2],
  );
});
