/**
 * `GET /pods`.
 *
 * @module
 */
import { Hono } from "hono";
import type { Agent } from "../surface.ts";
import { answerJson } from "./answer.ts";
import type { Operations } from "./operation.ts";
import { podsShape } from "./shapes.ts";

/** What OpenAPI shows. */
export const podsOperations: Operations = {
  GET: {
    needs: "reader",
    summary: "Every network namespace of the node, and whose it is",
    answers: {
      200: {
        description: "Namespaces that are gone are kept for a while, for late events",
        content: { "application/json": podsShape },
      },
    },
  },
};

/** `GET /pods`: every network namespace of the node, and whose it is. */
export function podsRoute(agent: Pick<Agent, "pods">): Hono {
  return new Hono().get("/", () => answerJson(200, { pods: agent.pods() }));
}
