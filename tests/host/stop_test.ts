/**
 * What becomes of the events that are on their way when the agent stops: each is delivered, or
 * counted as lost.
 */
import { deepStrictEqual, ok } from "node:assert/strict";
import { AgentUnderTest, BINARY, eventually, folder, type SeenEvent, sleep } from "./lab.ts";
import { Maker } from "./maker.ts";

/** The rings are emptied every 20 ms while records come; twenty times that, for a busy machine. */
const TAKEN_MS = 400;
/** Where nobody listens, and nobody else sends anything. */
const PORT = 4_987;

async function started(): Promise<{ agent: AgentUnderTest; file: string }> {
  const file = await Deno.makeTempFile({ prefix: "lab-" });
  const config = "events:\n  foldSeconds: 0\n  sinks:\n" +
    `    - {kind: file, path: ${file}}\n` +
    "probes:\n  packetloss: {events_per_second: 10000}\n  tcpreset: {events_per_second: 10000}\n";
  return { agent: await AgentUnderTest.start({ config }), file };
}

async function written(file: string): Promise<readonly SeenEvent[]> {
  const text = await Deno.readTextFile(file);
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** The figures of the last line of the log. */
async function figures(agent: AgentUnderTest): Promise<(name: string) => number> {
  const line = () => Promise.resolve(/ Stopped (kernel_limit_produced.*)/.exec(agent.log)?.[1]);
  const found = await eventually(line, (text) => text !== undefined) ?? "";
  const values = new Map(
    found.split(" ").map((word) => {
      const [name = "", value] = word.split("=");
      return [name, Number(value)];
    }),
  );
  return (name) => values.get(name) ?? NaN;
}

for (const [family, datagrams] of [["4", 211], ["6", 199]] as const) {
  Deno.test(`IPv${family} events that wait for a name are delivered at the stop`, async () => {
    await using maker = new Maker();
    const { agent, file } = await started();
    await using stopping = agent;
    await maker.do(`ghost${family} ${datagrams} ${PORT}`);
    await sleep(TAKEN_MS);
    await stopping.stop();
    const events = (await written(file)).filter(({ destination, network }) =>
      destination?.port === PORT && network.transport === "udp"
    );
    deepStrictEqual(
      [events.reduce((sum, { count }) => sum + count, 0), new Set(events.map(({ type }) => type))],
      [datagrams, new Set(["PACKETLOSS"])],
    );
    await Deno.remove(file);
  });
}

Deno.test("all that the kernel saw before it was detached is delivered or lost", async () => {
  await using maker = new Maker();
  const name = `stop-${Deno.pid.toString(36)}`;
  await maker.do(`make ${name}`);
  const { agent, file } = await started();
  await using stopping = agent;
  let isOver = false;
  const traffic = (async () => {
    while (!isOver) await maker.do(`fault4 ${name}`);
  })();
  await sleep(TAKEN_MS);
  await stopping.stop();
  isOver = true;
  await traffic;
  await maker.do(`remove ${name}`);
  const of = await figures(agent);
  const events = (await written(file)).reduce((sum, { count }) => sum + count, 0);
  ok(events > 100, `${events} events are too few to be on their way`);
  deepStrictEqual(
    [
      of("ring_produced"),
      of("queue_produced"),
      of("file_produced"),
      events,
    ],
    [
      of("kernel_limit_produced") - of("kernel_limit_lost"),
      of("ring_produced") - of("ring_lost"),
      of("queue_produced") - of("queue_lost"),
      of("file_produced") - of("file_lost"),
    ],
    agent.log,
  );
  await Deno.remove(file);
});

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

Deno.test("an agent whose log cannot be written runs, and leaves no pin", async () => {
  const dir = await folder();
  const pinDir = `/sys/fs/bpf/${dir.split("/").at(-1)}`;
  const child = new Deno.Command("sh", {
    args: [
      ...["-c", 'exec "$0" "$@" 2>/dev/full', BINARY, "agent", "--listen", "127.0.0.1:0"],
      ...["--socket", `${dir}/agent.sock`, "--data-dir", `${dir}/data`, "--pin-dir", pinDir],
    ],
    stdout: "null",
  }).spawn();
  const pinned = () => exists(`${pinDir}/tcpreset`);
  deepStrictEqual(await eventually(pinned, (there) => there, 60_000), true);
  child.kill("SIGTERM");
  deepStrictEqual([(await child.status).code, await exists(pinDir)], [0, false]);
  await Deno.remove(dir, { recursive: true });
});
