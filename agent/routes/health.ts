/**
 * `GET /healthz` and `GET /readyz`, for the kubelet.
 *
 * @module
 */
import { Hono } from "hono";
import type { Agent } from "../surface.ts";
import { answer, answerError } from "./answer.ts";
import type { Operations } from "./operation.ts";

/** What OpenAPI shows. */
export const healthOperations: Operations = {
  GET: {
    needs: "open",
    summary: "The agent's event loop is alive",
    answers: { 200: { description: "It is", content: { "text/plain": undefined } } },
  },
};

/** What OpenAPI shows. */
export const readyOperations: Operations = {
  GET: {
    needs: "open",
    summary: "Every probe and collector has had its first try",
    answers: {
      200: { description: "It has", content: { "text/plain": undefined } },
      503: { description: "Not yet; the error says what is waited for" },
    },
  },
};

/**
 * `GET /healthz`: answering at all is the answer. A failed probe is no reason to restart the agent.
 */
export function healthRoute(): Hono {
  return new Hono().get("/", () => answer(200, "text/plain; charset=utf-8", "ok\n"));
}

/** `GET /readyz`: 503 with the reason until every unit has had its first try. */
export function readyRoute(agent: Pick<Agent, "notReady">): Hono {
  return new Hono().get("/", () => {
    const reason = agent.notReady();
    if (reason !== undefined) return answerError(503, reason, { "retry-after": "1" });
    return answer(200, "text/plain; charset=utf-8", "ready\n");
  });
}
