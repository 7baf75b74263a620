/**
 * A small network of namespaces, and the compiled agent beside it, for tests on this machine's
 * kernel.
 *
 * @module
 */
const ROOT = new URL("../../", import.meta.url);
/** The compiled agent; another one, where that is what is to be tested. */
export const BINARY = Deno.env.get("PODSKOOP_BINARY") ?? new URL("dist/podskoop", ROOT).pathname;
const TRAFFIC = new URL("./traffic.ts", import.meta.url);
const HOLD = new URL("./hold.ts", import.meta.url);
const SHARE = new URL("./share.ts", import.meta.url);
let labs = 0;

/** Runs a program; its standard output. Fails with what it wrote to standard error. */
export async function run(...command: [string, ...string[]]): Promise<string> {
  const [program, ...args] = command;
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  if (code !== 0) {
    throw new Error(`Cannot run "${command.join(" ")}": exit ${code}: ${text.decode(stderr)}`);
  }
  return text.decode(stdout);
}

/** One namespace of a lab. */
export interface Node {
  readonly name: string;
  readonly v4: string;
  readonly v6: string;
}

/** Two namespaces, `left` and `right`, joined by a cable, with addresses of both families. */
export class Lab implements AsyncDisposable {
  readonly left: Node;
  readonly right: Node;
  readonly #children: Deno.ChildProcess[] = [];

  private constructor(left: Node, right: Node) {
    this.left = left;
    this.right = right;
  }

  static async create(): Promise<Lab> {
    const id = `${Deno.pid.toString(36)}${labs++}`;
    const net = 1 + labs % 200;
    const node = (side: string, host: number): Node => ({
      name: `lab-${id}-${side}`,
      v4: `10.203.${net}.${host}`,
      v6: `fd00:203:${net}::${host}`,
    });
    const lab = new Lab(node("left", 1), node("right", 2));
    for (const { name } of lab.nodes) await run("ip", "netns", "add", name);
    await run(
      ...["ip", "-n", lab.left.name, "link", "add", "cable0", "type", "veth"] as const,
      ...["peer", "name", "cable0", "netns", lab.right.name],
    );
    for (const { name, v4, v6 } of lab.nodes) {
      // No router solicitation, no duplicate detection: nothing is sent but what a test sends.
      for (const setting of ["accept_dad=0", "router_solicitations=0", "accept_ra=0"]) {
        await lab.inside(name, "sysctl", "-qw", `net.ipv6.conf.cable0.${setting}`);
      }
      await run("ip", "-n", name, "link", "set", "lo", "up");
      await run("ip", "-n", name, "link", "set", "cable0", "up");
      await run("ip", "-n", name, "address", "add", `${v4}/24`, "dev", "cable0");
      await run("ip", "-n", name, "address", "add", `${v6}/64`, "dev", "cable0", "nodad");
    }
    for (const address of [lab.right.v4, lab.right.v6]) {
      await lab.inside(lab.left.name, "ping", "-qc1", "-w20", address);
    }
    return lab;
  }

  get nodes(): readonly [Node, Node] {
    return [this.left, this.right];
  }

  /** Runs a program inside a namespace. */
  async inside(namespace: string, ...command: [string, ...string[]]): Promise<string> {
    return await run("ip", "netns", "exec", namespace, ...command);
  }

  /** Makes traffic in a namespace, and waits for its end. */
  async traffic(from: Node, ...args: (string | number)[]): Promise<void> {
    await run(...this.#command(from, TRAFFIC, args));
  }

  /** Starts something that serves or holds, and waits until it says that it is ready. */
  async background(from: Node, ...args: (string | number)[]): Promise<Deno.ChildProcess> {
    return (await this.#start(this.#command(from, TRAFFIC, args))).child;
  }

  /** Has the packets in a namespace's netfilter queue wait for `ms` each. */
  async hold(at: Node, queue: number, ms: number): Promise<Deno.ChildProcess> {
    return (await this.#start(this.#command(at, HOLD, [queue, ms]))).child;
  }

  /** Has TCP connections whose descriptors are shared in each way; what `share.ts` says. */
  async share(at: Node, ...args: (string | number)[]): Promise<string> {
    return (await this.#start(this.#command(at, SHARE, args))).said;
  }

  async #start(
    command: readonly [string, ...string[]],
  ): Promise<{ readonly child: Deno.ChildProcess; readonly said: string }> {
    const [program, ...rest] = command;
    const child = new Deno.Command(program, { args: rest, stdout: "piped", stderr: "inherit" })
      .spawn();
    this.#children.push(child);
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    if (value === undefined) {
      throw new Error(`Cannot start "${command.join(" ")}": it ended at once`);
    }
    return { child, said: new TextDecoder().decode(value) };
  }

  #command(from: Node, script: URL, args: readonly (string | number)[]): [string, ...string[]] {
    return [
      ...["ip", "netns", "exec", from.name, Deno.execPath(), "run", "-A", "--no-check"] as const,
      ...[script.pathname, ...args.map(String)],
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended already
      }
      await child.stdout.cancel();
      await child.status;
    }
    for (const { name } of this.nodes) await run("ip", "netns", "delete", name);
  }
}

/** A folder on the real disk for one test, with room for a socket's path of 108 bytes. */
export async function folder(): Promise<string> {
  return await Deno.makeTempDir({ prefix: "lab-" });
}

/** One end of an event's traffic. */
export interface SeenEnd {
  readonly address: string;
  readonly port?: number;
  readonly pod?: { readonly namespace: string; readonly name: string };
}

/** An event, as far as tests look into it. */
export interface SeenEvent {
  readonly id: string;
  readonly time: string;
  readonly probe: string;
  readonly type: string;
  readonly count: number;
  readonly pod?: { readonly kind: string; readonly namespace: string; readonly name: string };
  readonly source?: SeenEnd;
  readonly destination?: SeenEnd;
  readonly network: {
    readonly transport?: string;
    readonly type?: "ipv4" | "ipv6";
    readonly interface?: string;
  };
  readonly process?: { readonly pid: number; readonly comm: string };
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly message?: string;
  readonly stack?: readonly string[];
}

/** Folded events come after a second instead of ten, so that a test need not wait for them. */
const CONFIG = "events: {foldSeconds: 1}\n";

/** It is there within a second or two; a busy emulated machine takes a hundred times as long. */
const READY_MS_MAX = 240_000;

/** The compiled agent, with a socket, pins, data and a port of its own. */
export class AgentUnderTest implements AsyncDisposable {
  readonly #dir: string;
  readonly pinDir: string;
  #child: Deno.ChildProcess;
  readonly url: string;
  readonly #client: Deno.HttpClient;
  readonly #extra: readonly string[];
  readonly #prepare: string | undefined;
  log = "";

  private constructor(dir: string, port: number, extra: readonly string[], prepare?: string) {
    this.#dir = dir;
    this.pinDir = `/sys/fs/bpf/${dir.split("/").at(-1)}`;
    this.url = `http://127.0.0.1:${port}`;
    this.#extra = extra;
    this.#prepare = prepare;
    this.#child = this.#spawn();
    this.#client = Deno.createHttpClient({
      proxy: { transport: "unix", path: `${dir}/agent.sock` },
    });
  }

  static async start(
    options: {
      config?: string;
      args?: readonly string[];
      /**
       * Shell commands to run first, in a mount namespace of the agent's own; `$DIR` is its folder.
       */
      prepare?: string;
    } = {},
  ): Promise<AgentUnderTest> {
    const dir = await folder();
    await Deno.writeTextFile(`${dir}/config.yaml`, options.config ?? CONFIG);
    const args = ["--config", `${dir}/config.yaml`, ...options.args ?? []];
    const agent = new AgentUnderTest(dir, freePort(), args, options.prepare);
    await agent.#ready();
    return agent;
  }

  get dir(): string {
    return this.#dir;
  }

  get pid(): number {
    return this.#child.pid;
  }

  #spawn(): Deno.ChildProcess {
    const shell = ["-m", "sh", "-ec", `${this.#prepare}\nexec "$@"`, "sh", BINARY];
    const child = new Deno.Command(this.#prepare === undefined ? BINARY : "unshare", {
      args: [
        ...this.#prepare === undefined ? [] : shell,
        ...["agent", "--listen", this.url.slice(7), "--socket", `${this.#dir}/agent.sock`],
        ...["--data-dir", `${this.#dir}/data`, "--pin-dir", this.pinDir, "--node-name", "lab-node"],
        ...this.#extra,
      ],
      env: { DIR: this.#dir },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    void this.#keepLog(child);
    return child;
  }

  async #keepLog(child: Deno.ChildProcess): Promise<void> {
    for await (const chunk of child.stderr) this.log += new TextDecoder().decode(chunk);
  }

  async #ready(): Promise<void> {
    const until = Date.now() + READY_MS_MAX;
    for (;;) {
      const ready = await fetch(`${this.url}/readyz`).then(async (response) => {
        await response.body?.cancel();
        return response.ok;
      }, () => false);
      if (ready) return;
      if (Date.now() > until) {
        throw new Error(`Cannot reach the agent within ${READY_MS_MAX} ms:\n${this.log}`);
      }
      await sleep(50);
    }
  }

  /** Kills the agent the hard way and starts it anew on the same pins and data. */
  async crashAndRestart(meanwhile?: () => Promise<void>): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await meanwhile?.();
    this.#child = this.#spawn();
    await this.#ready();
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Asks over the unix socket, which may do everything. */
  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(`http://agent${path}`, { ...init, client: this.#client });
  }

  async json<T>(path: string): Promise<T> {
    const response = await this.ask(path);
    if (!response.ok) throw new Error(`Cannot get ${path}: ${await response.text()}`);
    const value: T = await response.json();
    return value;
  }

  async metrics(names = "podskoop"): Promise<Metrics> {
    const response = await fetch(`${this.url}/metrics?names=${names}`);
    return new Metrics(await response.text());
  }

  async events(query: string): Promise<readonly SeenEvent[]> {
    const page = await this.json<{ events: readonly SeenEvent[] }>(`/events?limit=10000&${query}`);
    return page.events;
  }

  /**
   * What a failing test wants to know of the agent: the series that match, its own counters that
   * are not 0, what does not run, and its log.
   */
  async report(series: RegExp): Promise<string> {
    const { text } = await this.metrics();
    const lines = text.split("\n").filter((line) =>
      !line.startsWith("#") && (series.test(line) || /^podskoop_agent\S* [^0]/.test(line))
    );
    const status = await this.json<Record<string, unknown>>("/status");
    return [...lines, JSON.stringify(status), this.log].join("\n");
  }

  async stop(): Promise<number> {
    this.#child.kill("SIGTERM");
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has been stopped already
    }
    this.#client.close();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** One scrape, to be asked for values. */
export class Metrics {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /**
   * The sum of the metric's series whose labels include all of `labels`; undefined if there is
   * none.
   */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    let sum: number | undefined;
    for (const line of this.text.split("\n")) {
      if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
      const own = line.slice(name.length, line.lastIndexOf(" "));
      if (!wanted.every((label) => own.includes(`{${label}`) || own.includes(`,${label}`))) {
        continue;
      }
      sum = (sum ?? 0) + Number(line.slice(line.lastIndexOf(" ") + 1));
    }
    return sum;
  }

  /** Every metric name in the scrape. */
  names(): ReadonlySet<string> {
    return new Set(
      this.text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => line.split(/[{ ]/)[0] ?? ""),
    );
  }
}

/** How much events stand for: identical ones are one, with a count. */
export function total(events: readonly SeenEvent[]): number {
  return events.reduce((sum, { count }) => sum + count, 0);
}

/** Waits until `look` gives what is wanted, for at most `ms`; the last thing it gave. */
export async function eventually<T>(
  look: () => Promise<T>,
  wanted: (value: T) => boolean,
  ms = 5_000,
): Promise<T> {
  const until = Date.now() + ms;
  for (;;) {
    const value = await look();
    if (wanted(value) || Date.now() > until) return value;
    await sleep(100);
  }
}

/** What is counted late, or twice, is there within this time. */
const SETTLED_MS = 200;

/** Expects that a figure comes to `wanted` within `ms`, and stays that. */
export async function expectFigure(
  look: () => Promise<number>,
  wanted: number,
  what: string,
  ms = 5_000,
): Promise<void> {
  await eventually(look, (found) => found >= wanted, ms);
  await sleep(SETTLED_MS);
  const found = await look();
  if (found !== wanted) throw new Error(`${what} is ${found} instead of ${wanted}`);
}

/** Expects that a pod's metric comes to `wanted`; fails with the agent's report. */
export async function expectSum(
  agent: AgentUnderTest,
  metric: string,
  at: Node,
  labels: Readonly<Record<string, string>>,
  wanted: number,
): Promise<void> {
  const look = async () => (await agent.metrics()).sum(metric, { pod: at.name, ...labels }) ?? 0;
  const found = await eventually(look, (value) => value >= wanted, 15_000);
  if (found === wanted) return;
  const what = `${metric} ${JSON.stringify(labels)}`;
  throw new Error(`${what} is ${found} instead of ${wanted}\n${await agent.report(/loss|reset/)}`);
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
