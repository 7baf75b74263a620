import assert from "node:assert/strict";
import { madeEvent } from "../../tests/made_events.ts";
import { EncodedEvent } from "../events/encoded.ts";
import { FileSink } from "./file.ts";

type Choice = ConstructorParameters<typeof FileSink>[0];

/** Runs a test with a path in a directory of its own, and a sink that writes there. */
async function withSink(
  test: (sink: FileSink, path: string) => Promise<void>,
  choice: Partial<Choice> = {},
): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "podskoop-sink-" });
  const path = `${directory}/events.log`;
  const sink = new FileSink({
    ...{ kind: "file", path, format: "text", bytesMax: 1e6, filesMax: 3 },
    ...choice,
  });
  try {
    await test(sink, path);
  } finally {
    await sink.close();
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Events whose lines tell which they are. */
const made = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => {
    const pod = { kind: "pod", namespace: "shop", name: `cart-${from + index}` };
    return EncodedEvent.of({ id: String(from + index), ...madeEvent({ pod }) });
  });

const numbersIn = (path: string) =>
  [...Deno.readTextFileSync(path).matchAll(/pod=cart-(\d+) .*\n/g)].map(([, number]) =>
    Number(number)
  );

const range = (from: number, count: number) => Array.from({ length: count }, (_, n) => from + n);

Deno.test("file appends a line for each event to what is there, and is created 0640", () =>
  withSink(async (sink, path) => {
    assert.equal(await sink.write(made(1, 23)), 23);
    await sink.close();
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o640);
    assert.equal(await sink.write(made(24, 7)), 7);
    assert.deepEqual(numbersIn(path), range(1, 30));
    assert.deepEqual(sink.outcome(), { state: "working" });
  }));

Deno.test("file writes JSON lines that are the events", () =>
  withSink(async (sink, path) => {
    const events = made(1, 5);
    await sink.write(events);
    const lines = Deno.readTextFileSync(path).trimEnd().split("\n");
    assert.deepEqual(lines.map((line) => JSON.parse(line)), events.map(({ event }) => event));
  }, { format: "json" }));

Deno.test("file renames at the size: no file is larger, none is lost before its turn", () =>
  withSink(async (sink, path) => {
    assert.equal(await sink.write(made(100, 50)), 50);
    assert.equal(await sink.write(made(150, 50)), 50);
    const kept = ["", ".1", ".2", ".3"].map((suffix) => numbersIn(`${path}${suffix}`));
    for (const suffix of ["", ".1", ".2", ".3"]) {
      const { size } = Deno.statSync(`${path}${suffix}`);
      assert.ok(size <= 1_500 && size > 0, `${size} bytes in ${path}${suffix}`);
    }
    assert.throws(() => Deno.statSync(`${path}.4`), Deno.errors.NotFound);
    const numbers = kept.toReversed().flat();
    assert.deepEqual(numbers, range(200 - numbers.length, numbers.length));
    assert.ok(numbers.length > 30);
  }, { bytesMax: 1_500 }));

Deno.test("file writes a line that is larger than a file may be, alone", () =>
  withSink(async (sink, path) => {
    assert.equal(await sink.write(made(1, 3)), 3);
    assert.deepEqual([numbersIn(path), numbersIn(`${path}.1`)], [[3], [2]]);
  }, { bytesMax: 10, filesMax: 1 }));

Deno.test("file goes on in a new file after someone has moved the old one and asked for it", () =>
  withSink(async (sink, path) => {
    await sink.write(made(1, 2));
    Deno.renameSync(path, `${path}.moved`);
    await sink.write(made(3, 2));
    await sink.reopen();
    await sink.write(made(5, 2));
    assert.deepEqual(numbersIn(`${path}.moved`), [1, 2, 3, 4]);
    assert.deepEqual(numbersIn(path), [5, 6]);
  }));

Deno.test("file starts a new line where another process was interrupted within one", () =>
  withSink(async (sink, path) => {
    Deno.writeTextFileSync(path, "type=TCPRESET_NO");
    await sink.write(made(1, 1));
    assert.match(Deno.readTextFileSync(path), /^type=TCPRESET_NO\ntype=.* pod=cart-1 .*\n$/);
  }));

Deno.test("file on a full device says so and keeps nothing for delivered", () =>
  withSink(async (sink) => {
    await sink.reopen();
    assert.deepEqual(sink.outcome(), { state: "working" });
    assert.equal(await sink.write(made(1, 5)), 0);
    assert.deepEqual(sink.outcome(), {
      state: "failed",
      because: 'Cannot write events to "/dev/full": No space left on device (os error 28)',
    });
  }, { path: "/dev/full" }));

Deno.test("file that cannot be opened says why, and works when it can be", () =>
  withSink(async (sink, path) => {
    Deno.mkdirSync(path);
    assert.equal(await sink.write(made(1, 1)), 0);
    assert.match(JSON.stringify(sink.outcome()), /failed.*Cannot write .*Is a directory/);
    Deno.removeSync(path);
    assert.equal(await sink.write(made(1, 1)), 1);
    assert.deepEqual(sink.outcome(), { state: "working" });
  }));

Deno.test("file in a directory that is missing names the path", () =>
  withSink(async (sink) => {
    await sink.reopen();
    assert.match(JSON.stringify(sink.outcome()), /failed.*nowhere.*No such file/);
  }, { path: "/nowhere/at/all.log" }));
