import assert from "node:assert/strict";
import { madeEvent, randomEvent, seeded } from "../../tests/made_events.ts";
import { EncodedEvent, jsonOf } from "./encoded.ts";
import type { Event } from "./event.ts";
import { EventStore } from "./store.ts";

const RUNS = 10_000;

Deno.test("an event is worded once, however often it is asked for", () => {
  const encoded = EncodedEvent.of({ id: "1", ...madeEvent() });
  assert.equal(encoded.jsonLine, encoded.jsonLine);
  assert.equal(encoded.textLine, encoded.textLine);
  assert.equal(jsonOf(encoded.event), encoded.json);
  const { event } = EncodedEvent.stored("1", encoded.json);
  assert.deepEqual(event, encoded.event);
});

Deno.test("10,000 random events come through text, JSON and store unharmed and harmless", () => {
  const random = seeded(20_250_301);
  const dataDir = Deno.makeTempDirSync({ prefix: "podskoop-fuzz-" });
  const options = { dataDir, hoursMax: 1e6, bytesMax: 1e9 };
  const store = new EventStore(options);
  const events: Event[] = [];
  for (let run = 0; run < RUNS; run += 500) {
    const batch = Array.from({ length: 500 }, () => randomEvent(random));
    for (const encoded of store.append(batch)) {
      events.push(encoded.event);
      checkText(encoded);
      checkJson(encoded);
    }
  }
  store.close();
  const again = new EventStore(options);
  // What JSON makes of an event is what is kept of it: -0 becomes 0, a lone surrogate stays one.
  assert.deepEqual(again.query({ limit: RUNS }).events, events.map(throughJson));
  assert.deepEqual(store.stage.sum().lost, 0);
  again.close();
  Deno.removeSync(dataDir, { recursive: true });
});

function throughJson(event: Event): Event {
  return JSON.parse(JSON.stringify(event));
}

/** Nothing that moves a terminal's cursor, ends a line or turns its direction. */
// deno-lint-ignore no-control-regex -- control characters are what this is about
const ACTIVE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

function checkText({ event, textLine }: EncodedEvent): void {
  const line = new TextDecoder().decode(textLine).slice(0, -1);
  assert.doesNotMatch(line, ACTIVE);
  const [fields = "", stack, ...more] = line.split("  stacktrace:");
  assert.deepEqual(more, []);
  assert.equal(stack?.split(" ").length, event.stack?.length);
  assert.doesNotMatch(fields, /stacktrace:/);
  const pairs = fields.split(" ").map((field) => field.split("="));
  for (const pair of pairs) assert.equal(pair.length, 2, line);
  const names = pairs.map(([name = ""]) => name);
  assert.deepEqual(names.slice(0, 3), ["type", "pod", "namespace"]);
  const valueOf = (name: string) => pairs.find(([each]) => each === name)?.[1];
  assert.equal(valueOf("type"), event.type);
  assert.equal(valueOf("saddr"), event.source?.address);
  assert.equal(valueOf("daddr"), event.destination?.address);
  if (event.count > 1) assert.equal(valueOf("count"), String(event.count));
}

function checkJson({ event, json, jsonLine }: EncodedEvent): void {
  assert.doesNotMatch(json, ACTIVE);
  const line = new TextDecoder().decode(jsonLine);
  assert.equal(line, `${json}\n`);
  assert.deepEqual(JSON.parse(line), throughJson(event));
}
