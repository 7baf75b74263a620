/**
 * A Kubernetes API server that lists and watches, and misbehaves on purpose, for tests. Its objects
 * have the form that `kubectl get --raw` shows.
 *
 * @module
 */

/** An object of the API, as far as the server itself looks into it. */
export interface FakeObject {
  readonly metadata: {
    readonly uid: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly nodeName?: string; readonly [key: string]: unknown };
}

/** What to do instead of answering. */
export type Misdeed =
  | { readonly kind: "status"; readonly status: number; readonly retryAfter?: number }
  /** An `ERROR` event on a watch that was granted. */
  | { readonly kind: "error"; readonly code: number }
  /** The connection breaks, or ends properly, within the answer. */
  | { readonly kind: "break" | "truncate"; readonly bytes: number }
  | { readonly kind: "garbage" | "hang" | "end" };

export const PODS = "/api/v1/pods";
export const SERVICES = "/api/v1/services";
export const NODES = "/api/v1/nodes";
export const SLICES = "/apis/discovery.k8s.io/v1/endpointslices";

interface Change {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly path: string;
  readonly object: FakeObject;
  readonly version: number;
}

interface Watcher {
  readonly path: string;
  readonly node: string | undefined;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
}

const encoder = new TextEncoder();

/** It listens on a port of this machine. */
export class FakeKubernetes implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #ending = new AbortController();
  readonly #dir = Deno.makeTempDirSync({ prefix: "fake-kubernetes-" });
  readonly #objects = new Map<string, Map<string, FakeObject>>();
  readonly #watchers = new Set<Watcher>();
  /** Changes that a watch can begin from; `compact()` forgets them. */
  #history: Change[] = [];
  #compacted = 0;
  #version = 1_000;
  /** What is done wrong to requests of a kind, one after the other; then it behaves. */
  readonly misdeeds: { readonly list: Misdeed[]; readonly watch: Misdeed[] } = {
    list: [],
    watch: [],
  };
  /** Paths that answer 403. */
  readonly forbidden = new Set<string>();
  /** What is answered at paths of which there is no list. */
  readonly answers = new Map<string, (request: Request) => Response | Promise<Response>>();
  /** The token that is taken. */
  token = "right";
  /** Requests, as `list /api/v1/pods`. */
  readonly asked: string[] = [];

  constructor(tls?: { readonly cert: string; readonly key: string }) {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls };
    const { signal } = this.#ending;
    this.#server = Deno.serve({ ...options, signal }, (request) => this.#answer(request));
    this.kubeconfig();
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** Writes a kubeconfig; its path. `cluster` and `user` are lines of YAML flow mappings. */
  kubeconfig(
    cluster = `{ server: "http://127.0.0.1:${this.port}" }`,
    user = `{ tokenFile: token }`,
  ): string {
    const path = `${this.#dir}/config`;
    Deno.writeTextFileSync(`${this.#dir}/token`, `${this.token}\n`);
    Deno.writeTextFileSync(
      path,
      `apiVersion: v1\nkind: Config\ncurrent-context: c\n` +
        `contexts: [{ name: c, context: { cluster: k, user: u } }]\n` +
        `clusters: [{ name: k, cluster: ${cluster} }]\nusers: [{ name: u, user: ${user} }]\n`,
    );
    return path;
  }

  /** Adds or changes an object. */
  put(path: string, ...objects: readonly FakeObject[]): void {
    for (const object of objects) {
      const all = this.#all(path);
      const type = all.has(object.metadata.uid) ? "MODIFIED" : "ADDED";
      this.#change(type, path, object);
    }
  }

  remove(path: string, uid: string): void {
    const object = this.#all(path).get(uid);
    if (object !== undefined) this.#change("DELETED", path, object);
  }

  /** Tells watchers how far they are. */
  bookmark(path: string): void {
    this.#change("BOOKMARK", path, { metadata: { uid: "" } });
  }

  /** Forgets where watches may begin, as etcd does every five minutes. */
  compact(): void {
    this.#history = [];
    this.#compacted = this.#version;
  }

  /** Breaks all watches off. */
  breakWatches(): void {
    for (const { controller } of this.#watchers) controller.error(new Error("broken"));
    this.#watchers.clear();
  }

  get watching(): number {
    return this.#watchers.size;
  }

  count(request: string): number {
    return this.asked.filter((each) => each === request).length;
  }

  #all(path: string): Map<string, FakeObject> {
    const all = this.#objects.get(path) ?? new Map<string, FakeObject>();
    this.#objects.set(path, all);
    return all;
  }

  #change(type: Change["type"], path: string, given: FakeObject): void {
    const version = ++this.#version;
    const metadata = { ...given.metadata, resourceVersion: `${version}` };
    const object = { ...given, metadata };
    const all = this.#all(path);
    if (type === "DELETED") all.delete(metadata.uid);
    else if (type !== "BOOKMARK") all.set(metadata.uid, object);
    const change = { type, path, object, version };
    this.#history.push(change);
    for (const watcher of this.#watchers) send(watcher, change);
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const verb = searchParams.get("watch") === "1" ? "watch" : "list";
    this.asked.push(`${verb} ${pathname}`);
    if (request.headers.get("authorization") !== `Bearer ${this.token}`) {
      return refusal(401, "Unauthorized");
    }
    if (this.forbidden.has(pathname)) return refusal(403, `cannot ${verb} "${pathname}"`);
    const own = this.answers.get(pathname);
    if (own !== undefined) return await own(request);
    const odd = this.misdeeds[verb].shift();
    if (odd?.kind === "status") return refusal(odd.status, "as told", odd.retryAfter);
    if (odd?.kind === "hang") {
      await new Promise<void>((resolve) => {
        this.#ending.signal.addEventListener("abort", () => resolve());
        request.signal.addEventListener("abort", () => resolve());
      });
      return refusal(503, "hung");
    }
    if (odd?.kind === "garbage") return new Response("<html>\n");
    if (pathname === "/apis") return Response.json({ kind: "APIGroupList", groups: [] });
    const body = verb === "watch"
      ? this.#watch(pathname, searchParams, odd)
      : this.#list(pathname, searchParams);
    if (body instanceof Response) return body;
    if (odd?.kind === "break" || odd?.kind === "truncate") return cut(body, odd);
    return new Response(body, { headers: { "content-type": "application/json" } });
  }

  #list(path: string, query: URLSearchParams): string | Response {
    const node = nodeOf(query);
    const [, label, value] = /^(.*)=(.*)$/.exec(query.get("labelSelector") ?? "") ?? [];
    const all = Array.from(this.#all(path).values()).filter((each) =>
      isOn(each, node) && (label === undefined || each.metadata.labels?.[label] === value)
    );
    const limit = Number(query.get("limit") ?? Infinity);
    const [version = `${this.#version}`, from = "0"] = query.get("continue")?.split("/") ?? [];
    if (Number(version) < this.#compacted) return refusal(410, "The continue token is too old");
    const items = all.slice(Number(from), Number(from) + limit);
    const next = Number(from) + items.length;
    const rest = next < all.length
      ? { continue: `${version}/${next}`, remainingItemCount: all.length - next }
      : {};
    const metadata = { resourceVersion: version, ...rest };
    return JSON.stringify({ kind: "List", apiVersion: "v1", metadata, items });
  }

  #watch(
    path: string,
    query: URLSearchParams,
    odd: Misdeed | undefined,
  ): ReadableStream<Uint8Array> | string | Response {
    const node = nodeOf(query);
    const from = Number(query.get("resourceVersion"));
    if (odd?.kind === "error") return `${JSON.stringify(errorEvent(odd.code))}\n`;
    if (from < this.#compacted) return `${JSON.stringify(errorEvent(410))}\n`;
    const missed = this.#history.filter(({ version }) => version > from);
    let watcher: Watcher;
    return new ReadableStream({
      start: (controller) => {
        watcher = { path, node, controller };
        for (const change of missed) send(watcher, change);
        if (odd?.kind === "end") controller.close();
        else this.#watchers.add(watcher);
      },
      cancel: () => {
        this.#watchers.delete(watcher);
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.breakWatches();
    this.#ending.abort();
    await this.#server.finished;
    await Deno.remove(this.#dir, { recursive: true });
  }
}

function nodeOf(query: URLSearchParams): string | undefined {
  return /^spec\.nodeName=(.*)$/.exec(query.get("fieldSelector") ?? "")?.[1];
}

function isOn({ spec }: FakeObject, node: string | undefined): boolean {
  return node === undefined || spec?.nodeName === node;
}

function send({ path, node, controller }: Watcher, change: Change): void {
  if (change.path !== path) return;
  if (change.type !== "BOOKMARK" && !isOn(change.object, node)) return;
  const { type, object } = change;
  controller.enqueue(encoder.encode(`${JSON.stringify({ type, object })}\n`));
}

function errorEvent(code: number) {
  const metadata = {};
  const message = code === 410 ? "too old resource version: 1 (1000)" : "as told";
  const object = { kind: "Status", apiVersion: "v1", metadata, status: "Failure", message, code };
  return { type: "ERROR", object };
}

function refusal(status: number, message: string, retryAfter?: number): Response {
  const body = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message };
  const headers = retryAfter === undefined ? {} : { "retry-after": `${retryAfter}` };
  return Response.json({ ...body, code: status }, { status, headers });
}

function cut(
  body: string | ReadableStream<Uint8Array>,
  { kind, bytes }: { readonly kind: "break" | "truncate"; readonly bytes: number },
): Response {
  const source = typeof body === "string" ? ReadableStream.from([encoder.encode(body)]) : body;
  const reader = source.getReader();
  let left = bytes;
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (left <= 0) {
        await reader.cancel();
        if (kind === "break") controller.error(new Error("broken"));
        else controller.close();
        return;
      }
      const { value, done } = await reader.read();
      if (done) return controller.close();
      controller.enqueue(value.slice(0, left));
      left -= value.length;
    },
  });
  return new Response(stream);
}
