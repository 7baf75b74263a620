/**
 * Compiles `main.ts`, with everything that the agent finds by listing folders, to `dist/podskoop`.
 *
 * Usage: deno run -A tools/compile.ts
 *
 * @module
 */
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * How V8 keeps its heap. It grows by little at a time, as it would do by itself if it were to have
 * 96 MB in all, which a node's agent stays far below (measured); but the same binary diagnoses, and
 * the objects of a large cluster take a gigabyte.
 */
const V8_FLAGS = "--max-old-space-size=4096,--initial-old-space-size=48," +
  "--heap-growing-percent=30,--max-semi-space-size=4";

/** Where packages are put in the tree that is compiled. */
const PACKAGES = "packages";

/** Other names that the binary answers to. */
const LINKS = ["inspector", "skoop"] as const;

/**
 * The files to embed besides what `main.ts` imports, relative to `root` and sorted. By name, for a
 * folder would bring its tests, and what those import. Objects go by their sources, so that one
 * whose source is gone stays out.
 */
export async function embeddedFiles(root: string): Promise<string[]> {
  const files = [
    ...(await filesBelow(root, "probes")).filter((path) => isUnitModule(path) || isSource(path)),
    ...(await filesBelow(root, "collectors")).filter(isUnitModule),
    ...(await filesBelow(root, "agent")).filter((path) => path.endsWith("/worker.ts")),
    ...(await filesBelow(root, "console")).filter((path) => !isTest(path)),
    ...(await filesBelow(root, "wasm")).filter((path) => path.endsWith(".wasm.c")),
  ];
  return files.map((path) => path.replace(/\.bpf\.c$/, ".bpf.o").replace(/\.wasm\.c$/, ".wasm"))
    .sort();
}

/** `probes/X/X.ts` and the modules beside it. */
function isUnitModule(path: string): boolean {
  return path.split("/").length === 3 && path.endsWith(".ts") && !isTest(path);
}

function isSource(path: string): boolean {
  return path.split("/").length === 3 && path.endsWith(".bpf.c");
}

function isTest(path: string): boolean {
  return path.endsWith("_test.ts") || path.includes("/testdata/");
}

async function filesBelow(root: string, folder: string): Promise<string[]> {
  const files: string[] = [];
  const open = [join(root, folder)];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const entry of await list(path)) {
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory) open.push(join(path, entry.name));
      else if (entry.isFile) files.push(relative(root, join(path, entry.name)));
    }
  }
  return files;
}

async function list(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/**
 * What `agent/version.ts` reads inside the binary, and the second that stands for all its files.
 */
async function identity(root: string) {
  const { version } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  const git = async (...args: string[]) => {
    const command = new Deno.Command("git", { args: ["-C", root, ...args], stderr: "null" });
    const { success, stdout } = await command.output();
    return success ? new TextDecoder().decode(stdout).trim() : "";
  };
  const tag = await git("describe", "--tags", "--match=v[0-9]*", "--abbrev=12");
  const dirty = await git("status", "--porcelain") === "" ? "" : "-dirty";
  const commit = await git("rev-parse", "--short=12", "HEAD");
  const seconds = Deno.env.get("SOURCE_DATE_EPOCH") || await git("log", "-1", "--format=%ct");
  const day = seconds === "" ? new Date() : new Date(Number(seconds) * 1_000);
  const build = {
    version: Deno.env.get("PODSKOOP_VERSION") || (tag === "" ? version : tag.slice(1)),
    commit: Deno.env.get("PODSKOOP_COMMIT") || (commit === "" ? "" : commit + dirty),
    date: day.toISOString().slice(0, 10),
  };
  return { build, second: Math.floor(day.getTime() / 1_000) };
}

/**
 * Copies what the binary is made of to a folder in `dist/`, and gives every file the same time: the
 * binary holds its files' times, and equal sources are to give an equal binary.
 *
 * A binary that runs holds all that is embedded in it in memory, from its start to its end.
 */
async function stage(root: string, files: readonly string[]): Promise<string> {
  await Deno.mkdir(join(root, "dist"), { recursive: true });
  const folder = await Deno.makeTempDir({ dir: join(root, "dist"), prefix: "stage-" });
  const sources = ["agent", "bpf", "diagnose"].map((folder) => filesBelow(root, folder));
  const modules = (await Promise.all(sources)).flat()
    .filter((path) => /\.(ts|json|wasm)$/.test(path) && !isTest(path));
  const { build, second } = await identity(root);
  for (const file of new Set(["main.ts", "deno.json", ...modules, ...files])) {
    await Deno.mkdir(join(folder, file, ".."), { recursive: true });
    await Deno.copyFile(join(root, file), join(folder, file)).catch(notThere(file));
  }
  await stagePackages(folder);
  await Deno.mkdir(join(folder, "dist"), { recursive: true });
  await Deno.writeTextFile(join(folder, "dist/build.json"), `${JSON.stringify(build)}\n`);
  for (const file of await filesBelow(folder, ".")) {
    if (!/\.(ts|js|mjs)$/.test(file) || file.startsWith("console/")) continue;
    const text = await Deno.readTextFile(join(folder, file));
    await Deno.writeTextFile(join(folder, file), withoutComments(text));
  }
  for (const file of await filesBelow(folder, ".")) {
    await Deno.utime(join(folder, file), second, second);
  }
  return folder;
}

/**
 * Copies the packages of the staged `deno.json` beside it, and has it name the copies: then `deno
 * compile` embeds the modules that are imported, and of a package that it knows as such, every
 * file, which is five megabytes more. Licences go along, as they ask for it.
 */
async function stagePackages(folder: string): Promise<void> {
  const file = join(folder, "deno.json");
  const { imports, ...config } = JSON.parse(await Deno.readTextFile(file));
  const staged: Record<string, string> = {};
  for (const [name, target] of Object.entries<string>(imports)) {
    if (!target.startsWith("npm:")) staged[name] = target;
    else if (!name.endsWith("/")) staged[name] = await stagePackage(name, folder);
  }
  await Deno.writeTextFile(file, JSON.stringify({ ...config, imports: staged }));
}

/** Has every package of the lock file in Deno's cache. */
async function fetchPackages(root: string): Promise<void> {
  const args = ["install", "--quiet", "--frozen"];
  const { success } = await new Deno.Command(Deno.execPath(), { args, cwd: root }).spawn().status;
  if (!success) throw new Error('Cannot compile without the packages that "deno.json" names');
}

/** Copies one package; its module for `import`. */
async function stagePackage(name: string, folder: string): Promise<string> {
  let from = fileURLToPath(new URL(".", import.meta.resolve(name)));
  while (!(await list(from)).some((entry) => entry.name === "package.json")) {
    from = join(from, "..");
  }
  const to = join(PACKAGES, name);
  for (const path of await filesBelow(from, ".")) {
    if (!/\.m?js$|^LICEN[CS]E/.test(path)) continue;
    await Deno.mkdir(join(folder, to, path, ".."), { recursive: true });
    await Deno.copyFile(join(from, path), join(folder, to, path));
  }
  const { exports: { ".": main } } = JSON.parse(
    await Deno.readTextFile(join(from, "package.json")),
  );
  return `./${join(to, main.import?.default ?? main.import ?? main.default)}`;
}

/**
 * The text without what its comments say. Lines keep their numbers, which errors name. A comment
 * after code stays, and so does all of a file with a template of several lines, which may hold what
 * only looks like one.
 */
export function withoutComments(text: string): string {
  let inside = false;
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    const isComment = inside || /^\s*\/[/*]/.test(line);
    const ticks = line.replace(/\\./g, "").split("`").length - 1;
    if (!isComment && (ticks % 2 === 1 || line.endsWith("\\"))) return text;
    if (!isComment || /^\s*\/\//.test(line) && !inside) {
      lines.push(isComment ? "" : line);
      continue;
    }
    const end = line.indexOf("*/", inside ? 0 : line.indexOf("/*") + 2);
    lines.push(end < 0 ? "" : line.slice(end + 2));
    inside = end < 0;
  }
  return lines.join("\n");
}

/** Where the runtime half of the pinned Deno lies. */
async function denort(root: string): Promise<string> {
  const command = new Deno.Command(join(root, "tools/denort.sh"), { stderr: "inherit" });
  const { success, stdout } = await command.output();
  if (!success) throw new Error('Cannot compile without denort: "tools/denort.sh" found none');
  return new TextDecoder().decode(stdout).trim();
}

/**
 * Builds `dist/podskoop`. Throws an Error naming what is missing, or that `deno compile` failed.
 */
async function compile(root: string): Promise<void> {
  const versions = await Deno.readTextFile(join(root, "tools/versions.sh"));
  const pinned = /^DENO_VERSION=(.*)$/m.exec(versions)?.[1];
  if (Deno.version.deno !== pinned) {
    throw new Error(`Cannot compile with Deno ${Deno.version.deno}: the pinned one is ${pinned}`);
  }
  await fetchPackages(root);
  const files = await embeddedFiles(root);
  const staged = await stage(root, files);
  try {
    const licences = (await filesBelow(staged, PACKAGES)).filter((path) =>
      /\/LICEN[CS]E/.test(path)
    );
    await denoCompile(staged, [...files, "dist/build.json", ...licences], await denort(root));
  } finally {
    await Deno.remove(staged, { recursive: true });
  }

  for (const name of LINKS) {
    await Deno.remove(join(root, "dist", name)).catch(ignoreNotFound);
    await Deno.symlink("podskoop", join(root, "dist", name));
  }
  const { size } = await Deno.stat(join(root, "dist/podskoop"));
  say(`dist/podskoop, ${(size / 1e6).toFixed(1)} MB, with ${files.length} embedded files`);
}

/** Writes `podskoop` beside the staged tree. */
async function denoCompile(
  cwd: string,
  files: readonly string[],
  runtime: string,
): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--quiet",
      "--allow-all",
      "--frozen",
      "--no-check",
      "--no-code-cache",
      `--v8-flags=${V8_FLAGS}`,
      ...files.map((file) => `--include=${file}`),
      "--output=../podskoop",
      "main.ts",
    ],
    cwd,
    env: { DENORT_BIN: runtime },
  }).spawn().status;
  if (!success) throw new Error('Cannot compile "main.ts": what "deno compile" said is above');
}

function notThere(file: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`Cannot embed "${file}", as it is not there: run "deno task bpf" first`, {
      cause: error,
    });
  };
}

function ignoreNotFound(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`compile: ${line}\n`));
}

if (import.meta.main) {
  try {
    await compile(fileURLToPath(new URL("..", import.meta.url)));
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    Deno.exit(1);
  }
}
