/**
 * `GET /events`.
 *
 * @module
 */
import { Hono } from "hono";
import type { Agent } from "../surface.ts";
import { answer, answerJson, jsonText } from "./answer.ts";
import { filterOf, pageQuery } from "./event_query.ts";
import type { Operations } from "./operation.ts";
import { readQuery } from "./query.ts";
import { eventShape, eventsShape } from "./shapes.ts";

/** What OpenAPI shows. */
export const eventsOperations: Operations = {
  GET: {
    needs: "reader",
    summary: "Events that the agent keeps: the newest that match, oldest first",
    query: pageQuery,
    answers: {
      200: {
        description: "As application/x-ndjson, the cursor is in the header podskoop-cursor",
        content: { "application/json": eventsShape, "application/x-ndjson": eventShape },
      },
      400: {
        description: "A parameter is wrong; the error names it, its value, and what is allowed",
      },
    },
  },
};

/** `GET /events`: events that the agent keeps. */
export function eventsRoute(agent: Pick<Agent, "events">, now: () => number = Date.now): Hono {
  return new Hono().get("/", (context) => {
    const query = readQuery(pageQuery, context.req.queries());
    const { events, cursor } = agent.events(filterOf(query, now()));
    const headers = { vary: "Accept" };
    if (!(context.req.header("accept") ?? "").includes("application/x-ndjson")) {
      return answerJson(200, { events, ...cursor === undefined ? {} : { cursor } }, headers);
    }
    const lines = events.map((event) => jsonText(event) + "\n").join("");
    return answer(200, "application/x-ndjson", lines, {
      ...headers,
      ...cursor === undefined ? {} : { "podskoop-cursor": cursor },
    });
  });
}
