/**
 * Mounts the routes, and sees to what holds for all of them: who may ask, what a browser may do
 * with an answer, how a wrong path, method or failure is told, and what is counted.
 *
 * @module
 */
import { Hono } from "hono";
import { Access, type Caller, foreign, PROXIED_AUTHORIZATION, TokenFile } from "./access.ts";
import type { Config } from "./config/config.ts";
import { type Diagnoses, diagnosesOf } from "./diagnoses.ts";
import { type HttpCount, HttpCounts } from "./http_counts.ts";
import { type Answerer, type Listener, listenUnix, TcpListener } from "./listen.ts";
import { log } from "./log.ts";
import { openapi } from "./openapi.ts";
import { inClusterApi, type KubernetesApi, Reviews } from "./reviews.ts";
import { answerError, answerJson } from "./routes/answer.ts";
import { configOperations, configRoute } from "./routes/config.ts";
import {
  CONSOLE_FILES,
  type ConsoleFile,
  consoleOperations,
  consoleRoute,
  readConsole,
} from "./routes/console.ts";
import {
  diagnosesOperations,
  diagnosesRoute,
  diagnosisOperations,
  oldDiagnoseOperations,
  oldDiagnoseRoute,
} from "./routes/diagnoses.ts";
import { EventStreams, type StreamLimits } from "./routes/event_streams.ts";
import { eventsOperations, eventsRoute } from "./routes/events.ts";
import { healthOperations, healthRoute, readyOperations, readyRoute } from "./routes/health.ts";
import { metricsOperations, metricsRoute } from "./routes/metrics.ts";
import type { Operations } from "./routes/operation.ts";
import { podsOperations, podsRoute } from "./routes/pods.ts";
import { QueryError } from "./routes/query.ts";
import { snapshotOperations, snapshotRoute } from "./routes/snapshot.ts";
import { statusOperations, statusRoute } from "./routes/status.ts";
import { streamOperations, streamRoute } from "./routes/stream.ts";
import type { Agent } from "./surface.ts";

/**
 * Requests being answered at once; one more is turned away. Open streams are no longer being
 * answered.
 */
const REQUESTS_MAX = 128;
/** Requests under way when the agent stops have so long. */
const CLOSE_MILLISECONDS = 1_500;

/** Every path, with what it says of itself. Order is that of the list in a 404. */
const PATHS: ReadonlyMap<string, Operations> = new Map([
  ["/metrics", metricsOperations],
  ["/status", statusOperations],
  ["/healthz", healthOperations],
  ["/readyz", readyOperations],
  ["/events", eventsOperations],
  ["/events/stream", streamOperations],
  ["/pods", podsOperations],
  ["/config", configOperations],
  ["/snapshot", snapshotOperations],
  ["/diagnoses", diagnosesOperations],
  ["/diagnoses/{id}", diagnosisOperations],
  ["/diagnose", oldDiagnoseOperations],
  ["/", consoleOperations],
  ["/openapi.json", {
    GET: {
      needs: "open",
      summary: "This document",
      answers: { 200: { description: "OpenAPI 3.1", content: { "application/json": undefined } } },
    },
  }],
]);

/** Paths that have a part in braces, as what fits them. */
const PATTERNS = [...PATHS.keys()].filter((path) => path.includes("{"))
  .map((path) => [new RegExp(`^${path.replace(/\{\w+\}/g, "[^/]+")}$`), path] as const);

/** Files of the console's page, which a list for people need not show. */
const FILES: Operations = consoleOperations;

/** What the application is made of. */
export interface AppOptions {
  readonly agent: Agent;
  readonly access: Pick<Access, "refusal">;
  readonly streams: EventStreams;
  readonly counts: HttpCounts;
  readonly files: ReadonlyMap<string, ConsoleFile>;
  readonly diagnoses: Pick<Diagnoses, "ask" | "all" | "find">;
  /** Names of the node that a browser may know it by. */
  readonly names: readonly string[];
}

interface Environment {
  Bindings: { readonly caller: Caller };
}

/** Every route, behind the checks that all of them share. */
export function application(options: AppOptions): Hono<Environment> {
  const { agent, streams, counts, files, diagnoses } = options;
  const document = openapi(PATHS, agent.status().version);
  // A path with a slash at its end is the path without.
  const app = new Hono<Environment>({ strict: false });
  app.use(async (context, next) => {
    // What the router matches, so that rights and routes cannot differ on a path.
    const { path } = context.req;
    const route = operationsOf(path) === undefined ? "other" : patternOf(path) ?? path;
    counts.inFlight++;
    try {
      const refusal = counts.inFlight > REQUESTS_MAX
        ? overloaded(counts)
        : await refusalOf(context.req.raw, path, context.env.caller, options);
      if (refusal === undefined) await next();
      else context.res = refusal;
    } finally {
      counts.inFlight--;
    }
    secure(context.res.headers);
    counts.count(route, context.res.status);
    if (context.req.method !== "HEAD") {
      counts.sentBytes += Number(context.res.headers.get("content-length") ?? 0);
    }
  });
  app.route("/metrics", metricsRoute(agent));
  app.route("/status", statusRoute(agent));
  app.route("/healthz", healthRoute());
  app.route("/readyz", readyRoute(agent));
  app.route("/events/stream", streamRoute(streams));
  app.route("/events", eventsRoute(agent));
  app.route("/pods", podsRoute(agent));
  app.route("/config", configRoute(agent));
  app.route("/snapshot", snapshotRoute(agent));
  app.route("/diagnoses", diagnosesRoute(diagnoses));
  app.route("/diagnose", oldDiagnoseRoute(diagnoses));
  app.get("/openapi.json", () => answerJson(200, document));
  app.route("/", consoleRoute(files));
  app.onError((error, context) => {
    if (error instanceof QueryError) return answerError(400, error.message);
    const act = `Cannot answer ${context.req.method} ${context.req.path}`;
    log.error(act, { error: error.stack ?? error.message });
    return answerError(500, `${act}: ${error.message}`);
  });
  return app;
}

function patternOf(path: string): string | undefined {
  return PATTERNS.find(([pattern]) => pattern.test(path))?.[1];
}

function operationsOf(path: string): Operations | undefined {
  return PATHS.get(patternOf(path) ?? path) ??
    (Object.hasOwn(CONSOLE_FILES, path) ? FILES : undefined);
}

function overloaded(counts: HttpCounts): Response {
  counts.requestsRefused++;
  return answerError(
    503,
    `Cannot answer as ${REQUESTS_MAX} requests are being answered: try again`,
    {
      "retry-after": "1",
    },
  );
}

/** The answer to a request that no route gets to see; undefined for one that a route may answer. */
async function refusalOf(
  request: Request,
  path: string,
  caller: Caller,
  { access, names }: AppOptions,
): Promise<Response | undefined> {
  const operations = operationsOf(path);
  if (operations === undefined) {
    const routes = [...PATHS].map(([known, { GET, PUT, POST }]) => ({
      path: known,
      methods: Object.entries({ GET, PUT, POST }).filter(([, each]) => each !== undefined)
        .map(([method]) => method),
      summary: (GET ?? PUT ?? POST)?.summary,
    }));
    return answerJson(404, {
      error: `Cannot find ${JSON.stringify(path)}: there is no such path`,
      routes,
    });
  }
  const method = request.method;
  const operation = method === "HEAD"
    ? operations.GET
    : method === "GET" || method === "PUT" || method === "POST"
    ? operations[method]
    : undefined;
  if (operation === undefined) {
    const allow = [
      ...operations.GET === undefined ? [] : ["GET", "HEAD"],
      ...operations.PUT === undefined ? [] : ["PUT"],
      ...operations.POST === undefined ? [] : ["POST"],
    ].join(", ");
    return answerError(405, `Cannot ${method} "${path}": allowed methods are ${allow}`, { allow });
  }
  if (operation.needs !== "open" || operation === FILES.GET) {
    const because = foreign(request.headers, caller, names);
    if (because !== undefined) return answerError(421, because);
  }
  if (operation.needs === "open") return undefined;
  const authorization = request.headers.get(PROXIED_AUTHORIZATION) ??
    request.headers.get("authorization") ?? undefined;
  const refusal = await access.refusal({
    caller,
    needs: operation.needs,
    method,
    path,
    authorization,
  });
  if (refusal === undefined) return undefined;
  return answerError(
    refusal.status,
    refusal.error,
    refusal.status === 401 ? { "www-authenticate": 'Bearer realm="podskoop"' } : {},
  );
}

/** What a browser may do with an answer: for anything but the console's own files, nothing. */
function secure(headers: Headers): void {
  const html = headers.get("content-type")?.startsWith("text/html") ?? false;
  // A page that is a diagnosis has a policy of its own.
  const own = headers.get("content-security-policy");
  headers.set(
    "content-security-policy",
    own ?? "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
        (html ? "; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'" : ""),
  );
  headers.set("x-content-type-options", "nosniff");
  headers.set("x-frame-options", "DENY");
  headers.set("referrer-policy", "no-referrer");
  headers.set("cross-origin-resource-policy", "same-origin");
  headers.set("cross-origin-opener-policy", "same-origin");
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
}

/** What `serve` needs. */
export interface ServeOptions {
  readonly agent: Agent;
  /** Port 0 takes a free one. */
  readonly listen: Config["listen"];
  readonly socket: string;
  readonly access: Config["access"];
  readonly nodeName: string;
  /** Made before, where `/metrics` shows them; else its own. */
  readonly counts?: HttpCounts;
  /** Outlives the server, where there is more than one in a row; else its own. */
  readonly diagnoses?: Diagnoses;
  /** See `AccessOptions`. */
  readonly tokensInClear?: boolean;
  /** Default: that of the cluster whose pod this is, if it is one; `false` for none. */
  readonly kubernetes?: KubernetesApi | false;
  readonly streamLimits?: Partial<StreamLimits>;
}

/** The running server. */
export interface Server {
  /** Where TCP listens, with the port that was taken. */
  readonly address: { readonly hostname: string; readonly port: number };
  /** For people: the console's address on this node. */
  readonly url: string;
  readonly socket: string;
  readonly counts: HttpCounts;
  httpCounts(): Iterable<HttpCount>;
  /** Looks at the certificate's files now; it is done every few seconds anyway. */
  renewCertificate(): Promise<void>;
  /** Within 2 s, whatever is under way; open event streams end at once. */
  close(): Promise<void>;
}

/**
 * Opens both listeners.
 *
 * @throws {Error} when either cannot be opened, or the token file or the certificate cannot be
 * used; nothing is left open then
 */
export async function serve(options: ServeOptions): Promise<Server> {
  const { agent, socket, nodeName, access: { tokenFile, tls }, tokensInClear = false } = options;
  const counts = options.counts ?? new HttpCounts();
  const api = options.kubernetes ?? inClusterApi();
  const reviews = api === undefined || api === false ? undefined : new Reviews(api);
  const access = new Access({
    ...tokenFile === undefined ? {} : { tokens: new TokenFile(tokenFile) },
    ...reviews === undefined ? {} : { reviews },
    tokensInClear,
    socket,
  });
  const streams = new EventStreams(agent, counts, options.streamLimits);
  const diagnoses = options.diagnoses ?? diagnosesOf(agent, counts);
  const names = [nodeName, Deno.hostname()].map((name) => name.toLowerCase());
  const files = await readConsole();
  const app = application({ agent, access, streams, counts, files, names, diagnoses });
  const answer: Answerer = (request, caller) => app.fetch(request, { caller });
  const listeners: Listener[] = [];
  const close = async () => {
    streams.close();
    await Promise.all(listeners.map((listener) => listener.close(CLOSE_MILLISECONDS)));
    reviews?.close();
  };
  try {
    const tcp = await TcpListener.open(
      { ...options.listen, ...tls === undefined ? {} : { tls } },
      answer,
    );
    listeners.push(tcp);
    listeners.push(await listenUnix(socket, answer));
    return {
      address: tcp.address,
      url: urlOf(tcp.address, tls !== undefined),
      socket,
      counts,
      httpCounts: () => counts.httpCounts(),
      renewCertificate: () => tcp.renew(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** An address that listens everywhere is reached by the loopback one. */
function urlOf({ hostname, port }: Server["address"], tls: boolean): string {
  const name = hostname === "0.0.0.0" || hostname === "::" ? "localhost" : hostname;
  return `${tls ? "https" : "http"}://${name.includes(":") ? `[${name}]` : name}:${port}/`;
}
