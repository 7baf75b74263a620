/**
 * Reads in network namespaces by tools, each a process that nsenter(1) puts there: what is left
 * when so many threads hang that no other Worker is started.
 *
 * It costs some milliseconds a tool, so those that were waited for the longest come first, a few at
 * a time. A tool that does not end in time is killed; while one cannot even be killed, as it hangs
 * in the kernel, another has less room.
 *
 * @module
 */
import { kill } from "../own_process.ts";
import { FILE_BYTES_MAX, namespaceId } from "./libc.ts";
import { isTable } from "./netlink_tables.ts";
import {
  conntrackText,
  filesIn,
  interfacesOf,
  ipvsText,
  listsServers,
  qdiscText,
  ToolError,
} from "./tool_texts.ts";
import type { Target } from "./visit.ts";
import type { Sight, VisitResult, Wanted } from "./visitor.ts";

/** Tools that run at a time, those that cannot be killed among them. */
const TOOLS_MAX = 4;
/** A tool that takes longer is killed. */
const TOOL_MILLISECONDS_MAX = 2_000;
/** With less time than this none is begun. */
const TOOL_MILLISECONDS_MIN = 100;
/** One that has not ended so long after that cannot be killed. */
const KILLED_MILLISECONDS_MAX = 250;
/** Looking up a path has this long, also where a tool has used up the time. */
const LOOKUP_MILLISECONDS_MIN = 250;
const OUTPUT_BYTES_MAX = FILE_BYTES_MAX;
const ERROR_BYTES_MAX = 64 * 1024;
/** Where namespaces cannot be entered by tools either, it is not tried again for so long. */
const REFUSED_MILLISECONDS = 60_000;
/** Namespaces of which it is known when they were read, for each kind of look. */
const READ_MAX = 16_384;

/** The exit status of a program that another was to start and that is not there (POSIX). */
const NOT_FOUND = 127;

const NETFILTER = "/proc/sys/net/netfilter";
const COUNT = `${NETFILTER}/nf_conntrack_count`;
const MOST = `${NETFILTER}/nf_conntrack_max`;
const SELF = "/proc/self";
const IPVS_SERVERS = `${SELF}/net/ip_vs`;

/** Files that a table is made of, beside what a tool prints. */
const FILES_OF: Readonly<Record<string, readonly string[]>> = {
  "netlink/conntrack": [COUNT, MOST],
  "netlink/ipvs": [IPVS_SERVERS],
};

/** What a tool wrote, or why there is nothing of it. */
type Ran =
  | { readonly state: "ran"; readonly code: number; readonly text: string; readonly said: string }
  | { readonly state: "late" | "failed"; readonly because: string };

const LATE = Symbol("late");

/** Runs a tool in one namespace. */
type Run = (tool: string, ...args: string[]) => Promise<Ran>;

/** There is nothing of a namespace, for a reason that holds for all of it. */
class UnreadError extends Error {
  constructor(because: string, readonly state: "late" | "failed" = "failed") {
    super(because);
  }
}

/** Runs tools in network namespaces. */
export class NamespaceTools {
  readonly #nsenter: string;
  readonly #children = new Set<Deno.ChildProcess>();
  /** What was not done in time, and cannot be ended. */
  readonly #stuck = new Set<Promise<unknown>>();
  #refused: { readonly because: string; readonly until: number } | undefined;
  /** When each namespace was last read, by what was wanted of it and its inode number. */
  readonly #readAt = new Map<string, number>();

  /** `nsenter` is another program only in tests. */
  constructor(nsenter = "nsenter") {
    this.#nsenter = nsenter;
  }

  /** Why tools cannot be run. */
  get problem(): string | undefined {
    return this.#room === 0 ? `${this.#stuck.size} tools hang, too` : this.#refused?.because;
  }

  get #room(): number {
    return Math.max(TOOLS_MAX - this.#stuck.size, 0);
  }

  /** Looks into the namespaces, as `NamespaceVisitor` does. */
  async visit(
    targets: readonly Target[],
    wanted: Wanted,
    deadline: number,
  ): Promise<ReadonlyMap<Target, VisitResult>> {
    const results = new Map<Target, VisitResult>();
    // Each kind of look by itself: one that is asked for often must not be the others' last.
    const kind = `${wanted.files.join()} ${wanted.interfaces}`;
    const readAt = ({ inum }: Target) => this.#readAt.get(`${kind} ${inum}`) ?? 0;
    const waiting = [...targets].sort((a, b) => readAt(a) - readAt(b));
    const work = async () => {
      while (performance.now() < deadline - TOOL_MILLISECONDS_MIN) {
        const target = waiting.shift();
        if (target === undefined) return;
        results.set(target, await this.#visit(target, wanted, deadline));
        if (this.#readAt.size >= READ_MAX) this.#readAt.clear();
        this.#readAt.set(`${kind} ${target.inum}`, performance.now());
      }
    };
    await Promise.all(Array.from({ length: this.#room }, work));
    const because = "Cannot read the network namespace by tools: the time for it was up";
    for (const target of waiting) results.set(target, { state: "late", because });
    return results;
  }

  /** Ends the tools that run. */
  close(): void {
    for (const child of this.#children) kill(child);
  }

  async #visit(target: Target, wanted: Wanted, deadline: number): Promise<VisitResult> {
    if (wanted.listening !== undefined) {
      return { state: "failed", because: "Cannot listen in a network namespace by a tool" };
    }
    try {
      const path = await this.#pathOf(target, deadline);
      if (path === undefined) return { state: "gone" };
      const cookie = namespaceId(path, target.inum);
      if (target.cookie !== 0n && cookie !== 0n && target.cookie !== cookie) {
        return { state: "gone" };
      }
      const run: Run = (tool, ...args) => this.#run(path, [tool, ...args], deadline);
      const looked = await look(wanted, run).catch((error) => {
        if (error instanceof UnreadError) return error;
        if (error instanceof ToolError) return new UnreadError(error.message);
        throw error;
      });
      // What was entered is the one that was meant if it is still there.
      const isThere = await this.#pathOf({ ...target, paths: [path] }, deadline) !== undefined &&
        namespaceId(path, target.inum) === cookie;
      if (!isThere) return { state: "gone" };
      if (looked instanceof UnreadError) throw looked;
      return { state: "read", sight: { ...looked, cookie } };
    } catch (error) {
      if (!(error instanceof UnreadError)) throw error;
      const because = `Cannot read network namespace ${target.inum} by tools: ${error.message}`;
      return { state: error.state, because };
    }
  }

  /**
   * The first of the target's paths that leads to it, without opening it; undefined if none does.
   * Whoever looks a path up may have to wait, for a file system that does not answer.
   */
  async #pathOf({ paths, inum }: Target, deadline: number): Promise<string | undefined> {
    const milliseconds = Math.max(timeFor(deadline), LOOKUP_MILLISECONDS_MIN);
    const found = await this.#within(findPath(paths, inum), milliseconds);
    if (found === LATE) throw new UnreadError(`Cannot look up "${paths[0] ?? ""}" in time`, "late");
    return found;
  }

  /** What comes of something that cannot be ended, if it comes in time. */
  async #within<T>(work: Promise<T>, milliseconds: number): Promise<T | typeof LATE> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const isLate = new Promise<typeof LATE>((resolve) => {
      timer = setTimeout(() => {
        const forget = () => void this.#stuck.delete(work);
        this.#stuck.add(work);
        work.then(forget, forget);
        resolve(LATE);
      }, milliseconds);
    });
    try {
      return await Promise.race([work, isLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #run(path: string, command: readonly string[], deadline: number): Promise<Ran> {
    if (this.#refused !== undefined) {
      const { until, because } = this.#refused;
      if (performance.now() < until) throw new UnreadError(because);
      this.#refused = undefined;
    }
    const child = this.#start([`--net=${path}`, "--", ...command]);
    const ran = await this.#ended(child, command.join(" "), timeFor(deadline));
    if (ran.state !== "ran") return ran;
    const said = firstLine(ran.said);
    if (ran.code === NOT_FOUND) {
      return { state: "failed", because: `Cannot run "${command[0] ?? ""}": it is not installed` };
    }
    if (!said.startsWith("nsenter:")) return ran;
    if (!/: (Operation not permitted|Permission denied)$/.test(said)) {
      throw new UnreadError(said);
    }
    this.#refuse(`${said}: it takes CAP_SYS_ADMIN and CAP_SYS_PTRACE`);
  }

  #start(args: readonly string[]): Deno.ChildProcess {
    try {
      const options = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
      return new Deno.Command(this.#nsenter, {
        ...options,
        args: [...args],
        env: { LC_ALL: "C" },
      }).spawn();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#refuse(
        error instanceof Deno.errors.NotFound
          ? `Cannot run "${this.#nsenter}": it is not installed`
          : `Cannot run "${this.#nsenter}": ${error.message}`,
      );
    }
  }

  /** What holds for all namespaces is not tried in each. */
  #refuse(because: string): never {
    this.#refused = { because, until: performance.now() + REFUSED_MILLISECONDS };
    throw new UnreadError(because);
  }

  async #ended(child: Deno.ChildProcess, line: string, milliseconds: number): Promise<Ran> {
    this.#children.add(child);
    let because: string | undefined;
    const full = (bytes: number) => () => {
      because ??= `"${line}" wrote more than ${bytes} bytes`;
      kill(child);
    };
    const timer = setTimeout(() => kill(child), milliseconds);
    const all = Promise.all([
      textOf(child.stdout, OUTPUT_BYTES_MAX, full(OUTPUT_BYTES_MAX)),
      textOf(child.stderr, ERROR_BYTES_MAX, full(ERROR_BYTES_MAX)),
      child.status,
    ]).finally(() => {
      clearTimeout(timer);
      this.#children.delete(child);
    });
    const ended = await this.#within(all, milliseconds + KILLED_MILLISECONDS_MAX);
    if (because !== undefined) return { state: "failed", because };
    if (ended === LATE || ended[2].signal !== null) {
      return {
        state: "late",
        because: `"${line}" did not end within ${Math.round(milliseconds)} ms`,
      };
    }
    const [text, said, { code }] = ended;
    return { state: "ran", code, text, said };
  }
}

function timeFor(deadline: number): number {
  return Math.min(TOOL_MILLISECONDS_MAX, Math.max(deadline - performance.now(), 0));
}

async function findPath(paths: readonly string[], inum: number): Promise<string | undefined> {
  for (const path of paths) {
    try {
      if ((await Deno.stat(path)).ino === inum) return path;
    } catch (error) {
      if (error instanceof Deno.errors.PermissionDenied) {
        throw new UnreadError(`Cannot look it up: ${error.message}: it takes CAP_SYS_PTRACE`);
      }
      // It is not there: ESRCH, of a process that has just ended, has no class of its own.
      if (!(error instanceof Error)) throw error;
    }
  }
  return undefined;
}

/** What is wanted of one namespace. */
async function look({ files, interfaces }: Wanted, run: Run): Promise<Omit<Sight, "cookie">> {
  const texts: Record<string, string> = {};
  const errors: Record<string, string> = {};
  const own = files.filter((file) => !isTable(file)).map((file) => `${SELF}/${file}`);
  const paths = new Set([...own, ...files.flatMap((file) => FILES_OF[file] ?? [])]);
  const { found, problems } = await readFiles([...paths], run);
  for (const file of files) {
    const text = isTable(file)
      ? await tableOf(file, found, run).catch((error) => {
        if (!(error instanceof ToolError)) throw error;
        errors[file] = error.message;
        return undefined;
      })
      : found.get(`${SELF}/${file}`);
    if (text !== undefined) texts[file] = text;
  }
  for (const [path, problem] of problems) errors[path.slice(SELF.length + 1)] = problem;
  const devices = interfaces
    ? { interfaces: interfacesOf(written("ip", await run("ip", "-d", "-j", "address"))) }
    : {};
  return { files: texts, errors, ...devices };
}

/** All files by one process; those that are there and cannot be read have a problem. */
async function readFiles(paths: readonly string[], run: Run) {
  const problems = new Map<string, string>();
  if (paths.length === 0) return { found: new Map<string, string>(), problems };
  const ran = await run("head", "-v", "-c", String(FILE_BYTES_MAX), ...paths);
  if (ran.state !== "ran") throw new UnreadError(ran.because, ran.state);
  const found = new Map(filesIn(ran.text, paths));
  for (const line of ran.said.split("\n")) {
    const path = paths.find((each) => line.includes(`'${each}'`));
    if (path === undefined || line.endsWith(": No such file or directory")) continue;
    problems.set(path, `Cannot read "${path}" by a tool: ${line}`);
    found.delete(path);
  }
  if (found.size === 0 && problems.size === 0 && !/No such file/.test(ran.said)) {
    throw new UnreadError(
      `Cannot read files: "head" ended with ${ran.code}: ${firstLine(ran.said)}`,
    );
  }
  return { found, problems };
}

/** A table's text; undefined where the kernel does not have it, and asking would load a module. */
async function tableOf(
  file: string,
  found: ReadonlyMap<string, string>,
  run: Run,
): Promise<string | undefined> {
  if (file === "netlink/qdiscs") {
    return qdiscText(written("tc", await run("tc", "-s", "-j", "qdisc")));
  }
  if (file === "netlink/conntrack") {
    const [count, most] = [found.get(COUNT), found.get(MOST)];
    if (count === undefined || most === undefined) return undefined;
    return conntrackText(count, most, written("conntrack", await run("conntrack", "-S")));
  }
  if (file === "netlink/ipvs") {
    const listed = found.get(IPVS_SERVERS);
    if (listed === undefined || !listsServers(listed)) return listed === undefined ? undefined : "";
    const options = ["-L", "-n", "--stats", "--exact", "--nosort"];
    return ipvsText(listed, written("ipvsadm", await run("ipvsadm", ...options)));
  }
  return undefined;
}

function written(tool: string, ran: Ran): string {
  if (ran.state === "ran") {
    if (ran.code === 0) return ran.text;
    throw new ToolError(
      `Cannot use "${tool}", which ended with ${ran.code}: ${firstLine(ran.said)}`,
    );
  }
  if (ran.state === "late") throw new UnreadError(ran.because, ran.state);
  throw new ToolError(ran.because);
}

function firstLine(said: string): string {
  return said.split("\n", 1)[0]?.slice(0, 300) ?? "";
}

/** All of a stream as text, the first `most` bytes of it. */
async function textOf(
  stream: ReadableStream<Uint8Array>,
  most: number,
  full: () => void,
): Promise<string> {
  const decoder = new TextDecoder();
  let [text, length] = ["", 0];
  for await (const part of stream) {
    length += part.length;
    if (length <= most) text += decoder.decode(part, { stream: true });
    else full();
  }
  return text + decoder.decode();
}
