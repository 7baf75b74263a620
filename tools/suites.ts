/**
 * Runs every check and every test, shows their output, and ends with `N passed, N failed`.
 *
 * A suite fails when a test of it does, when it leaves a test out, and when it ran none at all:
 * what was not executed has not passed. One suite's failure does not keep the others from running.
 *
 * Usage: deno run -A tools/suites.ts [NAME…]      all of them without any name
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** One command, and what it gives: a verdict, or a number of tests. */
interface Suite {
  readonly name: string;
  readonly gives: "verdict" | "tests";
  readonly command: readonly string[];
  /** What to do when it fails, where its own words do not say so. */
  readonly remedy?: string;
  readonly needsRoot?: boolean;
  /** It is ended after this many minutes, as a hang must not eat the time of all. */
  readonly minutesMax: number;
}

/** What became of one suite. */
export interface Result {
  readonly passed: number;
  readonly failed: number;
  /** Why it failed, if not by a test that did. */
  readonly because?: string;
  /** Names of tests that passed only when they were run again. */
  readonly unsteady?: readonly string[];
  /** Names of tests that failed, and again when they were run again. */
  readonly failures?: readonly string[];
}

/** How a suite's command ended. */
interface Ended {
  readonly result: Result;
  /** The end of what it printed. */
  readonly output: string;
  /** The part of that which is not shown yet: why tests failed. */
  readonly held: string;
}

/** One test that failed. */
export interface FailedTest {
  readonly name: string;
  readonly file: string;
}

/** All suites together end before CI's own limit of 40 minutes. */
const TOTAL_MINUTES_MAX = 36;

/**
 * Tests measure the kernel, and time, while other things run on the machine: up to this many of a
 * suite that fail are run once more, by themselves, and named in the summary when they pass then.
 */
const SECOND_TRIES_MAX = 3;

/**
 * Exit codes of timeout(1): the command did not end in time; it did not end when told to, either.
 */
const TIMED_OUT = 124;
const KILLED = 137;

/** Summaries are looked for in this much of the end of a suite's output. */
const TAIL_CHARACTERS_MAX = 65_536;

/** Reads what `deno test` says at its end; undefined when it says nothing of the kind. */
export function parseSummary(
  output: string,
): { passed: number; failed: number; ignored: number } | undefined {
  // deno-lint-ignore no-control-regex -- colours are control characters
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
  const pattern = /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(.*)$/gm;
  const last = [...plain.matchAll(pattern)].at(-1);
  if (last === undefined) return undefined;
  const [, passed, failed, rest = ""] = last;
  const ignored = / \| (\d+) ignored/.exec(rest)?.[1] ?? 0;
  return { passed: Number(passed), failed: Number(failed), ignored: Number(ignored) };
}

/** The tests that `deno test` names as failed at its end. */
export function parseFailures(output: string): readonly FailedTest[] {
  // deno-lint-ignore no-control-regex -- colours are control characters
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
  const at = plain.lastIndexOf("\n FAILURES \n");
  if (at < 0) return [];
  const lines = [...plain.slice(at).matchAll(/^(\S.*) => \.\/(\S+?):\d+:\d+$/gm)];
  return lines.map(([, name = "", file = ""]) => ({ name, file }));
}

/** Arguments of `deno test` that run these tests, and no others. */
export function onlyThese(tests: readonly FailedTest[]): readonly string[] {
  const names = tests.map(({ name }) => name.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return [`--filter=/^(${names.join("|")})$/`, ...new Set(tests.map(({ file }) => file))];
}

/** What a suite's second try makes of its first. */
export function afterSecondTry(
  first: Result,
  second: Result,
  tried: readonly FailedTest[],
): Result {
  const isMended = second.failed === 0 && second.passed === tried.length;
  if (!isMended) return first;
  const passed = first.passed + second.passed;
  return { passed, failed: 0, unsteady: tried.map(({ name }) => name) };
}

/** Splits what `deno test` prints where it begins to say why tests failed. */
export function beforeErrors(output: string): { shown: string; held: string } {
  const at = /^ ERRORS $/m.exec(output)?.index ?? output.length;
  return { shown: output.slice(0, at), held: output.slice(at) };
}

/** Judges a suite by how its command ended and what that printed. */
export function judge(suite: Pick<Suite, "gives">, success: boolean, output: string): Result {
  if (suite.gives === "verdict") {
    return success ? { passed: 0, failed: 0 } : { passed: 0, failed: 1, because: "it said no" };
  }
  const summary = parseSummary(output);
  if (summary === undefined) {
    return { passed: 0, failed: 1, because: "it ended before its tests did" };
  }
  const { passed, failed, ignored } = summary;
  if (ignored > 0) {
    return { passed, failed: failed + ignored, because: `${ignored} tests were left out` };
  }
  if (failed > 0) return { passed, failed };
  if (passed === 0) return { passed, failed: 1, because: "it has no test" };
  if (!success) return { passed, failed: 1, because: "it failed outside of its tests" };
  return { passed, failed };
}

async function suites(root: string): Promise<Suite[]> {
  const pinned = Deno.execPath();
  const newest = await versionOf(root, "$DENO_NEWEST_BIN");
  const llvm = await versionOf(root, "$LLVM");
  const unit = ["test", "--allow-all", "--frozen", "--trace-leaks", "--quiet"];
  const notUnit =
    "--ignore=dist,tests/binary_test.ts,tests/host,tests/vm,tests/e2e,tests/cluster,tests/bench";
  const cFiles = await found(root, /^(bpf\/include|probes|wasm)\/.*\.[ch]$/);
  const scripts = await found(root, /(^\.ci\/run|\.sh)$/);
  return [
    verdict("fmt", [pinned, "fmt", "--check"], "run 'make fmt'"),
    verdict(
      "clang-format",
      [`clang-format-${llvm}`, "--dry-run", "-Werror", ...cFiles],
      "run 'make fmt'",
    ),
    verdict("lint", [pinned, "lint"]),
    verdict("shellcheck", ["shellcheck", "--external-sources", ...scripts]),
    verdict(
      "check",
      [pinned, "check", "--quiet", "--frozen", "."],
      "where it says that the lockfile is out of date: run 'make lock', and commit deno.lock",
    ),
    verdict("bpf", [pinned, "run", "--allow-all", "bpf/build.ts"]),
    // Types were checked above, by the same version.
    tests("unit", [pinned, ...unit, "--no-check", notUnit], 8),
    tests("unit-newest", [newest, ...unit, notUnit], 8),
    verdict("build", [pinned, "run", "--allow-all", "tools/compile.ts"]),
    { ...tests("binary", [pinned, ...unit, "tests/binary_test.ts"], 3), needsRoot: true },
    { ...tests("host", [pinned, ...unit, "tests/host/"], 20), needsRoot: true },
    { ...tests("e2e", [pinned, ...unit, "tests/e2e/"], 5), needsRoot: true },
    {
      ...tests("vm", [pinned, ...unit, "tests/vm/kernel_test.ts"], 17),
      needsRoot: true,
    },
  ];
}

function verdict(name: string, command: readonly string[], remedy?: string): Suite {
  const suite: Suite = { name, gives: "verdict", command, minutesMax: 4 };
  return remedy === undefined ? suite : { ...suite, remedy };
}

function tests(name: string, command: readonly string[], minutesMax: number): Suite {
  return { name, gives: "tests", command, minutesMax };
}

/** A variable of tools/versions.sh, as the shell reads it. */
async function versionOf(root: string, variable: string): Promise<string> {
  const script = `. tools/versions.sh && printf %s "${variable}"`;
  const command = new Deno.Command("bash", { args: ["-c", script], cwd: root });
  return new TextDecoder().decode((await command.output()).stdout);
}

/** The files of the tree that match, without what git would not look at. */
async function found(root: string, pattern: RegExp): Promise<string[]> {
  const files: string[] = [];
  async function look(folder: string): Promise<void> {
    for await (const { name, isDirectory } of Deno.readDir(`${root}/${folder}`)) {
      if ([".git", "dist", "node_modules"].includes(name)) continue;
      const path = folder === "" ? name : `${folder}/${name}`;
      if (isDirectory) await look(path);
      else if (pattern.test(path)) files.push(path);
    }
  }
  await look("");
  return files.sort();
}

/**
 * Runs one suite, and once more those of its few failed tests that may have been disturbed. Why
 * these failed is added to `mended` when they pass then, to be shown apart from what did fail.
 */
async function run(
  root: string,
  suite: Suite,
  secondsMax: number,
  mended: string[],
): Promise<Result> {
  const began = performance.now();
  const first = await runOnce(root, suite, secondsMax);
  const failures = parseFailures(first.output);
  const named = { ...first.result, failures: failures.map(({ name }) => name) };
  const isFew = failures.length > 0 && failures.length <= SECOND_TRIES_MAX;
  if (failures.length !== first.result.failed || !isFew) {
    await write(first.held);
    return named;
  }
  await write(`\n=== ${suite.name}: a second try of ${failures.length}\n`);
  const command = [...suite.command.slice(0, -1), ...onlyThese(failures)];
  const left = secondsMax - (performance.now() - began) / 1_000;
  const second = await runOnce(root, { ...suite, command }, left);
  const result = afterSecondTry(named, second.result, failures);
  if (result.failed === 0) mended.push(`\n=== ${suite.name}: the first try\n${first.held}`);
  else await write(`${first.held}\n=== ${suite.name}: the second try\n${second.held}`);
  return result;
}

/** Runs one suite to its end, or to its limit. */
async function runOnce(root: string, suite: Suite, secondsMax: number): Promise<Ended> {
  if (suite.needsRoot === true && Deno.uid() !== 0) {
    const because = `it needs root, and this is uid ${Deno.uid()}`;
    return { result: { passed: 0, failed: 1, because }, output: "", held: "" };
  }
  // timeout(1) ends the whole process group: a test may have started an agent of its own.
  const limit = Math.max(1, Math.round(Math.min(suite.minutesMax * 60, secondsMax)));
  const child = new Deno.Command("timeout", {
    args: ["--kill-after=10", String(limit), ...suite.command],
    cwd: root,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const end = () => child.kill("SIGTERM");
  Deno.addSignalListener("SIGINT", end);
  Deno.addSignalListener("SIGTERM", end);
  let [tail, held] = ["", ""];
  async function show(from: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of from.pipeThrough(new TextDecoderStream())) {
      tail = (tail + text).slice(-TAIL_CHARACTERS_MAX);
      const parts = held === "" ? beforeErrors(text) : { shown: "", held: text };
      held += parts.held;
      await write(parts.shown);
    }
  }
  // A process that a test has left behind may hold the pipes open: once the suite has ended, its
  // output gets a second more.
  const shown = Promise.all([show(child.stdout), show(child.stderr)]);
  const { success, code } = await child.status;
  let late: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([shown, new Promise((resolve) => late = setTimeout(resolve, 1_000))]);
  clearTimeout(late);
  Deno.removeSignalListener("SIGINT", end);
  Deno.removeSignalListener("SIGTERM", end);
  if (code === TIMED_OUT || code === KILLED) {
    const { passed, failed } = parseSummary(tail) ?? { passed: 0, failed: 0 };
    const because = `it was not done after ${limit} s`;
    return { result: { passed, failed: failed + 1, because }, output: "", held };
  }
  return { result: judge(suite, success, tail), output: tail, held };
}

async function write(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) {
    done += await Deno.stdout.write(bytes.subarray(done));
  }
}

async function main(root: string, wanted: readonly string[]): Promise<number> {
  const all = await suites(root);
  const unknown = wanted.filter((name) => !all.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    const names = all.map(({ name }) => name).join(", ");
    await write(`Cannot run the suite "${unknown.join('", "')}": there are ${names}\n`);
    return 2;
  }
  const chosen = wanted.length === 0 ? all : all.filter(({ name }) => wanted.includes(name));
  const started = performance.now();
  const lines: string[] = [];
  const mended: string[] = [];
  const sum = { passed: 0, failed: 0 };
  for (const suite of chosen) {
    await write(`\n=== ${suite.name}\n`);
    const before = performance.now();
    const left = TOTAL_MINUTES_MAX * 60 - (before - started) / 1_000;
    const result = await run(root, suite, left, mended);
    sum.passed += result.passed;
    sum.failed += result.failed;
    const line = report(suite, result, (performance.now() - before) / 1_000);
    if (result.failed > 0) await write(`${line}\n`);
    lines.push(line);
  }
  for (const text of mended) await write(text);
  await write(`\n=== summary\n${lines.join("\n")}\n`);
  await write(`${sum.passed} passed, ${sum.failed} failed\n`);
  return sum.failed === 0 ? 0 : 1;
}

function report(suite: Suite, result: Result, seconds: number): string {
  const word = result.failed === 0 ? "ok" : "FAILED";
  const counts = suite.gives === "tests" ? `, passed ${result.passed}` : "";
  const because = result.because === undefined ? "" : `: ${result.because}`;
  const remedy = result.failed === 0 || suite.remedy === undefined ? "" : `; ${suite.remedy}`;
  const unsteady = (result.unsteady ?? []).map((name) => `\n  only at its second try: ${name}`);
  const failures = (result.failures ?? []).map((name) => `\n  failed: ${name}`);
  return `${word} ${suite.name} (${seconds.toFixed(1)} s${counts})${because}${remedy}` +
    failures.join("") + unsteady.join("");
}

if (import.meta.main) {
  Deno.exit(await main(fileURLToPath(new URL("..", import.meta.url)), Deno.args));
}
