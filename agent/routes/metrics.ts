/**
 * `GET /metrics`.
 *
 * Sources: Prometheus' "Exposition formats" for the content types; RFC 9110 §12.5 for `Accept`,
 * `Accept-Encoding`.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { Hono } from "hono";
import * as v from "valibot";
import { CONTENT_TYPE } from "../exposition.ts";
import type { Agent } from "../surface.ts";
import { answer, answerOnce } from "./answer.ts";
import type { Operations } from "./operation.ts";
import { choices, readQuery } from "./query.ts";

const query = v.strictObject({
  names: choices(
    ["podskoop", "inspector", "kubeskoop"],
    "Whose metric names to use; repeated or separated by commas. Without it, as configured",
  ),
});

/** What OpenAPI shows. */
export const metricsOperations: Operations = {
  GET: {
    needs: "open",
    summary: "Every metric, as Prometheus reads it",
    query,
    answers: {
      200: {
        description: "The format that Accept prefers; gzip where Accept-Encoding allows it",
        content: { "text/plain": undefined, "application/openmetrics-text": undefined },
      },
      400: { description: "A parameter is wrong" },
    },
  },
};

/** `GET /metrics`: everything the agent knows, as Prometheus reads it. */
export function metricsRoute(agent: Pick<Agent, "exposition">): Hono {
  return new Hono().get("/", async (context) => {
    const { names } = readQuery(query, context.req.queries());
    const openMetrics = prefersOpenMetrics(context.req.header("accept") ?? "");
    const text = await agent.exposition(
      names === undefined ? names : [...new Set(names)],
      openMetrics,
    );
    const type = openMetrics ? CONTENT_TYPE.openMetrics : CONTENT_TYPE.text;
    const headers = { vary: "Accept, Accept-Encoding" };
    if (!allowsGzip(context.req.header("accept-encoding") ?? "")) {
      return answerOnce(type, text, headers);
    }
    return answer(200, type, gzip(text), { ...headers, "content-encoding": "gzip" });
  });
}

/** The least that gzip can do: half again as long as the usual, for a sixth of the CPU time. */
const GZIP_LEVEL = 1;

/** The bytes cannot be used again. */
function gzip(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const compressed = new Uint8Array(gzipSync(bytes, { level: GZIP_LEVEL }));
  bytes.buffer.transfer(0);
  return compressed;
}

/**
 * Whether `Accept` has OpenMetrics 1.0 at least as high as the text format; nothing acceptable gets
 * the text.
 */
export function prefersOpenMetrics(accept: string): boolean {
  let openMetrics = 0;
  let text = 0;
  for (const { name, weight, parameters } of preferences(accept)) {
    const version = parameters.get("version");
    if (name === "application/openmetrics-text" && (version ?? "1.0.0") === "1.0.0") {
      openMetrics = Math.max(openMetrics, weight);
    } else if (name === "text/plain" && (version ?? "0.0.4") === "0.0.4") {
      text = Math.max(text, weight);
    }
  }
  return openMetrics > 0 && openMetrics >= text;
}

/** Whether `Accept-Encoding` allows gzip. */
export function allowsGzip(acceptEncoding: string): boolean {
  let any = 0;
  for (const { name, weight } of preferences(acceptEncoding)) {
    if (name === "gzip" || name === "x-gzip") return weight > 0;
    if (name === "*") any = weight;
  }
  return any > 0;
}

interface Preference {
  readonly name: string;
  readonly weight: number;
  readonly parameters: ReadonlyMap<string, string>;
}

/**
 * The entries of an `Accept` or `Accept-Encoding` field. A weight that is no number counts as 0.
 */
function* preferences(field: string): Iterable<Preference> {
  for (const entry of field.split(",")) {
    const [name = "", ...rest] = entry.split(";").map((part) => part.trim().toLowerCase());
    if (name === "") continue;
    const parameters = new Map(rest.map((part): [string, string] => {
      const [key = "", value = ""] = part.split("=", 2);
      return [key.trim(), value.trim().replaceAll('"', "")];
    }));
    const weight = Number(parameters.get("q") ?? 1);
    yield { name, weight: Number.isFinite(weight) ? weight : 0, parameters };
  }
}
