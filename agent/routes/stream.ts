/**
 * `GET /events/stream`.
 *
 * @module
 */
import { Hono } from "hono";
import * as v from "valibot";
import { answerError } from "./answer.ts";
import { filterOf, streamQuery } from "./event_query.ts";
import type { EventStreams } from "./event_streams.ts";
import type { Operations } from "./operation.ts";
import { readQuery, word } from "./query.ts";
import { eventShape } from "./shapes.ts";

const resume = v.strictObject({
  "last-event-id": word(
    /^\d{1,16}$/,
    "an event's id, a decimal number",
    "Resumes after this event",
  ),
});

/** What OpenAPI shows. */
export const streamOperations: Operations = {
  GET: {
    needs: "reader",
    summary: "New events as they happen, as server-sent events",
    query: streamQuery,
    headers: resume,
    answers: {
      200: {
        description:
          "Each message is an event. One of type `lost` says that this client missed some, " +
          "and why; comments keep the connection open. since, after or Last-Event-ID begin earlier",
        content: { "text/event-stream": eventShape },
      },
      400: {
        description: "A parameter is wrong; the error names it, its value, and what is allowed",
      },
      503: { description: "Too many streams are open" },
    },
  },
};

/** `GET /events/stream`: new events as they happen. */
export function streamRoute(
  streams: Pick<EventStreams, "open" | "refusal">,
  now: () => number = Date.now,
): Hono {
  return new Hono().get("/", (context) => {
    const query = readQuery(streamQuery, context.req.queries());
    const last = context.req.header("last-event-id");
    const { "last-event-id": resumed } = readQuery(
      resume,
      last === undefined ? {} : { "last-event-id": [last] },
    );
    const filter = filterOf(query, now());
    const headers = { "content-type": "text/event-stream", "x-accel-buffering": "no" };
    // A body made for HEAD would never be read, and so never be closed.
    if (context.req.raw.method === "HEAD") return new Response(null, { headers });
    const refusal = streams.refusal();
    if (refusal !== undefined) return answerError(503, refusal, { "retry-after": "5" });
    // A browser that comes back repeats its first address; how far it has come is in the header.
    const wanted = resumed === undefined ? filter : { ...filter, after: resumed };
    return new Response(streams.open(wanted), { headers });
  });
}
