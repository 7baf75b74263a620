import assert from "node:assert/strict";
import { madeEvent, randomEvent, seeded } from "../../tests/made_events.ts";
import type { NewEvent } from "./event.ts";
import { Fold, foldKey } from "./fold.ts";

/** What passes when the event is offered at a time; undefined when it is folded. */
function offer(fold: Fold, event: NewEvent, now: number): NewEvent | undefined {
  const key = foldKey(event);
  if (fold.absorb(key, event)) return undefined;
  fold.begin(key, now);
  return event;
}

/** A reset whose client had this port. */
const from = (port: number, changes: Partial<NewEvent> = {}) =>
  madeEvent({ ...changes, destination: { address: "10.0.0.2", port } });

Deno.test("the first event passes at once, the later ones as one with their count", () => {
  const fold = new Fold(10);
  assert.equal(offer(fold, from(40001, { time: "2025-01-01T00:00:00Z" }), 0)?.count, 1);
  for (let more = 0; more < 22; more++) {
    const time = `2025-01-01T00:00:0${1 + more % 8}Z`;
    assert.equal(offer(fold, from(40001, { time }), 100 + more), undefined);
  }
  assert.deepEqual(fold.end(9_999), []);
  const [folded, ...others] = fold.end(10_000);
  assert.deepEqual(others, []);
  assert.deepEqual(folded, from(40001, { time: "2025-01-01T00:00:01Z", count: 22 }));
  assert.equal(fold.open, 0);
});

Deno.test("clients' random ports fold, and the event shows none of them for all", () => {
  const fold = new Fold(10);
  for (let port = 40_001; port <= 40_023; port++) offer(fold, from(port), 0);
  const [folded, ...others] = fold.end(10_000);
  assert.deepEqual(others, []);
  assert.equal(folded?.count, 22);
  assert.deepEqual(folded?.destination, { address: "10.0.0.2" });
  assert.deepEqual(folded?.source, { address: "10.0.0.1", port: 8080 });
  assert.equal(folded?.attributes["destination_ports"], "several");
  assert.equal(folded?.attributes["source_ports"], undefined);
});

Deno.test("different endpoints, pods, attributes and causes never fold", () => {
  const different: readonly Partial<NewEvent>[] = [
    {},
    { source: { address: "10.0.0.1", port: 8081 } },
    { source: { address: "10.0.0.3", port: 8080 } },
    { destination: { address: "10.0.0.4", port: 40001 } },
    { destination: { address: "10.0.0.2", port: 22 } },
    { destination: { address: "10.0.0.2" } },
    { source: { address: "10.0.0.1", port: 50051 } },
    {
      source: { address: "10.0.0.1", port: 50051 },
      destination: from(40002).destination ?? never(),
    },
    { pod: { kind: "pod", namespace: "shop", name: "cart-7f9d" } },
    { network: { transport: "tcp", type: "ipv4", netns: 4026532001 } },
    { attributes: { state: "established" } },
    { type: "TCPRESET_ACTIVE" },
    { probe: "other" },
    { node: "node-b" },
    { process: { pid: 7, comm: "nginx" } },
    { message: "Another" },
  ];
  const fold = new Fold(10);
  for (const changes of different) {
    assert.ok(offer(fold, madeEvent(changes), 0) !== undefined, JSON.stringify(changes));
  }
  assert.equal(fold.open, different.length);
});

function never(): never {
  throw new Error("It has a destination");
}

Deno.test("time, count and stack do not make a difference", () => {
  const fold = new Fold(10);
  offer(fold, madeEvent({ stack: ["a+0x1"] }), 0);
  assert.equal(offer(fold, madeEvent({ count: 5, time: "2026-01-01T00:00:00Z" }), 1), undefined);
  assert.equal(fold.end(10_000)[0]?.count, 5);
});

Deno.test("windows are bounded: one more cause passes event by event, and is counted", () => {
  const fold = new Fold(10, 2);
  for (const name of ["a", "b", "c", "c", "c"]) {
    assert.ok(offer(fold, madeEvent({ message: name }), 0) !== undefined);
  }
  assert.equal(fold.unfolded, 3);
  assert.equal(offer(fold, madeEvent({ message: "a" }), 0), undefined);
});

Deno.test("0 seconds fold nothing", () => {
  const fold = new Fold(0);
  for (let time = 0; time < 3; time++) assert.ok(offer(fold, madeEvent(), time) !== undefined);
  assert.equal(fold.nextEnd(), undefined);
});

Deno.test("counts of what comes out add up to what went in, whatever that was", () => {
  const random = seeded(7);
  const kinds = Array.from({ length: 40 }, () => randomEvent(random));
  const fold = new Fold(1, 20);
  let given = 0;
  let taken = 0;
  for (let now = 0; now < 20_000; now += Math.floor(random() * 20)) {
    const event = kinds[Math.floor(random() * kinds.length)] ?? madeEvent();
    given += event.count;
    taken += offer(fold, event, now)?.count ?? 0;
    if (random() < 0.1) { for (const { count } of fold.end(now, 3)) taken += count; }
    assert.ok(fold.open <= 20);
  }
  for (const { count } of fold.end(Infinity)) taken += count;
  assert.equal(taken, given);
  assert.ok(fold.unfolded > 0);
});
