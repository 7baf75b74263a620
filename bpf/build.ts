/**
 * Compiles every `probes/X/*.bpf.c` to an object beside it, and `wasm/*.wasm.c` to WebAssembly.
 *
 * What is up to date stays. Up to date means that the preprocessed source (which holds every
 * header, the system's included), the compiler, the flags and the output are those of the build
 * before; times play no part.
 *
 * Usage: deno run -A bpf/build.ts
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The major version of LLVM, pinned where the packages are. */
const LLVM = /^LLVM=(\d+)$/m.exec(
  await Deno.readTextFile(new URL("../tools/versions.sh", import.meta.url)),
)?.[1];
const CLANG = `clang-${LLVM}`;
const LLVM_STRIP = `llvm-strip-${LLVM}`;

/**
 * `-fdebug-compilation-dir` keeps this checkout's path out of BTF, so that equal sources give equal
 * objects wherever they lie.
 */
const BPF_FLAGS = [
  "-g",
  "-O2",
  "-target",
  "bpf",
  `-D__TARGET_ARCH_${Deno.build.arch === "aarch64" ? "arm64" : "x86"}`,
  "-Ibpf/include",
  "-Wall",
  "-Wextra",
  "-Werror",
  // libbpf's BPF_PROG() gives every program a context that few use.
  "-Wno-unused-parameter",
  "-fdebug-compilation-dir=.",
] as const;

const WASM_FLAGS = [
  "--target=wasm32",
  "-nostdlib",
  "-O3",
  "-mbulk-memory",
  "-Ibpf/include",
  "-Iprobes",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wl,--no-entry",
  "-Wl,--strip-all",
] as const;

/** One file to compile; paths are relative to the root of the tree. */
interface Job {
  readonly source: string;
  readonly output: string;
  readonly flags: readonly string[];
  /** Drops DWARF and keeps BTF. */
  readonly strip: boolean;
}

/** What a build did, in sources. */
export interface Built {
  readonly compiled: readonly string[];
  readonly upToDate: readonly string[];
}

/** A compiler that said no. The message names the command and holds what it printed. */
export class CompileError extends Error {
  override readonly name = "CompileError";
}

/**
 * Compiles what is not up to date below `root`.
 *
 * Throws an AggregateError of CompileError, one for each source that does not compile, once all the
 * others are done.
 */
export async function build(root: string): Promise<Built> {
  const jobs = [...await bpfJobs(root), ...await wasmJobs(root)];
  const compilers = await identify(root);
  const compiled: string[] = [];
  const upToDate: string[] = [];
  const failures: unknown[] = [];
  const waiting = jobs.values();
  async function work(): Promise<void> {
    for (const job of waiting) {
      try {
        const fresh = await compile(root, job, compilers);
        (fresh ? compiled : upToDate).push(job.source);
      } catch (error) {
        failures.push(error);
      }
    }
  }
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, work));
  if (failures.length > 0) {
    throw new AggregateError(failures, `Cannot compile ${failures.length} of ${jobs.length} files`);
  }
  return { compiled: compiled.sort(), upToDate: upToDate.sort() };
}

/** Names in a folder, sorted; none when there is no such folder. */
async function list(folder: string): Promise<Deno.DirEntry[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.sort((a, b) => a.name < b.name ? -1 : 1);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function bpfJobs(root: string): Promise<Job[]> {
  const jobs: Job[] = [];
  for (const probe of await list(join(root, "probes"))) {
    if (!probe.isDirectory) continue;
    const folder = `probes/${probe.name}`;
    for (const { name } of await list(join(root, folder))) {
      if (!name.endsWith(".bpf.c")) continue;
      const source = `${folder}/${name}`;
      const flags = [...BPF_FLAGS, `-I${folder}`];
      jobs.push({ source, output: source.replace(/c$/, "o"), flags, strip: true });
    }
  }
  return jobs;
}

async function wasmJobs(root: string): Promise<Job[]> {
  const names = (await list(join(root, "wasm"))).map(({ name }) => name);
  return names.filter((name) => name.endsWith(".wasm.c")).map((name) => ({
    source: `wasm/${name}`,
    output: `wasm/${name.replace(/\.c$/, "")}`,
    flags: WASM_FLAGS,
    strip: false,
  }));
}

/** Compiles one file unless it is up to date; true when it was compiled. */
async function compile(root: string, job: Job, compilers: string): Promise<boolean> {
  // Comments stay in: BTF carries source lines, comments included.
  const text = await run(root, [CLANG, ...job.flags.filter(isForCompiler), "-E", "-C", job.source]);
  const inputs = sha256(compilers, job.flags.join("\n"), text);
  const output = join(root, job.output);
  const keyFile = join(root, "dist/objects", `${job.output}.key`);
  const before = await readIfThere(output);
  if (before !== undefined) {
    const key = await readIfThere(keyFile);
    if (key !== undefined && decode(key) === `${inputs} ${sha256(before)}\n`) return false;
  }

  // Two builds may run at once: each writes files of its own, and renaming is atomic.
  const fresh = `${output}.${Deno.pid}`;
  try {
    await run(root, [CLANG, ...job.flags, ...(job.strip ? ["-c"] : []), job.source, "-o", fresh]);
    if (job.strip) await run(root, [LLVM_STRIP, "-g", fresh]);
    const hash = sha256(await Deno.readFile(fresh));
    await Deno.rename(fresh, output);
    await Deno.mkdir(join(keyFile, ".."), { recursive: true });
    await Deno.writeTextFile(`${keyFile}.${Deno.pid}`, `${inputs} ${hash}\n`);
    await Deno.rename(`${keyFile}.${Deno.pid}`, keyFile);
  } catch (error) {
    await Deno.remove(fresh).catch(ignoreNotFound);
    throw error;
  }
  return true;
}

/** The linker's flags make the preprocessor warn, which is an error here. */
function isForCompiler(flag: string): boolean {
  return !flag.startsWith("-Wl,");
}

/** What the compilers call themselves, Debian's revision included. */
async function identify(root: string): Promise<string> {
  const commands = [[CLANG, "--version"], [LLVM_STRIP, "--version"]];
  const answers = await Promise.all(commands.map((command) => run(root, command)));
  return answers.map(decode).join("");
}

/** Runs a command in `root`, and returns what it prints. */
async function run(root: string, command: readonly string[]): Promise<Uint8Array> {
  const [program = "", ...args] = command;
  let result: Deno.CommandOutput;
  try {
    result = await new Deno.Command(program, { args, cwd: root, stdin: "null" }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CompileError(`Cannot run "${program}", as it is not in PATH: run "make setup"`, {
      cause: error,
    });
  }
  if (!result.success) {
    throw new CompileError(`Cannot run "${command.join(" ")}":\n${decode(result.stderr)}`);
  }
  return result.stdout;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function sha256(...parts: (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function ignoreNotFound(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`bpf: ${line}\n`));
}

if (import.meta.main) {
  try {
    const { compiled } = await build(fileURLToPath(new URL("..", import.meta.url)));
    if (compiled.length > 0) say(`compiled ${compiled.length} BPF objects`);
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error;
    for (const failure of error.errors) {
      say(failure instanceof CompileError ? failure.message : String(failure));
    }
    say(error.message);
    Deno.exit(1);
  }
}
