/**
 * The parameters that choose events, for `/events` and `/events/stream`.
 *
 * Source: RFC 3339 §5.6 for times.
 *
 * @module
 */
import * as v from "valibot";
import { LIMIT_MAX } from "../events/filter.ts";
import type { EventFilter } from "../surface.ts";
import { QueryError, word, words } from "./query.ts";

const TIME_ALLOWED =
  "a time such as 2026-01-31T09:30:00Z (RFC 3339), milliseconds since the epoch, " +
  "or how long ago, such as 90s, 10m or 1h30m";
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+ -]\d\d:\d\d)$/;
// From 1973 on: fewer digits are seconds, more are micro- or nanoseconds, which would be taken for
// another year.
const EPOCH_MILLISECONDS = /^\d{12,14}$/;
const DURATION = /^(\d{1,6}(ms|s|m|h|d)){1,5}$/;
const TIME = new RegExp(`${RFC_3339.source}|${EPOCH_MILLISECONDS.source}|${DURATION.source}`);
const ID = /^\d{1,16}$/;
const ID_ALLOWED = "an event's id, a decimal number";
const NAME = /^[^\s,]{1,253}$/;

/** What both routes know. */
const shared = {
  since: word(TIME, TIME_ALLOWED, "Only events from then on"),
  type: words(
    /^\w{1,64}$/,
    "types such as TCPRESET_NOSOCK, separated by commas",
    "Only events of these types; repeated or separated by commas",
  ),
  namespace: word(NAME, "a namespace of at most 253 characters", "Only this namespace's pods"),
  pod: word(
    /^[^\s,/]{1,253}(\/[^\s,/]{1,253})?$/,
    "a pod's name of at most 253 characters, or NAMESPACE/NAME",
    "Only this pod; NAMESPACE/NAME says both at once",
  ),
  node: word(NAME, "a node's name of at most 253 characters", "Only events of this node"),
  after: word(ID, ID_ALLOWED, "Only events after this one"),
} as const;

/** Parameters of `GET /events`. */
export const pageQuery = v.strictObject({
  ...shared,
  until: word(TIME, TIME_ALLOWED, "Only events until then"),
  limit: word(
    /^([1-9]\d{0,3}|10000)$/,
    `1 to ${LIMIT_MAX}`,
    "At most this many events, the newest; 100 without it",
  ),
  cursor: word(ID, `the "cursor" of the page before`, "The page of older events"),
});

/** Parameters of `GET /events/stream`. */
export const streamQuery = v.strictObject(shared);

/** What a page is asked for by. */
export type PageQuery = v.InferOutput<typeof pageQuery>;

/** The filter that the parameters stand for. `now` is in milliseconds since the epoch. */
export function filterOf(query: PageQuery, now: number): EventFilter {
  const since = query.since === undefined ? undefined : timeOf("since", query.since, now);
  const until = query.until === undefined ? undefined : timeOf("until", query.until, now);
  if (since !== undefined && until !== undefined && since > until) {
    throw new QueryError(
      `Cannot use since="${query.since}" with until="${query.until}": since must not be later`,
    );
  }
  const [first, second] = query.pod?.split("/") ?? [];
  const pod = second ?? first;
  const namespace = second === undefined ? query.namespace : first;
  if (query.namespace !== undefined && namespace !== query.namespace) {
    throw new QueryError(
      `Cannot use namespace="${query.namespace}" with pod="${query.pod}": they differ`,
    );
  }
  return {
    ...since === undefined ? {} : { since },
    ...until === undefined ? {} : { until },
    ...query.type === undefined ? {} : { type: query.type.map(typeOf) },
    ...namespace === undefined ? {} : { namespace },
    ...pod === undefined ? {} : { pod },
    ...query.node === undefined ? {} : { node: query.node },
    ...query.limit === undefined ? {} : { limit: Number(query.limit) },
    ...query.cursor === undefined ? {} : { before: query.cursor },
    ...query.after === undefined ? {} : { after: query.after },
  };
}

/** Types as the predecessor's documents misprint them, and the few that have small letters. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ["TCP_NOSOCK", "TCPRESET_NOSOCK"],
  ["RTKERNEL_SLOW", "TXKERNEL_SLOW"],
  ["CONNTRACKNEW", "ConntrackNew"],
  ["CONNTRACKUPDATE", "ConntrackUpdate"],
  ["CONNTRACKDESTROY", "ConntrackDestroy"],
]);

/** The type that a word of the question stands for. */
export function typeOf(word: string): string {
  const type = word.toUpperCase();
  return SPELLINGS.get(type) ?? type;
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds since the epoch that a text of the form `TIME` stands for. */
function timeOf(name: string, text: string, now: number): number {
  if (EPOCH_MILLISECONDS.test(text)) return Number(text);
  if (DURATION.test(text)) {
    let ago = 0;
    for (const [, amount, unit = ""] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
      ago += Number(amount) * (UNITS[unit] ?? 0);
    }
    return Math.max(0, now - ago);
  }
  // In a query an unescaped "+" is a space.
  const time = Date.parse(text.replace(/ (\d\d:\d\d)$/, "+$1").replace(" ", "T").toUpperCase());
  if (!Number.isNaN(time)) return time;
  throw new QueryError(`Cannot use ${name}="${text}": allowed is ${TIME_ALLOWED}`);
}
