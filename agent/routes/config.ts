/**
 * `GET /config` and `PUT /config`.
 *
 * @module
 */
import { Hono } from "hono";
import type { Agent } from "../surface.ts";
import { answer, answerError, answerErrors, answerJson } from "./answer.ts";
import { BODY_MILLISECONDS_MAX, readBody } from "./body.ts";
import type { Operations } from "./operation.ts";
import { changesShape, errorsShape } from "./shapes.ts";

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
      const body = await readBody(context.req.raw, "the configuration", bodyMillisecondsMax);
      if (body instanceof Response) return body;
      if (body.trim() === "") return empty();
      const result = await agent.configure(body);
      if (!result.ok) return answerErrors(422, result.errors);
      return answerJson(200, { changed: result.changed, warnings: result.warnings });
    });
}

/** A lost body must not reset a node to its defaults. */
function empty(): Response {
  return answerError(
    400,
    "Cannot use an empty configuration: send {} for the defaults, or a YAML text " +
      "(curl -T FILE, curl --data-binary @FILE -X PUT)",
  );
}
