/**
 * Asks Kubernetes whose a token is, and whether its owner may use a path of ours: TokenReview and
 * SubjectAccessReview, as kube-rbac-proxy and the kubelet do. Rights are RBAC rules with
 * `nonResourceURLs`.
 *
 * Source: Kubernetes API reference, authentication.k8s.io/v1 and authorization.k8s.io/v1.
 *
 * @module
 */
import { createHash } from "node:crypto";
import * as v from "valibot";

/** An answer holds for so long. */
const HOLDS_MILLISECONDS = 60_000;
/** Answers kept; the oldest goes first. */
const ANSWERS_MAX = 1_024;
/** Longest that one answer may take. */
const TIMEOUT_MILLISECONDS = 3_000;
/** Reviews at once: someone who tries tokens must not load the API server. */
const IN_FLIGHT_MAX = 8;

/** Where the API is, and how to speak to it. */
export interface KubernetesApi {
  readonly url: string;
  /** The agent's own token, which is replaced about hourly. */
  readonly tokenFile: string;
  readonly caFile?: string;
}

/** `denied`: the token is someone's, who may not. `unknown`: it is nobody's. */
export type Verdict = "allowed" | "denied" | "unknown";

const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The API of the cluster that this process is a pod of; undefined when it is not. */
export function inClusterApi(folder = ACCOUNT): KubernetesApi | undefined {
  const host = Deno.env.get("KUBERNETES_SERVICE_HOST");
  const port = Deno.env.get("KUBERNETES_SERVICE_PORT") ?? "443";
  if (host === undefined || host === "") return undefined;
  try {
    Deno.statSync(`${folder}/token`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return {
    url: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    tokenFile: `${folder}/token`,
    caFile: `${folder}/ca.crt`,
  };
}

/**
 * Whom a token may be for, beside the API server: one that was asked of it for this audience is
 * worth nothing but here.
 */
export const AUDIENCE = "podskoop";

const extra = v.record(v.string(), v.array(v.string()));

const tokenReview = v.object({
  status: v.object({
    authenticated: v.optional(v.boolean(), false),
    audiences: v.nullish(v.array(v.string()), []),
    user: v.optional(v.object({
      username: v.optional(v.string(), ""),
      uid: v.optional(v.string(), ""),
      groups: v.optional(v.array(v.string()), []),
      extra: v.optional(extra, {}),
    })),
  }),
});

const accessReview = v.object({
  status: v.object({ allowed: v.optional(v.boolean(), false) }),
});

interface Held {
  readonly verdict: Verdict;
  readonly until: number;
}

/** Reviews tokens, and remembers the answers for a minute. */
export class Reviews {
  readonly #api: KubernetesApi;
  readonly #now: () => number;
  readonly #timeoutMilliseconds: number;
  readonly #held = new Map<string, Held>();
  readonly #inFlight = new Map<string, Promise<Verdict>>();
  #ca: string | undefined;
  #client: Deno.HttpClient | undefined;
  /** Reviews not made because too many were under way. */
  refused = 0;

  constructor(
    api: KubernetesApi,
    now: () => number = Date.now,
    timeoutMilliseconds = TIMEOUT_MILLISECONDS,
  ) {
    this.#api = api;
    this.#now = now;
    this.#timeoutMilliseconds = timeoutMilliseconds;
  }

  /**
   * Whether the token's owner may use the path; `verb` is the HTTP method in lower case.
   *
   * @throws {Error} when the API cannot be asked, or too many reviews are under way; nothing is
   * remembered then
   */
  async allows(token: string, verb: string, path: string): Promise<Verdict> {
    const key = `${createHash("sha256").update(token).digest("hex")} ${verb} ${path}`;
    const held = this.#held.get(key);
    if (held !== undefined && held.until > this.#now()) return held.verdict;
    const known = this.#inFlight.get(key);
    if (known !== undefined) return await known;
    if (this.#inFlight.size >= IN_FLIGHT_MAX) {
      this.refused++;
      throw new Error(`Cannot review a token as ${IN_FLIGHT_MAX} reviews are under way`);
    }
    const review = this.#review(token, verb, path);
    this.#inFlight.set(key, review);
    try {
      const verdict = await review;
      this.#hold(key, verdict);
      return verdict;
    } finally {
      this.#inFlight.delete(key);
    }
  }

  /** Closes the connections to the API. */
  close(): void {
    this.#client?.close();
    this.#client = undefined;
    this.#ca = undefined;
  }

  #hold(key: string, verdict: Verdict): void {
    this.#held.delete(key);
    if (this.#held.size >= ANSWERS_MAX) {
      const [oldest] = this.#held.keys();
      if (oldest !== undefined) this.#held.delete(oldest);
    }
    this.#held.set(key, { verdict, until: this.#now() + HOLDS_MILLISECONDS });
  }

  async #review(token: string, verb: string, path: string): Promise<Verdict> {
    const isOurs = isFor(token, AUDIENCE);
    const { status: { authenticated, audiences, user } } = v.parse(
      tokenReview,
      await this.#post("authentication.k8s.io/v1", "tokenreviews", "TokenReview", {
        token,
        ...(isOurs ? { audiences: [AUDIENCE] } : {}),
      }),
    );
    if (!authenticated || user === undefined) return "unknown";
    // One that does not know of audiences takes the token for one of its own.
    if (isOurs && !audiences?.includes(AUDIENCE)) return "unknown";
    const { username, ...others } = user;
    const { status } = v.parse(
      accessReview,
      await this.#post("authorization.k8s.io/v1", "subjectaccessreviews", "SubjectAccessReview", {
        user: username,
        ...others,
        nonResourceAttributes: { path, verb },
      }),
    );
    return status.allowed ? "allowed" : "denied";
  }

  async #post(group: string, resource: string, kind: string, spec: unknown): Promise<unknown> {
    const url = `${this.#api.url}/apis/${group}/${resource}`;
    const own = (await Deno.readTextFile(this.#api.tokenFile)).trim();
    const response = await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${own}`, "content-type": "application/json" },
      body: JSON.stringify({ apiVersion: group, kind, spec }),
      signal: AbortSignal.timeout(this.#timeoutMilliseconds),
      redirect: "error",
      ...await this.#connection(),
    });
    if (!response.ok) {
      await response.body?.cancel();
      const hint = response.status === 403
        ? ": bind the agent's account to the ClusterRole system:auth-delegator"
        : "";
      throw new Error(`Cannot create a ${kind} at "${url}": status is ${response.status}${hint}`);
    }
    return await response.json();
  }

  /** A client that trusts the cluster's authority; another one when that is replaced. */
  async #connection(): Promise<{ readonly client?: Deno.HttpClient }> {
    const { caFile } = this.#api;
    if (caFile === undefined) return {};
    const ca = await Deno.readTextFile(caFile);
    if (this.#client === undefined || ca !== this.#ca) {
      this.#client?.close();
      this.#client = Deno.createHttpClient({ caCerts: [ca] });
      this.#ca = ca;
    }
    return { client: this.#client };
  }
}

const claims = v.object({ aud: v.union([v.string(), v.array(v.string())]) });

/**
 * Whether a token says that it is for an audience (RFC 7519, §4.1.3). It is not checked here: it
 * says which question is put to who checks it.
 */
function isFor(token: string, audience: string): boolean {
  const [, payload = ""] = token.split(".");
  try {
    const text = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const { aud } = v.parse(claims, JSON.parse(text));
    return typeof aud === "string" ? aud === audience : aud.includes(audience);
  } catch {
    return false; // It is of another form.
  }
}
