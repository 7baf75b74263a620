/**
 * The store on a disk that is really full, and one that is really read-only: a tmpfs in a mount
 * namespace of its own, where this file runs again as a program.
 *
 * @module
 */
import assert from "node:assert/strict";
import { madeEvent } from "../../tests/made_events.ts";
import { EventStore } from "./store.ts";

/** What the program in the namespace found, for the test to judge. */
interface Found {
  readonly full: {
    readonly because: string;
    readonly read: number;
    readonly newest: boolean;
    readonly waiting: number;
    readonly after: string;
    readonly sum: Sum;
  };
  readonly readOnly: {
    readonly because: string;
    readonly read: number;
    readonly after: string;
    readonly events: number;
    readonly sum: Sum;
  };
}

type Sum = ReturnType<EventStore["stage"]["sum"]>;

Deno.test("a full and a read-only disk cost nothing that fits into memory", () => {
  const directory = Deno.makeTempDirSync({ prefix: "podskoop-full-" });
  try {
    const mounted = 'mount -t tmpfs -o size=4m none "$1" && exec "$2" run -A --no-lock "$3" "$1"';
    const { code, stdout, stderr } = new Deno.Command("unshare", {
      args: [
        ...(Deno.uid() === 0 ? [] : ["--map-root-user"]),
        ...["--mount", "sh", "-c", mounted, "sh"],
        ...[directory, Deno.execPath(), new URL(import.meta.url).pathname],
      ],
    }).outputSync();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const found: Found = JSON.parse(new TextDecoder().decode(stdout));
    const { because, ...full } = found.full;
    assert.match(because, /^Cannot write the event store ".*events.db": .*full/);
    const sum = { produced: 318, delivered: 318, lost: 0 };
    assert.deepEqual(full, { read: 317, newest: true, waiting: 17, after: "working", sum });
    const { because: readOnlyBecause, ...readOnly } = found.readOnly;
    assert.match(readOnlyBecause, /^Cannot write the event store .*Read-only file system/);
    assert.deepEqual(readOnly, {
      read: 5,
      after: "working",
      events: 323,
      sum: { produced: 5, delivered: 5, lost: 0 },
    });
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

function remount(directory: string, how: "ro" | "rw"): void {
  const args = ["-o", `remount,${how}`, directory];
  const { success } = new Deno.Command("mount", { args, stderr: "inherit" }).outputSync();
  if (!success) throw new Error(`Cannot remount "${directory}" as ${how}`);
}

/** Runs in the namespace, on the small disk. */
function find(directory: string): Found {
  return { full: findFull(directory), readOnly: findReadOnly(directory) };
}

function findFull(directory: string): Found["full"] {
  let now = Date.now();
  const store = storeIn(directory, () => now);
  store.append(made(300));
  const filler = `${directory}/filler`;
  fill(filler);
  store.append(made(17));
  const during = {
    because: because(store),
    read: store.query({ limit: 10_000 }).events.length,
    newest: store.query({ limit: 1 }).events[0]?.id === store.lastId,
    waiting: store.stage.counts()[0]?.waiting ?? 0,
  };
  Deno.removeSync(filler);
  now += 3_000;
  store.append(made(1));
  const after = because(store);
  store.close();
  return { ...during, after, sum: store.stage.sum() };
}

function findReadOnly(directory: string): Found["readOnly"] {
  let now = Date.now();
  // A disk with a file that is open for writing cannot be made read-only; it is found so.
  remount(directory, "ro");
  const store = storeIn(directory, () => now);
  store.append(made(5));
  const during = { because: because(store), read: store.query({ limit: 10_000 }).events.length };
  remount(directory, "rw");
  now += 3_000;
  store.tend();
  const after = because(store);
  store.close();
  return { ...during, after, events: eventsIn(directory), sum: store.stage.sum() };
}

function storeIn(dataDir: string, now: () => number): EventStore {
  return new EventStore({ dataDir, hoursMax: 1e6, bytesMax: 1e8, now });
}

function eventsIn(directory: string): number {
  const store = storeIn(directory, Date.now);
  const { events } = store.size();
  store.close();
  return events;
}

const made = (count: number) => Array.from({ length: count }, () => madeEvent());

function because(store: EventStore): string {
  const outcome = store.outcome();
  return "because" in outcome ? outcome.because : outcome.state;
}

/** Writes a file until not a byte more fits on the disk. */
function fill(path: string): void {
  using file = Deno.openSync(path, { write: true, create: true });
  const chunk = new Uint8Array(4096);
  for (;;) {
    try {
      file.writeSync(chunk);
    } catch (error) {
      if (String(error).includes("No space left")) return;
      throw error;
    }
  }
}

const [directory] = Deno.args;
// As a test this file has no arguments.
if (directory !== undefined) {
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(find(directory))));
}
