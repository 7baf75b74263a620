/**
 * Open event streams. Clients that want the same events share one subscription, and each event is
 * worded once and encoded once for all of them: what is written per client is the same few bytes a
 * tick.
 *
 * Source: WHATWG HTML §9.2, "Server-sent events".
 *
 * @module
 */
import type { Event } from "../events/event.ts";
import type { HttpCounts } from "../http_counts.ts";
import { log } from "../log.ts";
import type { Agent, EventFilter, Subscription } from "../surface.ts";
import { jsonText } from "./answer.ts";

/** Most streams at once. */
const CLIENTS_MAX = 64;
/**
 * What may wait for one client; beyond it events are lost for this client, and it is told how many.
 */
const CLIENT_BYTES_MAX = 512 * 1024;
/** Most events that a stream begins with, of those that came before it. */
const REPLAY_EVENTS_MAX = 2_000;
/** Events of a replay that are encoded together. */
const REPLAY_EVENTS_EACH = 100;
/** Events are collected for so long, and are written together. */
const TICK_MILLISECONDS = 50;
/** Events that are written without waiting for the tick. */
const TICK_EVENTS_MAX = 500;
/** Comments that keep proxies from closing a stream on which nothing happens. */
const HEARTBEAT_MILLISECONDS = 15_000;
/** Browsers try again after this. */
const RETRY_MILLISECONDS = 3_000;

const encoder = new TextEncoder();

/** Limits that a test may want smaller, or a bench larger. */
export interface StreamLimits {
  readonly clientsMax: number;
  readonly clientBytesMax: number;
  readonly replayEventsMax: number;
  readonly tickMilliseconds: number;
  readonly heartbeatMilliseconds: number;
}

interface Client {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** What came before the stream and is still to be sent, the next first. */
  replay: Uint8Array[];
  /** Newest event of the replay: one that arrives later and is not newer was part of it. */
  replayed?: string;
  /** Events lost since the client was last told. */
  lost: number;
}

/** Clients with the same filter. */
interface Channel {
  readonly key: string;
  readonly subscription: Subscription;
  readonly clients: Set<Client>;
  waiting: Event[];
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** All open event streams of the agent. */
export class EventStreams {
  readonly #agent: Pick<Agent, "events" | "subscribe">;
  readonly #counts: HttpCounts;
  readonly #limits: StreamLimits;
  /** Bounded by the number of clients: a channel goes with its last one. */
  readonly #channels = new Map<string, Channel>();
  /** One event may go to several channels. */
  readonly #frames = new WeakMap<Event, string>();
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #clients = 0;
  #closed = false;

  constructor(
    agent: Pick<Agent, "events" | "subscribe">,
    counts: HttpCounts,
    limits: Partial<StreamLimits> = {},
  ) {
    this.#agent = agent;
    this.#counts = counts;
    this.#limits = {
      clientsMax: CLIENTS_MAX,
      clientBytesMax: CLIENT_BYTES_MAX,
      replayEventsMax: REPLAY_EVENTS_MAX,
      tickMilliseconds: TICK_MILLISECONDS,
      heartbeatMilliseconds: HEARTBEAT_MILLISECONDS,
      ...limits,
    };
  }

  /** The reason why there can be no further stream now, if so; counted. */
  refusal(): string | undefined {
    const { clientsMax } = this.#limits;
    if (!this.#closed && this.#clients < clientsMax) return undefined;
    this.#counts.streamsRefused++;
    if (this.#closed) return "Cannot open an event stream as the agent is stopping";
    return `Cannot open an event stream as ${this.#clients} are open, which is the most: ` +
      "close one, or read GET /events?after=ID from time to time";
  }

  /**
   * The body of a new stream: first the events that the filter's `since` or `after` asks for, then
   * each new one. A filter with neither begins with the next event.
   */
  open(filter: EventFilter): ReadableStream<Uint8Array> {
    const { since, after, ...live } = filter;
    let leave = () => {};
    let client: Client | undefined;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        const replays = since !== undefined || after !== undefined;
        client = { controller, replay: [], lost: 0, ...replays ? this.#replay(filter) : {} };
        client.replay.unshift(encoder.encode(`retry: ${RETRY_MILLISECONDS}\n\n`));
        const channel = this.#channel(live);
        // Whoever was there before gets what is waiting now; the new client's replay has it
        // already.
        this.#flush(channel);
        channel.clients.add(client);
        this.#entered();
        leave = () => this.#left(channel, client);
      },
      pull: (controller) => {
        const next = client?.replay.shift();
        if (next !== undefined) this.#send(controller, next);
      },
      cancel: () => leave(),
    }, new ByteLengthQueuingStrategy({ highWaterMark: this.#limits.clientBytesMax }));
  }

  /** Ends every stream; a browser tries again by itself. */
  close(): void {
    this.#closed = true;
    for (const channel of [...this.#channels.values()]) this.#end(channel);
  }

  #channel(filter: EventFilter): Channel {
    const key = JSON.stringify(filter, Object.keys(filter).sort());
    const known = this.#channels.get(key);
    if (known !== undefined) return known;
    const channel: Channel = {
      key,
      subscription: this.#agent.subscribe(filter),
      clients: new Set(),
      waiting: [],
      timer: undefined,
    };
    this.#channels.set(key, channel);
    void this.#pump(channel);
    return channel;
  }

  async #pump(channel: Channel): Promise<void> {
    try {
      for await (const { event, lost } of channel.subscription.events) {
        if (lost !== undefined && lost > 0) {
          for (const client of channel.clients) this.#lose(client, lost);
        }
        if (event === undefined) continue;
        channel.waiting.push(event);
        if (channel.waiting.length >= TICK_EVENTS_MAX) this.#flush(channel);
        else {
          channel.timer ??= setTimeout(() => this.#flush(channel), this.#limits.tickMilliseconds);
        }
      }
    } catch (error) {
      log.error("Cannot go on with event streams: their subscription failed", {
        error: String(error),
        filter: channel.key,
      });
    }
    this.#end(channel);
  }

  /** Hands what is waiting to every client of a channel, as one piece of bytes. */
  #flush(channel: Channel): void {
    clearTimeout(channel.timer);
    channel.timer = undefined;
    const { waiting } = channel;
    if (waiting.length === 0) return;
    channel.waiting = [];
    let all: Uint8Array | undefined;
    for (const client of channel.clients) {
      const { replayed } = client;
      const missed = replayed === undefined
        ? waiting
        : waiting.filter(({ id }) => isAfter(id, replayed));
      if (missed.length === 0) continue;
      delete client.replayed;
      const room = client.replay.length === 0 && (client.controller.desiredSize ?? 0) > 0;
      if (!room) {
        this.#lose(client, missed.length);
        continue;
      }
      this.#tellLoss(client);
      const bytes = missed === waiting ? all ??= this.#encode(waiting) : this.#encode(missed);
      this.#send(client.controller, bytes);
    }
  }

  #encode(events: readonly Event[]): Uint8Array {
    return encoder.encode(events.map((event) => this.#frame(event)).join(""));
  }

  #frame(event: Event): string {
    let frame = this.#frames.get(event);
    if (frame === undefined) {
      frame = `id: ${event.id}\ndata: ${jsonText(event)}\n\n`;
      this.#frames.set(event, frame);
    }
    return frame;
  }

  /**
   * What came before the stream, in pieces. When that is too much, the newest, and a word on the
   * rest.
   */
  #replay(filter: EventFilter): Pick<Client, "replay" | "replayed"> {
    const { replayEventsMax } = this.#limits;
    const { events, cursor } = this.#agent.events({ ...filter, limit: replayEventsMax });
    const replay: Uint8Array[] = [];
    if (cursor !== undefined) {
      replay.push(lossFrame({
        because: `More than ${replayEventsMax} events came before: GET /events?cursor=${cursor}`,
        cursor,
      }));
    }
    for (let start = 0; start < events.length; start += REPLAY_EVENTS_EACH) {
      replay.push(this.#encode(events.slice(start, start + REPLAY_EVENTS_EACH)));
    }
    const newest = events.at(-1)?.id;
    return newest === undefined ? { replay } : { replay, replayed: newest };
  }

  #lose(client: Client, events: number): void {
    client.lost += events;
    this.#counts.streamEventsLost += events;
  }

  #tellLoss(client: Client): void {
    if (client.lost === 0) return;
    const { lost } = client;
    client.lost = 0;
    this.#send(
      client.controller,
      lossFrame({ lost, because: `${lost} events were lost as this client read too slowly` }),
    );
  }

  #send(
    controller: ReadableStreamDefaultController<Uint8Array>,
    bytes: Uint8Array,
  ): void {
    controller.enqueue(bytes);
    this.#counts.sentBytes += bytes.length;
  }

  #entered(): void {
    this.#clients++;
    this.#counts.streams = this.#clients;
    this.#heartbeat ??= setInterval(() => this.#beat(), this.#limits.heartbeatMilliseconds);
  }

  #left(channel: Channel, client: Client | undefined): void {
    if (client === undefined || !channel.clients.delete(client)) return;
    this.#clients--;
    this.#counts.streams = this.#clients;
    if (channel.clients.size === 0) this.#end(channel);
    if (this.#clients > 0) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  #beat(): void {
    const comment = encoder.encode(": heartbeat\n\n");
    for (const channel of this.#channels.values()) {
      for (const client of channel.clients) {
        if (client.replay.length > 0 || (client.controller.desiredSize ?? 0) <= 0) continue;
        this.#tellLoss(client);
        this.#send(client.controller, comment);
      }
    }
  }

  #end(channel: Channel): void {
    if (this.#channels.get(channel.key) !== channel) return;
    this.#flush(channel);
    this.#channels.delete(channel.key);
    channel.subscription.close();
    for (const client of [...channel.clients]) {
      this.#left(channel, client);
      client.controller.close();
    }
  }
}

function lossFrame(
  loss: { readonly lost?: number; readonly because: string; readonly cursor?: string },
): Uint8Array {
  // No id: a client that comes back asks for what follows the last event that it did get.
  return encoder.encode(`event: lost\ndata: ${JSON.stringify(loss)}\n\n`);
}

/** Ids are decimal numbers without leading zeros, too large for a JavaScript number. */
function isAfter(id: string, other: string): boolean {
  return id.length === other.length ? id > other : id.length > other.length;
}
