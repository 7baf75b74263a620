import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { madeEvent, randomEvent, seeded } from "../../tests/made_events.ts";
import type { EventFilter } from "../surface.ts";
import type { Event, NewEvent } from "./event.ts";
import { matcherOf } from "./filter.ts";
import { EventStore, type StoreOptions, TAIL_MAX } from "./store.ts";

const MIB = 1024 * 1024;
const NOON = Date.parse("2025-03-01T12:00:00Z");

/** Runs a test with a directory of its own, and a store in it. */
async function withStore(
  test: (store: EventStore, dataDir: string) => void | Promise<void>,
  options: Partial<StoreOptions> = {},
): Promise<void> {
  const dataDir = Deno.makeTempDirSync({ prefix: "podskoop-events-" });
  const store = openStore(dataDir, options);
  try {
    await test(store, dataDir);
  } finally {
    store.close();
    Deno.removeSync(dataDir, { recursive: true });
  }
}

function openStore(dataDir: string, options: Partial<StoreOptions> = {}): EventStore {
  return new EventStore({ dataDir, hoursMax: 168, bytesMax: 8 * MIB, now: () => NOON, ...options });
}

const numbered = (count: number): NewEvent[] =>
  Array.from({ length: count }, (_, index) => madeEvent({ message: `number ${index}` }));

const messages = (events: readonly Event[]) => events.map(({ message }) => message);

Deno.test("the store gives back what it was given, in order", () =>
  withStore((store) => {
    const stored = store.append(numbered(23)).map(({ event }) => event);
    assert.deepEqual(store.query({ limit: 1_000 }), { events: stored });
    assert.equal(stored.at(-1)?.id, store.lastId);
    assert.deepEqual(store.outcome(), { state: "working" });
  }));

Deno.test("ids rise over restarts, a clock that goes back, and a lost file", () =>
  withStore((first, dataDir) => {
    const ids = first.append(numbered(3)).map(({ id }) => Number(id));
    first.close();
    const second = openStore(dataDir, { now: () => NOON - 86_400_000 });
    ids.push(...second.append(numbered(3)).map(({ id }) => Number(id)));
    second.close();
    Deno.removeSync(`${dataDir}/events.db`);
    const third = openStore(dataDir, { now: () => NOON + 1_000 });
    ids.push(...third.append(numbered(3)).map(({ id }) => Number(id)));
    third.close();
    assert.deepEqual(ids, ids.toSorted((a, b) => a - b));
    assert.equal(new Set(ids).size, 9);
    assert.ok(ids.every(Number.isSafeInteger));
  }));

Deno.test("the file and its directory are their owner's alone", () =>
  withStore((outer, dataDir) => {
    outer.append(numbered(1));
    const store = openStore(`${dataDir}/deep/er`);
    store.append(numbered(1));
    const mode = (path: string) => (Deno.statSync(`${dataDir}/${path}`).mode ?? 0) & 0o777;
    assert.equal(mode("deep/er"), 0o700);
    for (const { name } of Deno.readDirSync(`${dataDir}/deep/er`)) {
      assert.equal(mode(`deep/er/${name}`), 0o600, name);
    }
    store.close();
  }));

Deno.test("pages by cursor give every event once", () =>
  withStore((store) => {
    store.append(numbered(101));
    const found: string[] = [];
    let page = store.query({ limit: 10 });
    for (;;) {
      found.unshift(...messages(page.events));
      if (page.cursor === undefined) break;
      page = store.query({ limit: 10, before: page.cursor });
    }
    assert.deepEqual(found, messages(store.query({ limit: 10_000 }).events));
    assert.equal(found.length, 101);
    assert.equal(store.query({ limit: 101 }).cursor, undefined);
  }));

Deno.test("every filter finds in the file what it finds in memory", () =>
  withStore((store) => {
    const random = seeded(11);
    const events: Event[] = [];
    for (let batch = 0; batch < 20; batch++) {
      const made = Array.from({ length: 50 }, () => randomEvent(random));
      events.push(...store.append(made).map(({ event }) => event));
    }
    const any = () => events[Math.floor(random() * events.length)] ?? never();
    const time = () => Date.parse(any().time);
    for (let round = 0; round < 120; round++) {
      const filter: EventFilter = {
        ...(random() < 0.3 ? { since: time() } : {}),
        ...(random() < 0.3 ? { until: time() } : {}),
        ...(random() < 0.3 ? { type: [any().type, any().type] } : {}),
        ...(random() < 0.3 ? { namespace: any().pod?.namespace || "hostNetwork" } : {}),
        ...(random() < 0.2 ? { pod: any().pod?.name || "unknown" } : {}),
        ...(random() < 0.3 ? { node: any().node } : {}),
        ...(random() < 0.3 ? { after: any().id } : {}),
        ...(random() < 0.3 ? { before: any().id } : {}),
      };
      const before = filter.before ?? Infinity;
      const matches = matcherOf(filter);
      const expected = events.filter((event) =>
        matches(event) && Number(event.id) < Number(before)
      );
      const found = store.query({ ...filter, limit: 10_000 }).events;
      assert.deepEqual(found, expected, JSON.stringify(filter));
      const after = any().id;
      const { after: _after, before: _before, ...rest } = filter;
      const following = store.following(after, filter, 17);
      const passes = matcherOf(rest);
      assert.deepEqual(
        following.map(({ id }) => id),
        events.filter((event) => passes(event) && Number(event.id) > Number(after))
          .slice(0, 17).map(({ id }) => id),
      );
    }
  }));

function never(): never {
  throw new Error("There are events");
}

Deno.test("a filter that makes no sense is refused with what is allowed", () =>
  withStore((store) => {
    const refused: readonly [EventFilter, RegExp][] = [
      [{ limit: 0 }, /limit must be 1 to 10000: current value is 0/],
      [{ limit: 10_001 }, /limit/],
      [{ limit: 1.5 }, /limit/],
      [{ before: "x" }, /"before" must be the id of an event: current value is "x"/],
      [{ after: "-1" }, /"after"/],
      [{ since: NaN }, /milliseconds/],
      [{ type: Array.from({ length: 65 }, String) }, /more than 64 types/],
    ];
    for (const [filter, message] of refused) {
      assert.throws(() => store.query(filter), { name: "RangeError", message });
    }
  }));

Deno.test("file and log never take more than their bytes, and the newest events stay", () =>
  withStore((store, dataDir) => {
    const random = seeded(3);
    let most = 0;
    let written = 0;
    for (let batch = 0; batch < 30; batch++) {
      written += 100;
      store.append(Array.from({ length: 100 }, () => ({
        ...randomEvent(random),
        count: 1,
        message: `${"x".repeat(Math.floor(random() * 800))}`,
        time: "2025-03-01T12:00:00Z",
      })));
      const onDisk = [...Deno.readDirSync(dataDir)]
        .reduce((sum, { name }) => sum + Deno.statSync(`${dataDir}/${name}`).size, 0);
      most = Math.max(most, onDisk);
    }
    const { events, bytes } = store.size();
    assert.ok(most <= MIB, `${most} bytes of ${MIB}`);
    assert.ok(bytes <= most && bytes > MIB / 2, `${bytes} bytes used of ${MIB}`);
    assert.ok(events > 100 && events < written, `${events} events`);
    assert.equal(store.query({ limit: 1 }).events[0]?.id, store.lastId);
    assert.deepEqual(store.stage.sum(), { produced: written, delivered: written, lost: 0 });
  }, { bytesMax: MIB }));

Deno.test("less room, given at run time, is room given back to the disk", () =>
  withStore((store, dataDir) => {
    for (let batch = 0; batch < 30; batch++) {
      store.append(numbered(100).map((event) => ({ ...event, message: "x".repeat(1_000) })));
    }
    const before = Deno.statSync(`${dataDir}/events.db`).size;
    store.configure({ hoursMax: 168, bytesMax: MIB });
    for (let turn = 0; store.tend(); turn++) assert.ok(turn < 1_000, "It never ends");
    const after = Deno.statSync(`${dataDir}/events.db`).size;
    assert.ok(before > 3 * MIB && after < MIB, `${before} bytes, then ${after}`);
    assert.equal(store.query({ limit: 1 }).events[0]?.id, store.lastId);
  }));

Deno.test("what is older than the hours goes, and so does its room", () => {
  let now = NOON;
  return withStore((store, dataDir) => {
    for (let hour = 0; hour < 5; hour++) {
      const time = new Date(NOON + hour * 3_600_000).toISOString();
      store.append(numbered(700).map((event) => ({ ...event, time })));
    }
    const full = Deno.statSync(`${dataDir}/events.db`).size;
    now = NOON + 4.5 * 3_600_000;
    for (let turn = 0; store.tend(); turn++) assert.ok(turn < 1_000, "It never ends");
    assert.equal(store.size().events, 1_400);
    assert.equal(store.query({ limit: 10_000 }).events.length, 1_400);
    assert.ok(Deno.statSync(`${dataDir}/events.db`).size < full * 0.6);
  }, { hoursMax: 2, now: () => now });
});

Deno.test("a file that is no database is moved aside, and a new one started", () =>
  withStore((outer, dataDir) => {
    outer.close();
    for (let round = 0; round < 4; round++) {
      Deno.writeTextFileSync(`${dataDir}/events.db`, "garbage ".repeat(2_000));
      const store = openStore(dataDir, { now: () => NOON + round });
      store.append(numbered(2));
      assert.deepEqual(store.outcome(), { state: "working" });
      assert.equal(store.size().events, 2);
      assert.equal(store.size().corrupted, 1);
      store.close();
    }
    const aside = [...Deno.readDirSync(dataDir)].map(({ name }) => name).sort();
    assert.deepEqual(aside, [
      "events.db",
      "events.db.corrupt-20250301T120000002Z",
      "events.db.corrupt-20250301T120000003Z",
    ]);
  }));

Deno.test("a file of another schema, or of another program, is moved aside", () =>
  withStore((outer, dataDir) => {
    outer.close();
    for (const sql of ["PRAGMA user_version = 99", "PRAGMA application_id = 1"]) {
      const database = new DatabaseSync(`${dataDir}/events.db`);
      database.exec(sql);
      database.close();
      const store = openStore(dataDir);
      assert.equal(store.size().corrupted, 1, sql);
      assert.equal(store.append(numbered(1)).length, 1);
      assert.equal(store.size().events, 1);
      store.close();
    }
  }));

Deno.test("a file that is spoilt while it is in use costs its own events and no others", () =>
  withStore((store, dataDir) => {
    for (let batch = 0; batch < 20; batch++) store.append(numbered(500));
    store.close();
    using file = Deno.openSync(`${dataDir}/events.db`, { write: true });
    const { size } = file.statSync();
    for (let page = 4; page < size / 4096; page += 2) {
      file.seekSync(page * 4096, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array(4096).fill(0xa5));
    }
    const again = openStore(dataDir);
    again.append(numbered(7));
    const page = again.query({ limit: 10_000, type: ["TCPRESET_NOSOCK"] });
    assert.ok(page.events.length >= 7);
    assert.equal(again.size().corrupted, 1);
    again.append(numbered(11));
    assert.deepEqual(again.outcome(), { state: "working" });
    assert.equal(again.query({ limit: 11 }).events.length, 11);
    const { produced, delivered, lost } = again.stage.sum();
    assert.deepEqual({ produced, sum: delivered + lost }, { produced: 18, sum: 18 });
    again.close();
  }));

Deno.test("while the file cannot be written, memory answers, and what does not fit is lost", () => {
  let now = NOON;
  return withStore(async (outer, dataDir) => {
    outer.close();
    const blocked = `${dataDir}/blocked`;
    Deno.writeTextFileSync(blocked, "a file where the directory should be");
    const store = openStore(blocked, { now: () => now });
    assert.match(JSON.stringify(store.outcome()), /failed.*Cannot write the event store .*blocked/);
    store.append(numbered(TAIL_MAX + 23));
    assert.deepEqual(store.stage.counts(), [{
      probe: "tcpreset",
      stage: "store",
      produced: TAIL_MAX + 23,
      delivered: 0,
      lost: 23,
      waiting: TAIL_MAX,
    }]);
    const { events } = store.query({ limit: 10_000 });
    assert.equal(events.length, TAIL_MAX);
    assert.equal(events.at(-1)?.message, `number ${TAIL_MAX + 22}`);
    assert.equal(store.following("0", {}, 5)[0]?.event.message, "number 23");
    await Deno.remove(blocked);
    store.append(numbered(1));
    assert.equal(store.outcome().state, "failed", "It tries again only after a pause");
    now += 2_000;
    store.append(numbered(1));
    assert.equal(store.outcome().state, "working");
    assert.deepEqual(store.stage.sum(), {
      produced: TAIL_MAX + 25,
      delivered: TAIL_MAX + 1,
      lost: 24,
    });
    assert.equal(store.size().events, TAIL_MAX + 1);
    store.close();
  });
});

Deno.test("events that cannot be written when the agent stops are lost, and counted", () =>
  withStore((outer, dataDir) => {
    outer.close();
    Deno.writeTextFileSync(`${dataDir}/blocked`, "");
    const store = openStore(`${dataDir}/blocked`);
    store.append(numbered(13));
    store.close();
    assert.deepEqual(store.stage.sum(), { produced: 13, delivered: 0, lost: 13 });
  }));

Deno.test("a file that someone removed is started anew", () =>
  withStore((store, dataDir) => {
    store.append(numbered(3));
    Deno.removeSync(`${dataDir}/events.db`);
    assert.equal(store.tend(), false);
    store.append(numbered(5));
    assert.equal(store.size().events, 5);
    assert.equal(Deno.statSync(`${dataDir}/events.db`).isFile, true);
  }));

Deno.test("a second agent with the same directory is told that the file is in use", () =>
  withStore((store, dataDir) => {
    store.append(numbered(1));
    const url = new URL("./store.ts", import.meta.url).href;
    const script = `import { EventStore } from "${url}";
      const store = new EventStore({ dataDir: "${dataDir}", hoursMax: 1, bytesMax: 1e6 });
      await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(store.outcome())));`;
    const { stdout } = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-lock", script],
      env: { NO_COLOR: "1" },
      stderr: "null",
    }).outputSync();
    assert.match(new TextDecoder().decode(stdout), /"failed".*locked/);
    assert.equal(store.append(numbered(1)).length, 1);
    assert.deepEqual(store.outcome(), { state: "working" });
  }));
