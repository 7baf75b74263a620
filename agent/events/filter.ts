/**
 * What an `EventFilter` means: which events it lets through, and which filters make no sense.
 *
 * @module
 */
import type { EventFilter } from "../surface.ts";
import type { Event } from "./event.ts";
import { shownPod } from "./text.ts";

/** Most events in one answer. */
export const LIMIT_MAX = 10_000;
/** Events in one answer when the filter does not say. */
export const LIMIT_DEFAULT = 100;
/** Most `type`s in one filter. */
export const TYPES_MAX = 64;

/** When an event happened, in milliseconds since the epoch. */
export function millisecondsOf(time: string): number {
  const milliseconds = Date.parse(time);
  if (Number.isNaN(milliseconds)) {
    throw new SyntaxError(`Cannot read the time "${time}" as RFC 3339`);
  }
  return milliseconds;
}

/**
 * Whether an event passes a filter. `since` is inclusive, `until` is not; several types mean any of
 * them; `namespace` and `pod` are compared with what the text line shows, so `hostNetwork` finds
 * the host's. `limit` and `before` are the query's affair.
 *
 * @throws {RangeError} as `checkFilter` does.
 */
export function matcherOf(filter: EventFilter): (event: Event) => boolean {
  checkFilter(filter);
  const { since, until, namespace, pod, node } = filter;
  const types = filter.type === undefined || filter.type.length === 0
    ? undefined
    : new Set(filter.type);
  const after = filter.after === undefined ? undefined : Number(filter.after);
  return (event) => {
    if (types !== undefined && !types.has(event.type)) return false;
    if (namespace !== undefined || pod !== undefined) {
      const shown = shownPod(event);
      if (namespace !== undefined && namespace !== shown.namespace) return false;
      if (pod !== undefined && pod !== shown.name) return false;
    }
    if (node !== undefined && node !== event.node) return false;
    if (after !== undefined && Number(event.id) <= after) return false;
    if (since === undefined && until === undefined) return true;
    const at = millisecondsOf(event.time);
    return (since === undefined || at >= since) && (until === undefined || at < until);
  };
}

/**
 * Refuses a filter that makes no sense.
 *
 * @throws {RangeError} for a limit out of bounds, an id that is not one, a time that is not a
 *   number, too many types.
 */
export function checkFilter(filter: EventFilter): void {
  const { limit, since, until } = filter;
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX)) {
    throw new RangeError(
      `Cannot query events as the limit must be 1 to ${LIMIT_MAX}: current value is ${limit}`,
    );
  }
  for (const [name, id] of [["before", filter.before], ["after", filter.after]]) {
    if (id !== undefined && !/^\d{1,16}$/.test(id)) {
      throw new RangeError(
        `Cannot query events as "${name}" must be the id of an event: current value is "${id}"`,
      );
    }
  }
  for (const time of [since, until]) {
    if (time !== undefined && !Number.isFinite(time)) {
      throw new RangeError(
        "Cannot query events as a time must be milliseconds since the epoch: " +
          `current value is ${time}`,
      );
    }
  }
  if (filter.type !== undefined && filter.type.length > TYPES_MAX) {
    throw new RangeError(
      `Cannot query events of more than ${TYPES_MAX} types: ` +
        `current number is ${filter.type.length}`,
    );
  }
}
