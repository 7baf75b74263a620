import assert from "node:assert/strict";
import { HttpCounts } from "../http_counts.ts";
import { FakeAgent, fakeEvent } from "../../tests/fake_agent.ts";
import { EventStreams, type StreamLimits } from "./event_streams.ts";
import { streamRoute } from "./stream.ts";

/** A stream's messages, read one at a time. */
class Messages {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #text = "";

  constructor(response: Response) {
    assert.ok(response.body);
    this.#reader = response.body.getReader();
  }

  /** The next message, or undefined at the end. `retry` and comments come as they are. */
  async next(): Promise<string | undefined> {
    while (!this.#text.includes("\n\n")) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += new TextDecoder().decode(value);
    }
    const [message = "", ...rest] = this.#text.split("\n\n");
    this.#text = rest.join("\n\n");
    return message;
  }

  /** Ids of the next events. */
  async ids(count: number): Promise<string[]> {
    const ids: string[] = [];
    while (ids.length < count) {
      ids.push(/^id: (\d+)\ndata: \{/.exec(await this.next() ?? "")?.[1] ?? "");
    }
    return ids;
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

function make(limits: Partial<StreamLimits> = {}) {
  const agent = new FakeAgent();
  const counts = new HttpCounts();
  const streams = new EventStreams(agent, counts, { tickMilliseconds: 1, ...limits });
  const route = streamRoute(streams);
  async function open(query = "", headers: Record<string, string> = {}): Promise<Messages> {
    const response = await route.request(`/${query}`, { headers });
    assert.equal(response.status, 200);
    const messages = new Messages(response);
    assert.equal(await messages.next(), "retry: 3000");
    return messages;
  }
  return { agent, counts, streams, route, open };
}

Deno.test("GET /events/stream sends each new event, whole, on one line with its id", async () => {
  const { agent, streams, open } = make();
  const messages = await open();
  const event = fakeEvent(23, { message: "Two\nlines\u2028of \u202etext" });
  agent.publish(event);
  const message = await messages.next() ?? "";
  const [, id, data = ""] = /^id: (\d+)\ndata: (.*)$/.exec(message) ?? [];
  assert.equal(id, "23");
  assert.deepEqual(JSON.parse(data), event);
  assert.match(data, /^[\x20-\x7e]*$/);
  streams.close();
  assert.equal(await messages.next(), undefined);
});

Deno.test("clients with one filter share a subscription, and each gets all of it", async () => {
  const { agent, counts, streams, open } = make();
  const [all, also] = [await open(), await open()];
  const drops = await open("?type=packetloss&namespace=shop");
  assert.deepEqual([agent.subscribers, counts.streams], [2, 3]);
  for (let number = 1; number <= 23; number++) {
    agent.publish(fakeEvent(number, number % 5 === 0 ? { type: "PACKETLOSS" } : {}));
  }
  const numbers = Array.from({ length: 23 }, (_, index) => String(index + 1));
  assert.deepEqual(await all.ids(23), numbers);
  assert.deepEqual(await also.ids(23), numbers);
  assert.deepEqual(await drops.ids(4), ["5", "10", "15", "20"]);
  await drops.cancel();
  assert.deepEqual([agent.subscribers, counts.streams], [1, 2]);
  streams.close();
  assert.deepEqual([agent.subscribers, counts.streams], [0, 0]);
});

Deno.test("Last-Event-ID resumes after that event, without a gap or a duplicate", async () => {
  const { agent, streams, open } = make();
  for (let number = 1; number <= 500; number++) agent.publish(fakeEvent(number));
  const first = await open();
  // Published, and not yet handed on: the replay has it, and it arrives once more by the
  // subscription.
  agent.publish(fakeEvent(501));
  const messages = await open("?after=3", { "last-event-id": "40" });
  agent.publish(fakeEvent(502));
  assert.deepEqual(
    await messages.ids(462),
    Array.from({ length: 462 }, (_, index) => String(index + 41)),
  );
  assert.deepEqual(await first.ids(2), ["501", "502"]);
  streams.close();
});

Deno.test("since begins with what came before, as far as the filter lets it through", async () => {
  const { agent, streams, open } = make();
  for (let number = 1; number <= 7; number++) {
    agent.publish(fakeEvent(number, number === 5 ? { type: "PACKETLOSS" } : {}));
  }
  const since = fakeEvent(3).time;
  const messages = await open(`?since=${since}&type=TCPRESET_NOSOCK`);
  agent.publish(fakeEvent(8));
  assert.deepEqual(await messages.ids(5), ["3", "4", "6", "7", "8"]);
  streams.close();
});

Deno.test("an id of another store than this one does not silence the stream", async () => {
  const { agent, streams, open } = make();
  const messages = await open("", { "last-event-id": "999999" });
  agent.publish(fakeEvent(1));
  assert.deepEqual(await messages.ids(1), ["1"]);
  streams.close();
});

Deno.test("a resume that is too long begins with a word on it, then the newest", async () => {
  const { agent, streams, open } = make({ replayEventsMax: 3 });
  for (let number = 1; number <= 11; number++) agent.publish(fakeEvent(number));
  const messages = await open("", { "last-event-id": "2" });
  const message = await messages.next() ?? "";
  assert.match(message, /^event: lost\ndata: \{"because":".*","cursor":"9"\}$/);
  assert.deepEqual(await messages.ids(3), ["9", "10", "11"]);
  streams.close();
});

Deno.test("a slow client loses events, is told how many, and holds up nobody else", async () => {
  const { agent, counts, streams, open } = make({ clientBytesMax: 4_000, tickMilliseconds: 0 });
  const [slow, fast] = [await open(), await open()];
  for (let number = 1; number <= 101; number++) {
    agent.publish(fakeEvent(number));
    assert.deepEqual(await fast.ids(1), [String(number)]);
  }
  const taken: string[] = [];
  // What had room comes first, in order.
  const room = 101 - counts.streamEventsLost;
  taken.push(...await slow.ids(room));
  assert.deepEqual(taken, Array.from({ length: room }, (_, index) => String(index + 1)));
  assert.ok(room >= 3 && room <= 20);
  agent.publish(fakeEvent(102));
  const lost = await slow.next() ?? "";
  assert.match(lost, /^event: lost\n/);
  assert.equal(JSON.parse(lost.split("data: ")[1] ?? "").lost, 101 - room);
  assert.deepEqual(await slow.ids(1), ["102"]);
  streams.close();
});

Deno.test("events that the agent itself lost are told to every client", async () => {
  const { agent, counts, streams, open } = make();
  const messages = await open();
  agent.lose(7);
  agent.publish(fakeEvent(1));
  assert.match(await messages.next() ?? "", /^event: lost\ndata: \{"lost":7,/);
  assert.deepEqual(await messages.ids(1), ["1"]);
  assert.equal(counts.streamEventsLost, 7);
  streams.close();
});

Deno.test("a stream on which nothing happens has a comment from time to time", async () => {
  const { streams, open } = make({ heartbeatMilliseconds: 5 });
  const messages = await open();
  assert.equal(await messages.next(), ": heartbeat");
  assert.equal(await messages.next(), ": heartbeat");
  streams.close();
});

Deno.test("one stream too many is 503, and counted; one that ends makes room", async () => {
  const { counts, streams, route, open } = make({ clientsMax: 2 });
  const [first] = [await open(), await open()];
  const refused = await route.request("/");
  assert.equal(refused.status, 503);
  assert.match((await refused.json()).error, /as 2 are open/);
  assert.equal(counts.streamsRefused, 1);
  await first.cancel();
  await open();
  streams.close();
  const late = await route.request("/");
  assert.equal(late.status, 503);
  assert.match((await late.json()).error, /stopping/);
});

Deno.test("HEAD opens no stream, as nobody would end it", async () => {
  const { agent, counts, streams, route } = make();
  const response = await route.request("/", { method: "HEAD" });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  assert.deepEqual([agent.subscribers, counts.streams, response.body], [0, 0, null]);
  streams.close();
});
