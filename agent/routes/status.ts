/**
 * `GET /status`.
 *
 * @module
 */
import { Hono } from "hono";
import * as v from "valibot";
import type { Agent, Status } from "../surface.ts";
import { answerJson } from "./answer.ts";
import type { Operations } from "./operation.ts";
import { choice, readQuery } from "./query.ts";
import { flatStatusShape, statusShape } from "./shapes.ts";

const query = v.strictObject({
  format: choice(
    ["full", "flat"],
    "`flat` is the predecessor's first form: a flag for each of its modules, true while in use",
  ),
});

/** What OpenAPI shows. */
export const statusOperations: Operations = {
  GET: {
    needs: "open",
    summary: "What exists, what runs, and why something does not",
    query,
    answers: {
      200: {
        description: "The state of every unit",
        content: { "application/json": v.union([statusShape, flatStatusShape]) },
      },
      400: { description: "A parameter is wrong" },
    },
  },
};

/**
 * The predecessor's modules, each with the units that do its work; several names of one unit are of
 * different times, several units were one module.
 */
const MODULES = {
  Procfd: ["fd"],
  flow: ["flow"],
  insp_conntrack: ["conntrack"],
  insp_ipvs: ["ipvs"],
  insp_kernellatency: ["kernellatency"],
  insp_netiftxlat: ["netiftxlat", "netiftxlatency"],
  insp_netsoftirq: ["softirq", "netsoftirq", "net_softirq"],
  insp_packetloss: ["packetloss"],
  insp_qdisc: ["qdisc"],
  insp_socketlatency: ["socketlatency"],
  insp_virtcmdlatency: ["virtcmdlatency", "virtcmdLatency"],
  procio: ["io"],
  procnetdev: ["netdev"],
  procnetstat: ["tcpext"],
  procsnmp: ["tcp", "udp", "ip"],
  procsock: ["sock"],
  procsoftnet: ["softnet"],
  proctcpsummary: ["tcpsummary"],
} as const satisfies Readonly<
  Record<keyof v.InferOutput<typeof flatStatusShape>, readonly string[]>
>;

/** `GET /status`: what exists, what runs, and why something does not. */
export function statusRoute(agent: Pick<Agent, "status">): Hono {
  return new Hono().get("/", (context) => {
    const { format } = readQuery(query, context.req.queries());
    const status = agent.status();
    return answerJson(200, format === "flat" ? flat(status) : status);
  });
}

function flat(status: Status): Readonly<Record<string, boolean>> {
  const running = new Set(
    [...status.inuse_probes.event, ...status.inuse_probes.metrics]
      .filter(({ state }) => state === "Running" || state === "Degraded" || state === "Late")
      .map(({ name }) => name),
  );
  return Object.fromEntries(
    Object.entries(MODULES).map(([name, units]) => [name, units.some((unit) => running.has(unit))]),
  );
}
