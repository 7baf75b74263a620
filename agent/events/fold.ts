/**
 * Folding: identical events within a window become one event with a count.
 *
 * The first event of a window passes at once; the later ones are delivered together, as one event,
 * when the window ends. So the counts of all the events that come out add up to the occurrences
 * that went in, exactly.
 *
 * Identical means the same cause: equal in everything but the time, the count, the stack, and a
 * port that the kernel of one end picked at random. That is a port from 32768 on
 * (`net.ipv4.ip_local_port_range`, ip(7)) opposite one below: 2,000 clients' ports against the
 * closed port 8080 are one cause. Two ports on the same side of 32768 both count, so a scan of many
 * ports, and two addresses, never fold. Where the folded occurrences had several such ports, their
 * event has none, and the attribute `source_ports` or `destination_ports` says `several`.
 *
 * @module
 */
import type { Endpoint, NewEvent } from "./event.ts";

/** Windows open at a time; while so many are open, a new cause's events pass one by one. */
export const WINDOWS_MAX = 2_048;

/** Lowest port that Linux gives to a client by default. */
const EPHEMERAL_PORT_MIN = 32_768;

interface Window {
  readonly endsAt: number;
  /** The first event that was folded, not the one that passed. */
  first: NewEvent | undefined;
  count: number;
  sourcePorts: boolean;
  destinationPorts: boolean;
}

/** The open windows. Times are milliseconds of any clock that never goes back. */
export class Fold {
  /** In the order in which they end, since each lasts equally long. */
  readonly #windows = new Map<string, Window>();
  readonly #windowsMax: number;
  #milliseconds: number;
  #unfolded = 0;

  constructor(seconds: number, windowsMax = WINDOWS_MAX) {
    this.#milliseconds = seconds * 1000;
    this.#windowsMax = windowsMax;
  }

  /** Length of the windows that open from now on; 0 folds nothing. */
  set seconds(seconds: number) {
    this.#milliseconds = seconds * 1000;
  }

  /** Windows that are open. */
  get open(): number {
    return this.#windows.size;
  }

  /** Events that passed on their own because too many windows were open. */
  get unfolded(): number {
    return this.#unfolded;
  }

  /** Takes the event into an open window; false if there is none, and the event has to pass. */
  absorb(key: string, event: NewEvent): boolean {
    const window = this.#windows.get(key);
    if (window === undefined) return false;
    window.count += event.count;
    if (window.first === undefined) {
      window.first = event;
      return true;
    }
    if (event.source?.port !== window.first.source?.port) window.sourcePorts = true;
    if (event.destination?.port !== window.first.destination?.port) window.destinationPorts = true;
    return true;
  }

  /** Opens a window behind an event that passes. */
  begin(key: string, now: number): void {
    if (this.#milliseconds === 0) return;
    if (this.#windows.size >= this.#windowsMax) {
      this.#unfolded++;
      return;
    }
    this.#windows.set(key, {
      endsAt: now + this.#milliseconds,
      first: undefined,
      count: 0,
      sourcePorts: false,
      destinationPorts: false,
    });
  }

  /**
   * Ends the windows whose time has come, and returns what was folded in them, at most `eventsMax`
   * events.
   */
  end(now: number, eventsMax = Infinity): NewEvent[] {
    const ended: NewEvent[] = [];
    for (const [key, window] of this.#windows) {
      // A shorter window may stand behind a longer one after a change of the configuration; it then
      // ends with it.
      if (window.endsAt > now || ended.length >= eventsMax) break;
      this.#windows.delete(key);
      if (window.first !== undefined) ended.push(together(window, window.first));
    }
    return ended;
  }

  /** When the next window ends; undefined if none is open. */
  nextEnd(): number | undefined {
    for (const window of this.#windows.values()) return window.endsAt;
    return undefined;
  }
}

/**
 * What identical events have in common, as one string; no two different lists of values give the
 * same.
 */
export function foldKey(event: NewEvent): string {
  const { source, destination, pod, network } = event;
  const random = randomEnd(source, destination);
  return JSON.stringify([
    event.node,
    event.probe,
    event.type,
    event.severity,
    pod?.kind,
    pod?.namespace,
    pod?.name,
    pod?.uid,
    network,
    endKey(source, random === "source"),
    endKey(destination, random === "destination"),
    event.process,
    event.attributes,
    event.message,
  ]);
}

function endKey(end: Endpoint | undefined, withoutPort: boolean): unknown {
  if (end === undefined) return null;
  return withoutPort ? { ...end, port: -1 } : end;
}

/** Which end's port was picked at random by its kernel, if that can be told. */
function randomEnd(
  source: Endpoint | undefined,
  destination: Endpoint | undefined,
): "source" | "destination" | undefined {
  const from = source?.port;
  const to = destination?.port;
  if (from === undefined || to === undefined) return undefined;
  if (from >= EPHEMERAL_PORT_MIN && to < EPHEMERAL_PORT_MIN) return "source";
  if (to >= EPHEMERAL_PORT_MIN && from < EPHEMERAL_PORT_MIN) return "destination";
  return undefined;
}

function together(window: Window, first: NewEvent): NewEvent {
  const { source, destination } = first;
  const several = {
    ...(window.sourcePorts ? { source_ports: "several" } : {}),
    ...(window.destinationPorts ? { destination_ports: "several" } : {}),
  };
  return {
    ...first,
    ...(source !== undefined && window.sourcePorts ? { source: portless(source) } : {}),
    ...(destination !== undefined && window.destinationPorts
      ? { destination: portless(destination) }
      : {}),
    attributes: { ...first.attributes, ...several },
    count: window.count,
  };
}

function portless(end: Endpoint): Endpoint {
  const { port: _port, ...rest } = end;
  return rest;
}
