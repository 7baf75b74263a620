/**
 * `GET /config` and `PUT /config`.
 *
 * @module
 */
import { Hono } from "hono";
import type { Agent } from "../surface.ts";
import { answer, answerError, answerErrors, answerJson } from "./answer.ts";
import type { Operations } from "./operation.ts";
import { changesShape, errorsShape } from "./shapes.ts";

/** Largest configuration that is taken; the largest useful one is a few kilobytes. */
export const CONFIG_BYTES_MAX = 1024 * 1024;
/**
 * Of a larger body this much is read and thrown away: a client that is still sending when the
 * connection closes sees a broken pipe instead of the answer.
 */
const DRAINED_BYTES_MAX = 8 * CONFIG_BYTES_MAX;

/** Longest that a client may take to send one. */
const BODY_MILLISECONDS_MAX = 10_000;

/** What OpenAPI shows. */
export const configOperations: Operations = {
  GET: {
    needs: "admin",
    summary: "The configuration as it runs, with every default",
    answers: {
      200: {
        description: "The header podskoop-config-origin says where it came from",
        content: { "text/yaml": undefined },
      },
    },
  },
  PUT: {
    needs: "admin",
    summary: "Tries a configuration and swaps it in; on failure nothing changes",
    body: { type: "text/yaml", description: "The whole configuration, of any of the schemas" },
    answers: {
      200: { description: "It runs", content: { "application/json": changesShape } },
      400: { description: "The body is empty or not UTF-8" },
      408: { description: "The body did not arrive in time" },
      413: { description: "The body is too large" },
      422: {
        description: "It is wrong, and the old one runs on",
        content: { "application/json": errorsShape },
      },
    },
  },
};

/**
 * `GET /config`: the effective configuration. `PUT /config`: another one, which stays until the
 * next start.
 */
export function configRoute(
  agent: Pick<Agent, "config" | "configure">,
  bodyMillisecondsMax = BODY_MILLISECONDS_MAX,
): Hono {
  return new Hono()
    .get("/", () => {
      const { text, origin } = agent.config();
      // A header holds no control characters and nothing beyond Latin-1; a path may.
      return answer(200, "text/yaml; charset=utf-8", text, {
        "podskoop-config-origin": encodeURI(origin),
      });
    })
    .put("/", async (context) => {
      const body = await readBody(context.req.raw, bodyMillisecondsMax);
      if (body instanceof Response) return body;
      const result = await agent.configure(body);
      if (!result.ok) return answerErrors(422, result.errors);
      return answerJson(200, { changed: result.changed, warnings: result.warnings });
    });
}

/** The body as text, or the answer to a client that sends none that can be used. */
async function readBody(request: Request, millisecondsMax: number): Promise<string | Response> {
  const stated = Number(request.headers.get("content-length") ?? 0);
  if (stated > DRAINED_BYTES_MAX) return tooLarge(`${stated}`);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    void reader?.cancel();
  }, millisecondsMax);
  try {
    for (;;) {
      const { done, value } = await reader?.read() ?? { done: true };
      if (done || value === undefined) break;
      length += value.length;
      if (length > DRAINED_BYTES_MAX) {
        await reader?.cancel();
        return tooLarge(`more than ${DRAINED_BYTES_MAX}`);
      }
      if (length <= CONFIG_BYTES_MAX) chunks.push(new Uint8Array(value));
    }
  } finally {
    clearTimeout(timer);
  }
  if (!late && length > CONFIG_BYTES_MAX) return tooLarge(`${length}`);
  if (late) {
    return answerError(
      408,
      `Cannot read the configuration as it must arrive within ${millisecondsMax} ms: ` +
        `${length} bytes came`,
      { connection: "close" },
    );
  }
  return decode(await new Blob(chunks).arrayBuffer());
}

function tooLarge(length: string): Response {
  return answerError(
    413,
    `Cannot take the configuration as it must have at most ${CONFIG_BYTES_MAX} bytes: ` +
      `current length is ${length}`,
    { connection: "close" },
  );
}

function decode(bytes: ArrayBuffer): string | Response {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return answerError(400, "Cannot read the configuration as it must be UTF-8 text");
  }
  if (text.trim() !== "") return text;
  // A lost body must not reset a node to its defaults.
  return answerError(
    400,
    "Cannot use an empty configuration: send {} for the defaults, or a YAML text " +
      "(curl -T FILE, curl --data-binary @FILE -X PUT)",
  );
}
