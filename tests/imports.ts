/// <reference lib="deno.unstable" />
/**
 * Who may import whom, and how to find out.
 *
 * @module
 */
import { dirname, join } from "node:path/posix";
import { type Finding, isTest, lineAt, type TextFile } from "./tree.ts";

/** One import; `to` is a path, `node:X`, `npm:PACKAGE`, or undefined for what deno.json lacks. */
export interface Import {
  readonly from: string;
  readonly to: string | undefined;
  readonly line: number;
  readonly specifier: string;
}

/**
 * The table. The first row that fits the importing file counts; `OWN` is its folder, two levels
 * deep. Tests may import anything.
 */
const TABLE: readonly { readonly from: RegExp; readonly may: readonly (RegExp | "OWN")[] }[] = [
  { from: /^main\.ts$/, may: [/^agent\//, /^npm:commander$/] },
  { from: /^probes\//, may: ["OWN", /^agent\/(probe|schema|tcp|metric)\.ts$/] },
  { from: /^collectors\//, may: ["OWN", /^agent\/(collector|metric|tcp)\.ts$/] },
  { from: /^bpf\//, may: [/^bpf\//, /^node:/] },
  {
    from: /^agent\/(server\.ts|routes\/)/,
    may: [/^(agent|bpf)\//, /^node:/, /^npm:(?!commander)/],
  },
  { from: /^agent\/commands\//, may: [/^(agent|bpf|diagnose)\//, /^node:/, /^npm:(?!hono)/] },
  { from: /^agent\//, may: [/^(agent|bpf)\//, /^node:/, /^npm:(?!hono|commander)/] },
  { from: /^diagnose\//, may: [/^(diagnose|agent)\//, /^node:/, /^npm:valibot$/] },
  // Pages are written from the product's own cards, and by its own exposition.
  { from: /^tools\/(cards|\w+_doc)\.ts$/, may: [/^(agent|tools)\//, /^node:/] },
  { from: /^tools\//, may: [/^tools\//, /^node:/] },
];

/** Files that something other than an import starts. */
const STARTS =
  /^(main\.ts|(probes|collectors|diagnose)\/(\w+)\/\3\.ts|(bpf\/build|tools\/.*|.*\/worker)\.ts)$/;

/** `imports` of deno.json: what stands for what. */
export function declared(denoJson: string): ReadonlyMap<string, string> {
  return new Map(Object.entries(JSON.parse(denoJson).imports));
}

/** What the specifier in a file means, as `Import.to`. */
export function resolve(
  from: string,
  specifier: string,
  known: ReadonlyMap<string, string>,
): string | undefined {
  if (specifier.startsWith(".")) return join(dirname(from), specifier);
  if (specifier.startsWith("node:")) return specifier;
  for (const [name, target] of known) {
    const matches = name.endsWith("/") ? specifier.startsWith(name) : specifier === name;
    if (!matches) continue;
    if (target.startsWith("./")) return join(target, specifier.slice(name.length));
    return `npm:${name.replace(/\/$/, "")}`;
  }
  return undefined;
}

/** Every import with a written-out specifier, in the order of the files. */
export function imports(
  files: readonly TextFile[],
  known: ReadonlyMap<string, string>,
): Import[] {
  return files.filter(({ path }) => path.endsWith(".ts")).flatMap(({ path, text }) =>
    specifiers(path, text).map(({ specifier, line }) => ({
      from: path,
      to: resolve(path, specifier, known),
      line,
      specifier,
    }))
  );
}

function specifiers(path: string, text: string): { specifier: string; line: number }[] {
  const found: { specifier: string; at: number }[] = [];
  function note(node: Deno.lint.Node | null): void {
    if (node?.type === "TSLiteralType") return note(node.literal);
    if (node?.type !== "Literal" || typeof node.value !== "string") return;
    found.push({ specifier: node.value, at: node.range[0] });
  }
  const visitor: Deno.lint.LintVisitor = {
    ImportDeclaration: (node) => note(node.source),
    ImportExpression: (node) => note(node.source),
    ExportAllDeclaration: (node) => note(node.source),
    ExportNamedDeclaration: (node) => note(node.source),
    TSImportType: (node) => note(node.argument),
  };
  const rules = { imports: { create: () => visitor } };
  Deno.lint.runPlugin({ name: "imports", rules }, path, text);
  return found.sort((a, b) => a.at - b.at)
    .map(({ specifier, at }) => ({ specifier, line: lineAt(text, at) }));
}

/** What the table has against an import. */
export function may({ from, to, line, specifier }: Import): Finding | undefined {
  const finding = (message: string) => ({ path: from, line, message });
  if (to === undefined) {
    return finding(
      `imports "${specifier}": declare it in deno.json, in an exact version, or do without`,
    );
  }
  if (isTest(from)) return undefined;
  const row = TABLE.find((each) => each.from.test(from));
  if (row === undefined) {
    return finding(`has no row in tests/imports.ts: say there what its folder may import`);
  }
  const own = `${from.split("/").slice(0, 2).join("/")}/`;
  const allowed = row.may.some((each) => each === "OWN" ? to.startsWith(own) : each.test(to));
  if (allowed && !isTest(to)) return undefined;
  const list = row.may.map((each) => each === "OWN" ? own : each.source).join(" ");
  return finding(`imports "${to}": ${dirname(from)}/ may import only ${list}`);
}

/** Modules that nothing but their own tests leads to. */
export function unreached(paths: readonly string[], edges: readonly Import[]): Finding[] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of edges) {
    if (to !== undefined) targets.set(from, [...targets.get(from) ?? [], to]);
  }
  const modules = paths.filter((path) => path.endsWith(".ts") && !isTest(path));
  const open = modules.filter((path) => STARTS.test(path));
  const reached = new Set(open);
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const to of targets.get(path) ?? []) {
      if (!reached.has(to)) open.push(to);
      reached.add(to);
    }
  }
  return modules.filter((path) => !reached.has(path)).map((path) => ({
    path,
    line: 1,
    message: "is never imported but by tests: use it from where it belongs, or remove it",
  }));
}

/** What is wrong with the includes of a C file. */
export function included({ path, text }: TextFile): Finding[] {
  if (!/^(probes|bpf\/include|wasm)\/.*\.(c|h)$/.test(path)) return [];
  return text.split("\n").flatMap((line, index) => {
    const name = /^\s*#\s*include\s+"([^"]+)"/.exec(line)?.[1];
    if (name === undefined || !name.includes("/")) return [];
    if (path.startsWith("wasm/") && !name.startsWith("..")) return [];
    const message = `includes "${name}": include a header of its own folder or of bpf/include/, ` +
      "by its plain name";
    return [{ path, line: index + 1, message }];
  });
}
