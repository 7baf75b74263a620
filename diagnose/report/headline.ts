/**
 * A diagnosis in one line.
 *
 * @module
 */
import { type Diagnosis, endpoint } from "../walk/diagnosis.ts";
import { findingsOf } from "./finding.ts";

/** `reachable …`, `blocked at …`, or `unknown because …`. */
export function headline(diagnosis: Diagnosis): string {
  const { verdict, cause, question, ways } = diagnosis;
  // What objects say explains a verdict, but is none.
  const { opinion: _, ...walked } = diagnosis;
  const [first] = findingsOf(walked).filter(({ severity, certainty }) =>
    verdict === "blocked" ? severity === "critical" : certainty === "possible"
  );
  if (verdict === "reachable") {
    const to = ways[0]?.request.packet.destination ?? question.destination;
    const port = ways[0]?.request.packet.destinationPort ?? question.port;
    const at = endpoint(to, question.protocol === "icmp" ? undefined : port);
    const where = ways[0]?.request.namespace.label ?? "";
    return `reachable: ${question.protocol} arrives at ${at} in ${where}, ` +
      "and the answer comes back";
  }
  if (first === undefined) return `${verdict} because ${cause ?? "nothing was walked"}`;
  const which = first.direction === "answer" ? "the answer: " : "";
  if (verdict === "unknown") return `unknown because ${which}${first.message}`;
  const { namespace, device, hook } = first.where;
  const place = [
    namespace,
    ...(hook === undefined ? [] : [hook]),
    ...device === undefined ? [] : [
      device,
    ],
  ].join(", ");
  const some = first.certainty === "sometimes" ? "sometimes " : "";
  return `${some}blocked at ${place}: ${which}${first.message}`;
}
