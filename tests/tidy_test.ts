import assert from "node:assert/strict";
import { emptyWord, findings, unitFindings } from "./tidy.ts";
import { expectNone, textFiles } from "./tree.ts";

Deno.test("every file keeps the house rules", async () => {
  expectNone((await textFiles()).flatMap(findings));
});

Deno.test("every folder of probes/ and collectors/ is a whole unit", async () => {
  expectNone(unitFindings((await textFiles()).map(({ path }) => path)));
});

/** The lines that tidy finds fault with, and the start of what it says. */
function found(path: string, text: string): string[] {
  return findings({ path, text }).map(({ line, message }) => `${line} ${message}`);
}

function expectOne(path: string, text: string, expected: RegExp): void {
  const all = found(path, text);
  assert.equal(all.length, 1, `${path}: ${JSON.stringify(text)} gives ${JSON.stringify(all)}`);
  assert.match(all[0] ?? "", expected);
}

Deno.test("tidy finds nothing wrong with a file that keeps the rules", () => {
  assert.deepEqual(
    found(
      "agent/pods.ts",
      `import type { Need } from "../bpf/need.ts";
/** Names of pods; the map is bounded. */
export const NAMES = ["a"] as const;
export function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw new Error(\`Cannot read "\${path}"\`, { cause: error });
  }
}
`,
    ),
    [],
  );
  assert.deepEqual(
    found("probes/tcpreset/tcpreset.ts", 'export default { name: "tcpreset" };\n'),
    [],
  );
});

Deno.test("tidy measures lines in columns, with a tab as eight", () => {
  const wide = "x".repeat(93);
  expectOne("agent/a.ts", `// ${"x".repeat(98)}\n`, /^1 has 101 columns/);
  expectOne("probes/a/a.h", `\t${wide}\n`, /^1 has 101 columns/);
  assert.deepEqual(found("probes/a/a.h", `\t${wide.slice(1)}\n`), []);
  assert.deepEqual(found("README.md", `${"x".repeat(300)}\n`), []);
});

Deno.test("tidy measures functions in both languages, methods and callbacks too", () => {
  const body = (count: number) => "  f();\n".repeat(count);
  const long = /^1 is a function of 71 lines/;
  expectOne("agent/a.ts", `export function a() {\n${body(69)}}\n`, long);
  expectOne("agent/a.ts", `export const a = () => {\n${body(69)}};\n`, long);
  expectOne("agent/a_test.ts", `Deno.test("a", () => {\n${body(69)}});\n`, long);
  expectOne(
    "agent/a.ts",
    `class A {\n  a() {\n${body(69)}  }\n}\n`,
    /^2 is a function of 71 lines/,
  );
  assert.deepEqual(found("agent/a.ts", `export function a() {\n${body(68)}}\n`), []);
  expectOne("probes/a/a.bpf.c", `int a(void)\n{\n${body(69)}}\n`, /^2 is a function of 71 lines/);
  assert.deepEqual(found("probes/a/a.bpf.c", `int a(void)\n{\n${body(68)}}\n`), []);
});

Deno.test("tidy holds a unit's files to 150 lines, and no others", () => {
  const text = "export const A = 1;\n".repeat(151);
  expectOne("probes/a/a.ts", text, /^151 has 151 lines/);
  expectOne("collectors/a/a_test.ts", text, /^151 has 151 lines/);
  assert.deepEqual(found("agent/a.ts", text), []);
});

Deno.test("tidy knows an empty word inside a name, and not inside a word", () => {
  assert.equal(emptyWord("agentUtils"), "utils");
  assert.equal(emptyWord("EVENT_HANDLER"), "handler");
  assert.equal(emptyWord("agent/misc/a.ts"), "misc");
  assert.equal(emptyWord("utilisation"), undefined);
  assert.equal(emptyWord("commonly"), undefined);
  for (
    const text of [
      "export const podManager = 1;\n",
      "export function agentHelper() {}\n",
      "export function a({ b: legacy }: B) {}\n",
      "export interface PluginCard {\n  name: string;\n}\n",
      "export interface Card {\n  helper: string;\n}\n",
      "class A {\n  #utils = 1;\n}\n",
    ]
  ) expectOne("agent/a.ts", text, /has the empty word/);
  assert.deepEqual(found("agent/a.ts", "const a = x.handler;\nserve({ handler: a });\n"), []);
  expectOne("agent/utils.ts", "export const a = 1;\n", /^1 "agent\/utils.ts" has the empty word/);
  expectOne("bpf/include/a.h", "static int read_helper(int a)\n", /"read_helper" has the empty/);
  expectOne("agent/podNames.ts", "export const a = 1;\n", /^1 "podNames.ts" is not snake_case/);
});

Deno.test("tidy wants camelCase of our own names, and leaves those from elsewhere", () => {
  expectOne("agent/a.ts", "const pod_name = 1;\n", /^1 "pod_name" is not camelCase/);
  expectOne("agent/a.ts", "function f(pod_name: string) {}\n", /^1 "pod_name" is not camelCase/);
  const kept = "const A_B = { softnet_dropped_total: 1 };\nconst { remote_port } = x.local_port;\n";
  assert.deepEqual(found("agent/a.ts", kept), []);
});

Deno.test("tidy wants an issue's number with what is left to do", () => {
  const mark = "TO" + "DO";
  expectOne("agent/a.ts", `// ${mark}: later\n`, /^1 .* without an issue's number/);
  expectOne("agent/a.ts", `// ${"FIX" + "ME"}(#1): later\n`, /^1 .* without an issue's number/);
  assert.deepEqual(found("agent/a.ts", `// ${mark}(#12): later\n`), []);
});

Deno.test("tidy tells code in a comment from prose", () => {
  expectOne("agent/a.ts", "// const a = 1;\n", /^1 is code in a comment/);
  expectOne("probes/a/a.h", "// if (a) {\n", /^1 is code in a comment/);
  const prose = "// return early, so that\n// the map is full;\n// const is for\n";
  assert.deepEqual(found("agent/a.ts", prose), []);
});

Deno.test("tidy finds paths of a workplace in any text", () => {
  expectOne("README.md", `see ${"/wo" + "rk/"}main\n`, /^1 .* is not of this repository/);
  expectOne("deploy/a.yaml", `# ${"DESI" + "GN.md"}\n`, /^1 .* is not of this repository/);
});

Deno.test("tidy refuses an empty catch, in either form", () => {
  expectOne("agent/a.ts", "try {\n  f();\n} catch {\n  // why not\n}\n", /^3 has an empty catch/);
  expectOne("agent/a_test.ts", "f().catch(() => {});\n", /^1 has an empty catch/);
  assert.deepEqual(found("agent/a.ts", "try {\n  f();\n} catch {\n  return;\n}\n"), []);
});

Deno.test("tidy wants a reason for as, any and !, except in tests", () => {
  expectOne("agent/a.ts", "const a = b as C;\n", /^1 uses "as"/);
  expectOne("agent/a.ts", "let a: any;\n", /^1 uses "any"/);
  expectOne("agent/a.ts", "const a = b!;\n", /^1 uses "!"/);
  assert.deepEqual(found("agent/a.ts", "// The map was filled above.\nconst a = b!;\n"), []);
  assert.deepEqual(found("agent/a.ts", "const a = b!; // the map was filled above\n"), []);
  assert.deepEqual(found("agent/a.ts", "const a = [1] as const;\n"), []);
  assert.deepEqual(found("agent/a_test.ts", "const a = b as C;\n"), []);
});

Deno.test("tidy keeps the reading of bytes, and console, where they belong", () => {
  const read = "const a = view.getUint32(0, true);\n";
  expectOne("agent/events/a.ts", read, /^1 reads bytes by offset/);
  expectOne("probes/a/a.ts", "const a = view.getBigUint64(0);\n", /^1 reads bytes by offset/);
  for (const path of ["agent/schema.ts", "bpf/ring.ts", "agent/namespaces/a.ts", "tests/a.ts"]) {
    assert.deepEqual(found(path, read), []);
  }
  expectOne("agent/a.ts", "console.log(1);\n", /^1 uses console/);
  expectOne("tools/a.ts", "console.error(1);\n", /^1 uses console/);
});

Deno.test("tidy reads the grammar of error messages", () => {
  expectOne("agent/a.ts", 'throw new Error("cannot go");\n', /^1 has an error that begins/);
  expectOne("agent/a.ts", "throw new AbsentError(`Cannot go ${a}.`);\n", /^1 .* full stop/);
  assert.deepEqual(found("agent/a.ts", 'throw new Error(`"${a}" is no number`);\n'), []);
});

Deno.test("tidy keeps the world out of units, and lets their tests have it", () => {
  for (
    const text of [
      'const a = Deno.env.get("A");\n',
      'const a = fetch("/");\n',
      "const a = Date.now();\n",
      "const a = new Date();\n",
      "const a = Math.random();\n",
      "const a = setTimeout(f, 1);\n",
      "let a = 1;\n",
      "export let a = 1;\n",
    ]
  ) {
    expectOne("probes/a/a.ts", text, /a unit is data and pure functions/);
    expectOne("collectors/a/words.ts", text, /a unit is data and pure functions/);
    assert.deepEqual(found("collectors/a/a_test.ts", text), []);
    assert.deepEqual(found("agent/a.ts", text), []);
  }
  const pure =
    "export function a(ms: number) {\n  let b = new Date(ms);\n  return Math.max(b, 1);\n}\n";
  assert.deepEqual(found("probes/a/a.ts", pure), []);
});

Deno.test("tidy keeps the ring and the kernel's types in their headers", () => {
  const reserve = "\tevent = bpf_ringbuf_reserve(&events, 8, 0);\n";
  expectOne("probes/a/a.bpf.c", reserve, /^1 .* use reserve_event\(\)/);
  assert.deepEqual(found("bpf/include/probe.h", reserve), []);
  expectOne("probes/a/a.bpf.c", "#if LINUX_VERSION_CODE > 1\n", /^1 .* ask BTF/);
  expectOne("probes/a/a.bpf.c", '#include "vmlinux.h"\n', /^1 .* declare the fields/);
  const attribute = "#pragma clang attribute push(__attribute__((preserve_access_index)))\n";
  expectOne("bpf/include/sock.h", attribute, /^1 .* declare the kernel's types/);
  assert.deepEqual(found("bpf/include/kernel.h", attribute), []);
});

Deno.test("tidy wants what crosses to be named after its probe, and its size asserted", () => {
  const struct = "struct tcpreset_event {\n\t__u64 at;\n};\n";
  const assertion = '_Static_assert(sizeof(struct tcpreset_event) == 8, "no hidden padding");\n';
  expectOne("probes/tcpreset/tcpreset.h", struct, /^1 .* may have hidden padding/);
  assert.deepEqual(found("probes/tcpreset/tcpreset.h", struct + assertion), []);
  expectOne(
    "probes/tcpreset/tcpreset.h",
    (struct + assertion).replaceAll("tcpreset_event", "event"),
    /^1 "struct event" is not of probe "tcpreset"/,
  );
});

Deno.test("tidy says what a unit's folder lacks", () => {
  const whole = ["X.h", "X.bpf.c", "X_kprobe.bpf.c", "X.ts", "X_test.ts"]
    .map((name) => `probes/tcpreset/${name.replace("X", "tcpreset")}`);
  assert.deepEqual(unitFindings(whole), []);
  for (const left of [0, 3, 4]) {
    const [finding, ...others] = unitFindings(whole.toSpliced(left, 1));
    assert.equal(finding?.message.includes(`has no "${whole[left]}"`), true);
    assert.deepEqual(others, []);
  }
  const stray = unitFindings([...whole, "probes/tcpreset/reset.bpf.c"]);
  assert.deepEqual(stray.map(({ path }) => path), ["probes/tcpreset/reset.bpf.c"]);
  assert.equal(unitFindings(["collectors/net_dev/net_dev.ts"]).length, 2);
});
