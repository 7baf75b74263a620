/**
 * Names from Docker, or Podman in its place: containers by their names, where no Kubernetes is.
 *
 * Source: Docker Engine API 1.47, `GET /containers/json`.
 *
 * @module
 */
import * as v from "valibot";
import { log } from "../../log.ts";
import type { Outcome } from "../../outcome.ts";
import { findEndpoints, underFirstProcess } from "../cri/endpoint.ts";
import type { AddressOwner, Identity, IdentitySource } from "../identity.ts";
import type { Subject } from "../naming.ts";

/** Containers that are held; a machine runs some hundreds. */
export const CONTAINERS_MAX = 8_192;
/** A longer answer is refused. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;
/** Milliseconds that an answer may take. */
const ANSWER_MILLISECONDS_MAX = 5_000;
/** Milliseconds from one look to the next, and the most of them after failures in a row. */
const LOOK_MILLISECONDS = 10_000;
const LOOK_MILLISECONDS_MAX = 60_000;
/** Milliseconds from one look to the next that was asked for. */
const REFRESH_MILLISECONDS = 250;

const PLACES = underFirstProcess([
  "/run/docker.sock",
  "/var/run/docker.sock",
  "/run/podman/podman.sock",
]);

/** Those that have, or may soon have, processes. Podman refuses the states that only Docker has. */
const FILTERS = JSON.stringify({ status: ["created", "running", "paused"] });

const networkShape = v.object({
  IPAddress: v.nullish(v.string(), ""),
  GlobalIPv6Address: v.nullish(v.string(), ""),
});

const containersShape = v.array(v.object({
  Id: v.string(),
  Names: v.nullish(v.array(v.string()), []),
  Labels: v.nullish(v.record(v.string(), v.string()), {}),
  NetworkSettings: v.nullish(
    v.object({ Networks: v.nullish(v.record(v.string(), v.nullish(networkShape)), {}) }),
  ),
}));

type Container = v.InferOutput<typeof containersShape>[number];

/** Where the engine is; times are shorter in tests. */
export interface DockerOptions {
  readonly places?: readonly string[];
  readonly lookMilliseconds?: number;
}

/** Docker as a source of names. It looks by itself until it is closed. */
export class DockerSource implements IdentitySource {
  readonly name = "docker";
  readonly #options: DockerOptions;
  #byId = new Map<string, Identity>();
  /** Null for an address that several containers have. */
  #byAddress = new Map<string, AddressOwner | null>();
  #outcome: Outcome = { state: "absent", because: "No container engine has been asked yet" };
  /** Milliseconds of `performance.now()` at the last look that went well. */
  #lookedAt: number | undefined;
  #failures = 0;
  #began = -Infinity;
  #looking: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #refused = 0;

  constructor(options: DockerOptions = {}) {
    this.#options = options;
    this.#lookIn(0);
  }

  /** `degraded` while the names are those of an earlier look. */
  outcome(): Outcome {
    const at = this.#lookedAt;
    if (at === undefined || this.#failures === 0) return this.#outcome;
    const because = "because" in this.#outcome ? this.#outcome.because : "";
    const seconds = Math.round((performance.now() - at) / 1000);
    return { state: "degraded", because: `Names are ${seconds} s old: ${because}` };
  }

  identify({ containerId }: Subject): Identity | undefined {
    return containerId === undefined ? undefined : this.#byId.get(containerId);
  }

  owner(address: string): AddressOwner | undefined {
    return this.#byAddress.get(address) ?? undefined;
  }

  refused(): Readonly<Record<string, number>> {
    return { dockerContainers: this.#refused };
  }

  /** Looks soon, at most four times a second; resolves when that look has ended. */
  async refresh(): Promise<void> {
    if (this.#failures > 0 || this.#closed || this.#lookedAt === undefined) return;
    await this.#looking;
    const since = performance.now() - this.#began;
    const wait = Math.max(0, REFRESH_MILLISECONDS - since);
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    if (this.#closed) return;
    this.#looking ??= this.#look();
    await this.#looking;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #lookIn(milliseconds: number): void {
    this.#timer = setTimeout(() => {
      this.#looking ??= this.#look();
      void this.#looking.then(() => {
        if (!this.#closed) this.#lookIn(this.#pause());
      });
    }, milliseconds);
  }

  #pause(): number {
    const usual = this.#options.lookMilliseconds ?? LOOK_MILLISECONDS;
    return Math.min(usual * 2 ** Math.min(this.#failures, 16), LOOK_MILLISECONDS_MAX);
  }

  async #look(): Promise<void> {
    this.#began = performance.now();
    try {
      this.#take(await this.#ask());
      this.#failures = 0;
      this.#lookedAt = performance.now();
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      const isAbsent = error instanceof Deno.errors.NotFound;
      if (this.#failures++ === 0 && !isAbsent) log.warn(because);
      this.#outcome = { state: isAbsent ? "absent" : "failed", because };
    } finally {
      this.#looking = undefined;
    }
  }

  async #ask(): Promise<readonly Container[]> {
    const [path] = await findEndpoints(this.#options.places ?? PLACES);
    if (path === undefined) {
      throw new Deno.errors.NotFound("There is no socket of Docker or Podman in the usual places");
    }
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    const query = new URLSearchParams({ filters: FILTERS });
    try {
      const response = await fetch(`http://localhost/containers/json?${query}`, {
        client,
        signal: AbortSignal.timeout(ANSWER_MILLISECONDS_MAX),
      });
      const text = await bounded(response);
      if (!response.ok) throw new Error(`HTTP ${response.status}: ${text.slice(0, 200).trim()}`);
      return v.parse(containersShape, JSON.parse(text));
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot ask "${path}" for its containers: ${because}`, { cause: error });
    }
  }

  #take(containers: readonly Container[]): void {
    const byId = new Map<string, Identity>();
    const byAddress = new Map<string, AddressOwner | null>();
    for (const container of containers.slice(0, CONTAINERS_MAX)) {
      const identity = identityOf(container);
      byId.set(container.Id, identity);
      const owner = { pod: { namespace: identity.namespace, name: identity.name } };
      for (const address of addressesOf(container)) {
        byAddress.set(address, byAddress.has(address) ? null : owner);
      }
    }
    this.#byId = byId;
    this.#byAddress = byAddress;
    const tooMany = Math.max(0, containers.length - CONTAINERS_MAX);
    this.#refused += tooMany;
    const because = `Cannot hold ${tooMany} of the containers: at most ${CONTAINERS_MAX} are held`;
    this.#outcome = tooMany === 0 ? { state: "working" } : { state: "degraded", because };
  }
}

/** A container by its name; one of a pod, which cri-dockerd made, by its pod's. */
function identityOf({ Id, Names, Labels }: Container): Identity {
  const labels = Labels ?? {};
  const pod = labels["io.kubernetes.pod.name"];
  const uid = labels["io.kubernetes.pod.uid"];
  const namespace = labels["io.kubernetes.pod.namespace"];
  if (pod !== undefined && namespace !== undefined) {
    return { kind: "pod", namespace, name: pod, ...(uid === undefined ? {} : { uid }) };
  }
  // A link adds a name with two slashes, as seen from the container that has the link.
  const name = Names?.find((each) => !each.slice(1).includes("/"))?.replace(/^\//, "");
  return {
    kind: "container",
    namespace: "container",
    name: name === undefined || name === "" ? Id.slice(0, 12) : name,
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
}

function addressesOf({ NetworkSettings }: Container): readonly string[] {
  return Object.values(NetworkSettings?.Networks ?? {})
    .flatMap((network) => [network?.IPAddress ?? "", network?.GlobalIPv6Address ?? ""])
    .filter((address) => address !== "");
}

async function bounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > ANSWER_BYTES_MAX) {
      throw new RangeError(`The answer has more than ${ANSWER_BYTES_MAX} bytes`);
    }
  }
  return text + decoder.decode();
}
