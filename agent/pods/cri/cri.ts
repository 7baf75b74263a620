/**
 * Names from the container runtime: pods with their labels, addresses and namespaces, by the
 * container runtime interface (CRI v1) that the kubelet uses itself.
 *
 * @module
 */
import { log } from "../../log.ts";
import type { Outcome } from "../../outcome.ts";
import type { AddressOwner, Identity, IdentitySource } from "../identity.ts";
import type { Subject } from "../naming.ts";
import { findEndpoints, socketPath } from "./endpoint.ts";
import { Runtime, RuntimeError, UNIMPLEMENTED } from "./grpc.ts";
import { containersOf, type Sandbox, sandboxesOf, statusOf, statusRequest } from "./messages.ts";
import { bounded, CONTAINERS_MAX, type Known, Sandboxes, SANDBOXES_MAX } from "./sandboxes.ts";

/** Milliseconds from one look to the next, and the most of them after failures in a row. */
const LOOK_MILLISECONDS = 5_000;
const LOOK_MILLISECONDS_MAX = 60_000;
/** The same once the runtime has shown that it sends events. */
const LOOK_MILLISECONDS_EVENTS = 30_000;
/** Milliseconds from one look to the next that was asked for, by an event or `refresh()`. */
const REFRESH_MILLISECONDS = 250;
/** A sandbox that has gone tells for so long whose its UID was: its last events come late. */
const LEFT_MILLISECONDS_MAX = 60_000;
/** Statuses asked for at once. */
const STATUSES_AT_ONCE = 4;
/** After so many failures in a row another runtime may be looked for. */
const FAILURES_MAX = 10;

/** gRPC's code for what is not there. */
const NOT_FOUND = 5;

/** How to find the runtime, and how long to wait; for tests the times are shorter. */
export interface CriOptions {
  /** `unix:///path` or a path; without it, the usual places. */
  readonly endpoint?: string;
  readonly proc?: string;
  readonly places?: readonly string[];
  readonly callMilliseconds?: number;
  readonly lookMilliseconds?: number;
}

/** The container runtime as a source of names. It looks by itself until it is closed. */
export class CriSource implements IdentitySource {
  readonly name = "cri";
  readonly #options: CriOptions;
  #runtime: Runtime | undefined;
  /** The socket that answered last. */
  #path: string | undefined;
  #held = new Sandboxes();
  #outcome: Outcome = { state: "absent", because: "No container runtime has been asked yet" };
  /** Milliseconds of `performance.now()` at the last look that went well. */
  #lookedAt: number | undefined;
  #failures = 0;
  #looking: Promise<void> | undefined;
  #began = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity;
  /** Those who wait for the next look. */
  #asked: PromiseWithResolvers<void> | undefined;
  /** Whether events are listened for, whether one has come, or that the runtime has none. */
  #events: "closed" | "waiting" | "coming" | "none" = "closed";
  #closed = false;
  readonly #refused = { sandboxes: 0, containers: 0 };

  constructor(options: CriOptions = {}) {
    this.#options = options;
    this.#lookIn(0);
  }

  /** `degraded` while the names are those of an earlier look. */
  outcome(): Outcome {
    const at = this.#lookedAt;
    if (at === undefined || this.#failures === 0) return this.#outcome;
    const seconds = Math.round((performance.now() - at) / 1000);
    const because = "because" in this.#outcome ? this.#outcome.because : "";
    return { state: "degraded", because: `Names are ${seconds} s old: ${because}` };
  }

  identify(subject: Subject): Identity | undefined {
    return this.#held.identify(subject, (pod, netns) => this.#netnsOf(pod) === netns);
  }

  owner(address: string): AddressOwner | undefined {
    return this.#held.owner(address);
  }

  /** Sandboxes and containers above their limits, summed over all looks. */
  refused(): Readonly<Record<string, number>> {
    return this.#refused;
  }

  /** Looks soon, at most four times a second; resolves when that look has ended. */
  refresh(): Promise<void> {
    // After a failure the next try has its own time.
    if (this.#failures > 0 || this.#closed) return Promise.resolve();
    const since = performance.now() - this.#began;
    this.#lookIn(Math.max(0, REFRESH_MILLISECONDS - since));
    this.#asked ??= Promise.withResolvers();
    return this.#asked.promise;
  }

  close(): void {
    this.#closed = true;
    this.#asked?.resolve();
    clearTimeout(this.#timer);
    this.#runtime?.[Symbol.dispose]();
  }

  /** Looks after so many milliseconds, unless it is due before that anyway. */
  #lookIn(milliseconds: number): void {
    const due = performance.now() + milliseconds;
    if (this.#closed || due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => {
      this.#due = Infinity;
      if (this.#looking !== undefined) return this.#lookIn(REFRESH_MILLISECONDS);
      const asked = this.#asked;
      this.#asked = undefined;
      this.#looking = this.#look().finally(() => {
        asked?.resolve();
        this.#looking = undefined;
        this.#lookIn(this.#pause());
      });
    }, milliseconds);
  }

  #pause(): number {
    const usual = this.#options.lookMilliseconds ?? LOOK_MILLISECONDS;
    if (this.#failures > 0) {
      return Math.min(usual * 2 ** (this.#failures - 1), LOOK_MILLISECONDS_MAX);
    }
    return this.#events === "coming" ? LOOK_MILLISECONDS_EVENTS : usual;
  }

  async #look(): Promise<void> {
    this.#began = performance.now();
    try {
      const because = await this.#lookOnce();
      if (this.#failures > 0) log.info("The container runtime answers again");
      this.#failures = 0;
      this.#lookedAt = performance.now();
      this.#outcome = because === undefined ? { state: "working" } : { state: "degraded", because };
    } catch (error) {
      if (this.#closed) return;
      const because = error instanceof Error ? error.message : String(error);
      const isAbsent = error instanceof Deno.errors.NotFound;
      if (this.#failures++ === 0 && !isAbsent) log.warn(because);
      this.#outcome = { state: isAbsent ? "absent" : "failed", because };
      // A connection on which nothing comes any more would fail the next look too.
      this.#drop();
    }
  }

  #drop(): void {
    this.#runtime?.[Symbol.dispose]();
    this.#runtime = undefined;
    this.#events = "closed";
  }

  /** One look; what is not held because of a limit, or could not be asked. */
  async #lookOnce(): Promise<string | undefined> {
    const [runtime, listed] = await this.#connect();
    const ready = sandboxesOf(listed).toSorted((a, b) => Number(b.ready) - Number(a.ready));
    const [sandboxes, tooMany] = bounded(ready, SANDBOXES_MAX);
    this.#refused.sandboxes += tooMany;
    const all = containersOf(await runtime.call("ListContainers"));
    const [containers, more] = bounded(all, CONTAINERS_MAX);
    this.#refused.containers += more;
    const known: Known[] = [];
    const failures: string[] = [];
    const queue = sandboxes.values();
    const work = async () => {
      for (const sandbox of queue) known.push(await this.#known(runtime, sandbox, failures));
    };
    await Promise.all(Array.from({ length: STATUSES_AT_ONCE }, work));
    this.#held = new Sandboxes([...known, ...this.#left(known)], containers);
    this.#listen(runtime);
    if (tooMany + more > 0) {
      return `Cannot hold ${tooMany} of the sandboxes and ${more} of the containers: at most ` +
        `${SANDBOXES_MAX} and ${CONTAINERS_MAX} are held`;
    }
    return failures[0];
  }

  /** Those that have gone of late, as many as there is room for beside those that are there. */
  #left(known: readonly Known[]): readonly Known[] {
    const there = new Set(known.map(({ id }) => id));
    const now = performance.now();
    const left: Known[] = [];
    for (const { leftAt = now, ...pod } of this.#held.known.values()) {
      if (there.has(pod.id) || now - leftAt > LEFT_MILLISECONDS_MAX) continue;
      left.push({ ...pod, ready: false, leftAt });
    }
    return left.slice(0, Math.max(0, SANDBOXES_MAX - known.length));
  }

  /** The runtime, and its list of sandboxes. */
  async #connect(): Promise<readonly [Runtime, Uint8Array]> {
    const { endpoint, places, callMilliseconds } = this.#options;
    if (this.#runtime !== undefined) {
      return [this.#runtime, await this.#runtime.call("ListPodSandbox")];
    }
    const paths = await this.#paths(endpoint, places);
    let first: unknown;
    for (const path of paths) {
      const runtime = new Runtime(path, callMilliseconds);
      try {
        const listed = await runtime.call("ListPodSandbox");
        if (this.#closed) throw new Error("Cannot ask the container runtime: the agent stops");
        this.#runtime = runtime;
        this.#path = path;
        return [runtime, listed];
      } catch (error) {
        runtime[Symbol.dispose]();
        first ??= error;
      }
    }
    throw first ?? new Deno.errors.NotFound(
      "There is no container runtime's socket in the usual places: name it by " +
        "`--runtime-endpoint unix:///PATH` if there is one",
    );
  }

  async #paths(endpoint: string | undefined, places: readonly string[] | undefined) {
    const asked = endpoint === undefined ? undefined : socketPath(endpoint);
    if (asked !== undefined) return [asked];
    // A runtime that is being restarted is waited for: another one's pods are not its own.
    if (this.#path !== undefined && this.#failures < FAILURES_MAX) return [this.#path];
    return await findEndpoints(places);
  }

  /** A sandbox with its status, which changes only with its state. */
  async #known(runtime: Runtime, sandbox: Sandbox, failures: string[]): Promise<Known> {
    const before = this.#held.known.get(sandbox.id);
    if (before?.status !== undefined && before.ready === sandbox.ready && isWhole(before)) {
      return { ...before, ...sandbox };
    }
    // What is known without it is its name, by its ids; after one failure the others can wait.
    if (failures.length > 0) return sandbox;
    try {
      const status = statusOf(await runtime.call("PodSandboxStatus", statusRequest(sandbox.id)));
      const netns = this.#netnsOf({ status });
      return { ...sandbox, status, ...(netns === undefined ? {} : { netns }) };
    } catch (error) {
      const isGone = error instanceof RuntimeError && error.code === NOT_FOUND;
      if (!isGone) failures.push(error instanceof Error ? error.message : String(error));
      return sandbox;
    }
  }

  #netnsOf({ status }: Pick<Known, "status">): number | undefined {
    const { netnsPath, pid } = status ?? {};
    const proc = this.#options.proc ?? "/proc";
    // The agent may have a mount namespace of its own: then only the process leads there.
    const byPid = pid === undefined ? [] : [`${proc}/${pid}/ns/net`];
    for (const path of netnsPath === undefined ? byPid : [netnsPath, ...byPid]) {
      try {
        const { ino } = Deno.statSync(path);
        if (ino !== null) return ino;
      } catch (error) {
        log.debug(`Cannot see a pod's network namespace at "${path}": ${error}`);
      }
    }
    return undefined;
  }

  /** Looks at once when the runtime says that something has changed, where it says so. */
  #listen(runtime: Runtime): void {
    if (this.#events !== "closed" || this.#closed) return;
    this.#events = "waiting";
    const run = async () => {
      for await (const _ of runtime.stream("GetContainerEvents")) {
        if (runtime !== this.#runtime) return;
        this.#events = "coming";
        void this.refresh();
      }
    };
    const over = (why: "closed" | "none") => {
      if (runtime !== this.#runtime) return;
      this.#events = why;
      this.#lookIn(this.#pause()); // Which then listens again.
    };
    void run().then(() => over("closed"), (error) => {
      log.debug(error instanceof Error ? error.message : String(error));
      over(error instanceof RuntimeError && error.code === UNIMPLEMENTED ? "none" : "closed");
    });
  }
}

/** A sandbox that is only being made may have no addresses yet. */
function isWhole({ ready, status }: Known): boolean {
  return !ready || status?.hostNetwork === true || (status?.addresses.length ?? 0) > 0;
}
