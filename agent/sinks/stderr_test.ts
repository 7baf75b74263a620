/**
 * The sink `stderr` in a process of its own, as standard error is one of the test's too.
 *
 * @module
 */
import assert from "node:assert/strict";
import { madeEvent } from "../../tests/made_events.ts";
import { EncodedEvent } from "../events/encoded.ts";
import { log } from "../log.ts";
import { SinkQueue } from "./queue.ts";
import { StderrSink } from "./stderr.ts";

const EVENTS = 1_009;
const THIS_FILE = new URL(import.meta.url).pathname;

/** Runs this file as a program whose standard error goes where the shell line says. */
function run(redirected: string, format: "text" | "json"): string {
  const script = `"$0" run -A --no-lock "$1" "$2" ${redirected}`;
  const { code, stdout } = new Deno.Command("sh", {
    args: ["-c", script, Deno.execPath(), THIS_FILE, format],
    stderr: "null",
  }).outputSync();
  assert.equal(code, 0);
  return new TextDecoder().decode(stdout);
}

function check(output: string, format: "text" | "json"): void {
  const lines = output.trimEnd().split("\n");
  const logged = lines.filter((line) => line.includes(" info  In between"));
  const events = lines.filter((line) => !logged.includes(line));
  assert.equal(logged.length, 2);
  const expected = made().map(({ json, textLine }) =>
    format === "json" ? json : new TextDecoder().decode(textLine).trimEnd()
  );
  assert.deepEqual(events, expected);
}

Deno.test("stderr writes whole lines to a pipe, beside the agent's log", () => {
  check(run("2>&1 >/dev/null | cat", "text"), "text");
});

Deno.test("stderr appends to a file that the agent's log is written to as well", () => {
  const path = Deno.makeTempFileSync({ prefix: "podskoop-stderr-" });
  check(run(`2>"${path}" >/dev/null; cat "${path}"`, "json"), "json");
  Deno.removeSync(path);
});

Deno.test("stderr that nobody reads blocks neither the agent nor its end", () => {
  const directory = Deno.makeTempDirSync({ prefix: "podskoop-stderr-" });
  const pipe = `${directory}/pipe`;
  assert.ok(new Deno.Command("mkfifo", { args: [pipe] }).outputSync().success);
  // The shell holds the pipe open for reading, and reads nothing.
  const report = run(`5<>"${pipe}" 2>&5`, "text");
  const { outcome, sum } = JSON.parse(report);
  assert.match(outcome.because, /nothing has been taken for 0.1 seconds; \d+ events wait/);
  assert.equal(sum.produced, EVENTS);
  assert.equal(sum.delivered + sum.lost, EVENTS);
  // What the pipe itself holds, 64 KiB, has gone; the rest of some 120 KiB cannot have.
  assert.ok(sum.lost > EVENTS / 4, report);
  Deno.removeSync(directory, { recursive: true });
});

function made(): EncodedEvent[] {
  return Array.from(
    { length: EVENTS },
    (_, index) => EncodedEvent.of({ id: String(index), ...madeEvent({ type: `T${index}` }) }),
  );
}

async function main(format: "text" | "json"): Promise<void> {
  const queue = new SinkQueue("stderr", new StderrSink({ format }), { timeout: 100 });
  log.info("In between");
  queue.push(made());
  log.info("In between");
  await new Promise((resolve) => setTimeout(resolve, 150));
  const outcome = queue.outcome();
  await queue.close();
  const report = JSON.stringify({ outcome, sum: queue.stage.sum() });
  await Deno.stdout.write(new TextEncoder().encode(`${report}\n`));
  Deno.exit(0);
}

const [format] = Deno.args;
// As a test this file has no arguments.
if (format === "text" || format === "json") await main(format);
