/**
 * What the HTTP side of the agent counts of itself.
 *
 * @module
 */

/** Requests answered so far, of one route and one class of status. */
export interface HttpCount {
  /** The route's path, or `other` for a path that is none. */
  readonly route: string;
  /** `2xx`, `3xx`, `4xx` or `5xx`. */
  readonly code: string;
  readonly count: number;
}

/**
 * Totals since the start, and what is going on now. Made before the server, so that `/metrics` can
 * show them.
 */
export class HttpCounts {
  /** Requests being answered; an open event stream is no longer one of them. */
  inFlight = 0;
  /** Bytes of answers' bodies, as handed to the listeners. */
  sentBytes = 0;
  /** Event streams open now. */
  streams = 0;
  /** Event streams refused because there were too many. */
  streamsRefused = 0;
  /** Events that stream clients did not get because they read too slowly, all clients together. */
  streamEventsLost = 0;
  /** Requests turned away because too many were being answered. */
  requestsRefused = 0;
  /** Diagnoses turned away because too many waited. */
  diagnosesRefused = 0;
  /** Diagnoses that were kept, and made room for newer ones. */
  diagnosesForgotten = 0;

  // Bounded: routes are a closed set, and there are five classes of status.
  readonly #counts = new Map<string, Map<string, number>>();

  /** Counts one answer. */
  count(route: string, status: number): void {
    const code = `${Math.floor(status / 100)}xx`;
    let codes = this.#counts.get(route);
    if (codes === undefined) this.#counts.set(route, codes = new Map());
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }

  /** Every route and class of status that has occurred. */
  *httpCounts(): Iterable<HttpCount> {
    for (const [route, codes] of this.#counts) {
      for (const [code, count] of codes) yield { route, code, count };
    }
  }
}
