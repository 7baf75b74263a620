/**
 * `GET /snapshot`.
 *
 * @module
 */
import { Hono } from "hono";
import * as v from "valibot";
import {
  SnapshotError,
  snapshotStream,
  type StartCollecting,
  startCollecting,
} from "../snapshot_process.ts";
import type { Agent } from "../surface.ts";
import { answerError } from "./answer.ts";
import { allowsGzip } from "./metrics.ts";
import type { Operations } from "./operation.ts";
import { readQuery, words } from "./query.ts";

const query = v.strictObject({
  pod: words(
    /^[^\s,/]{1,253}(\/[^\s,/]{1,253})?$/,
    "a pod's name of at most 253 characters, or NAMESPACE/NAME",
    "Only these pods; repeated or separated by commas",
  ),
  netns: words(
    /^[^\s,]{1,253}$/,
    "`host`, the name, the inode number or the path of a network namespace",
    "Only these network namespaces; repeated or separated by commas",
  ),
});

/** What OpenAPI shows. */
export const snapshotOperations: Operations = {
  GET: {
    needs: "admin",
    summary: "The network state of the node's namespaces, as docs/snapshot.md has it",
    query,
    answers: {
      200: {
        description: "A snapshot; gzip where Accept-Encoding allows it",
        content: { "application/json": undefined },
      },
      400: { description: "A parameter is wrong" },
      404: { description: "A pod or network namespace that was named is not on this node" },
      503: { description: "Another snapshot is being taken" },
    },
  },
};

/** `GET /snapshot`: one at a time, for each reads all of the node. */
export function snapshotRoute(
  agent: Pick<Agent, "pods" | "status">,
  start: StartCollecting = startCollecting,
): Hono {
  let taking = false;
  return new Hono().get("/", async (context) => {
    const { pod = [], netns = [] } = readQuery(query, context.req.queries());
    if (context.req.method === "HEAD") return new Response(null, { headers: HEADERS });
    if (taking) {
      return answerError(
        503,
        "Cannot take a snapshot while another one is being taken: try again",
        {
          "retry-after": "3",
        },
      );
    }
    taking = true;
    try {
      const ended = () => void (taking = false);
      const text = await snapshotStream({ pods: pod, netns }, agent, ended, start);
      if (!allowsGzip(context.req.header("accept-encoding") ?? "")) {
        return new Response(text, { headers: HEADERS });
      }
      const packed = text.pipeThrough(new CompressionStream("gzip"));
      return new Response(packed, { headers: { ...HEADERS, "content-encoding": "gzip" } });
    } catch (error) {
      taking = false;
      if (!(error instanceof SnapshotError)) throw error;
      const status = error.message.startsWith("Cannot find") ? 404 : 500;
      return answerError(status, error.message);
    }
  });
}

const HEADERS = { "content-type": "application/json", vary: "Accept-Encoding" } as const;
