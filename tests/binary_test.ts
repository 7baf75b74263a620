/**
 * The compiled binary on a machine without Deno, Node, clang or this tree: it runs in a mount
 * namespace where all of those are hidden, from `/`, as root, under an empty environment.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const BINARY = join(ROOT, "dist/podskoop");

/**
 * What a machine that only runs podskoop does not have; found in PATH and hidden, links resolved.
 */
const TOOLCHAIN =
  /^(deno(-.*)?|node|npm|npx|clang(-\d+)?|ld\.lld(-\d+)?|wasm-ld(-\d+)?|llvm-strip(-\d+)?)$/;
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const START_SECONDS_MAX = 20;
const STOP_SECONDS_MAX = 10;

/** The commands to hide, by every path that PATH leads to. */
async function toolchain(): Promise<string[]> {
  const found = new Set<string>();
  for (const folder of new Set(`${Deno.env.get("PATH")}:${SYSTEM_PATH}`.split(":"))) {
    try {
      for await (const { name } of Deno.readDir(folder)) {
        if (!TOOLCHAIN.test(name)) continue;
        found.add(await Deno.realPath(join(folder, name)));
      }
    } catch (error) {
      // PATH may name folders that are not there, and links may lead nowhere.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return [...found];
}

/** What a command printed, and how it ended. */
interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/**
 * A folder with nothing but the binary and its links, and a way to run it where all else is hidden.
 */
class Bare implements AsyncDisposable {
  private constructor(readonly folder: string, private readonly hidden: readonly string[]) {}

  static async make(): Promise<Bare> {
    const folder = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "podskoop-binary-" });
    await Deno.copyFile(BINARY, join(folder, "podskoop"));
    await Deno.symlink("podskoop", join(folder, "inspector"));
    return new Bare(folder, await toolchain());
  }

  /** Starts a shell command with the tree, the caches and the toolchain hidden. */
  start(command: string, environment: Readonly<Record<string, string>> = {}): Deno.ChildProcess {
    const home = Deno.env.get("HOME") ?? "/root";
    const script = `set -eu
mount --make-rprivate /
for folder in "$ROOT" "$CACHE"; do [ ! -d "$folder" ] || mount -t tmpfs none "$folder"; done
for file in $HIDDEN; do [ ! -f "$file" ] || mount --bind /dev/null "$file"; done
cd /
exec env -i ${Object.entries(environment).map(([name, value]) => `${name}=${value}`).join(" ")} \
${command}`;
    return new Deno.Command("unshare", {
      args: ["--mount", "sh", "-c", script],
      clearEnv: true,
      env: {
        PATH: SYSTEM_PATH,
        ROOT,
        CACHE: Deno.env.get("XDG_CACHE_HOME") ?? join(home, ".cache"),
        HIDDEN: this.hidden.join(" "),
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  async run(command: string, environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const { code, stdout, stderr } = await this.start(command, environment).output();
    const text = new TextDecoder();
    return { code, out: text.decode(stdout), err: text.decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("the bare machine of these tests has no toolchain and no tree", async () => {
  await using bare = await Bare.make();
  const names = "deno deno-newest node npm clang-19 llvm-strip-19 wasm-ld-19";
  const { out, err } = await bare.run(
    `/bin/sh -c 'for name in ${names}; do command -v $name; done; ls -A ${ROOT} | wc -l'`,
    { PATH: SYSTEM_PATH },
  );
  assert.equal(out, "0\n", err);
});

Deno.test("podskoop version works on a bare machine, under an empty environment", async () => {
  await using bare = await Bare.make();
  const { code, out, err } = await bare.run(`${bare.folder}/podskoop version`);
  assert.equal(code, 0, err);
  assert.match(out, /\d+\.\d+\.\d+/);
});

Deno.test("podskoop answers to the name inspector, by a link to it", async () => {
  await using bare = await Bare.make();
  const { code, out, err } = await bare.run(`${bare.folder}/inspector --help`);
  assert.equal(code, 0, err);
  assert.match(out, /inspector/);
});

Deno.test("podskoop leaves no code cache in /tmp, where its name could be guessed", async () => {
  await using bare = await Bare.make();
  const { code, err } = await bare.run(`${bare.folder}/podskoop version`);
  assert.equal(code, 0, err);
  const names = (await Array.fromAsync(Deno.readDir("/tmp"))).map(({ name }) => name);
  assert.deepEqual(names.filter((name) => name.startsWith("deno-compile-podskoop")), []);
});

/** A port that was free a moment ago. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Asks until there is an answer; throws what the last try threw, once the time is over. */
async function answer(url: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    try {
      const response = await fetch(url, { signal });
      const text = await response.text();
      if (response.ok) return text;
    } catch (error) {
      if (signal.aborted) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    signal.throwIfAborted();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The names of all units that `/status` gives. */
function unitNames(status: string): Set<string> {
  const { event, metrics } = JSON.parse(status).available_probes;
  return new Set([...event, ...metrics]);
}

Deno.test("podskoop agent answers on a bare machine, and stops without a trace", async () => {
  await using bare = await Bare.make();
  const port = freePort();
  const pins = `/sys/fs/bpf/podskoop-binary-${Deno.pid}`;
  const socket = `${bare.folder}/agent.sock`;
  const child = bare.start(
    `${bare.folder}/podskoop agent --listen 127.0.0.1:${port} --socket ${socket} ` +
      `--data-dir ${bare.folder}/data --pin-dir ${pins}`,
    { PATH: SYSTEM_PATH },
  );
  const output = child.output();
  let status = "";
  let metrics = "";
  try {
    const started = AbortSignal.timeout(START_SECONDS_MAX * 1_000);
    await answer(`http://127.0.0.1:${port}/healthz`, started);
    await answer(`http://127.0.0.1:${port}/readyz`, started);
    status = await answer(`http://127.0.0.1:${port}/status`, started);
    metrics = await answer(`http://127.0.0.1:${port}/metrics`, started);
  } finally {
    signalTo(child, "SIGTERM");
    const kill = setTimeout(() => signalTo(child, "SIGKILL"), STOP_SECONDS_MAX * 1_000);
    const { code, signal, stderr } = await output;
    clearTimeout(kill);
    assert.deepEqual([code, signal], [0, null], new TextDecoder().decode(stderr));
  }
  // Units are found by listing folders, inside the binary too.
  const units = [...await folders("probes"), ...await folders("collectors")];
  assert(units.length > 0);
  assert.deepEqual(units.filter((name) => !unitNames(status).has(name)), []);
  assert.match(metrics, /^podskoop_/m);
  assert.equal(await exists(socket), false, `"${socket}" was left`);
  assert.equal(await exists(pins), false, `"${pins}" was left`);
});

function signalTo(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    // It has ended by itself: its exit code, which is looked at next, tells more.
    if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The folders below one of the tree's folders: one for each unit. */
async function folders(name: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(join(ROOT, name)));
  return entries.filter((entry) => entry.isDirectory).map((entry) => entry.name).sort();
}
