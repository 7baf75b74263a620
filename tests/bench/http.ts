/**
 * Measures what HTTP costs the agent: event streams, and a large /metrics with and without gzip.
 * Server and clients are processes of their own, so that the CPU time is the server's alone.
 *
 * Run: `deno run -A tests/bench/http.ts`. Takes about 12 seconds.
 *
 * @module
 */
import { Access } from "../../agent/access.ts";
import { diagnosesOf } from "@agent/diagnoses.ts";
import { HttpCounts } from "../../agent/http_counts.ts";
import { readConsole } from "../../agent/routes/console.ts";
import { EventStreams } from "../../agent/routes/event_streams.ts";
import { application } from "../../agent/server.ts";
import { FakeAgent, fakeEvent } from "../fake_agent.ts";

const CLIENTS = 100;
const EVENTS_PER_SECOND = 1_000;
const STREAM_SECONDS = 4;
const REQUEST_SECONDS = 2;
const METRICS_BYTES = 1 << 20;

/** What each figure is held against; `most` ones are to stay below, the others to be reached. */
const TARGETS = {
  "event streams, CPU of one core": { target: 0.25, unit: "", most: true },
  "event streams, events/s of each client": { target: 990, unit: "", most: false },
  "event streams, events lost": { target: 0, unit: "", most: true },
  "/metrics of 1 MiB, requests/s": { target: 300, unit: "", most: false },
  "/metrics of 1 MiB gzipped, requests/s": { target: 60, unit: "", most: false },
  "/metrics of 1 MiB gzipped, ms of CPU each": { target: 15, unit: "", most: true },
} as const;

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function report(name: keyof typeof TARGETS, figure: number): void {
  const { target, most } = TARGETS[name];
  const ratio = target === 0 ? "" : `ratio ${(figure / target).toFixed(2)}`;
  const met = most ? figure <= target : figure >= target;
  const sign = most ? "≤" : "≥";
  print(
    `${name.padEnd(42)} target ${sign} ${String(target).padEnd(5)} figure ${
      figure.toFixed(2).padStart(9)
    }  ${ratio.padEnd(11)} ${met ? "met" : "MISSED"}`,
  );
}

/** The server's process: `POST /events` starts the events, `POST /stop` says what was lost. */
async function runServer(): Promise<void> {
  const agent = new FakeAgent();
  const line = (number: number) =>
    `podskoop_packetloss_packets_total{node="node-a",namespace="shop-${number % 40}",` +
    `pod="cart-${number % 250}-7f9c8d",reason="NO_SOCKET"} ${number * 17}\n`;
  agent.text = "";
  for (let row = 0; agent.text.length < METRICS_BYTES; row++) agent.text += line(row);
  const counts = new HttpCounts();
  const streams = new EventStreams(agent, counts, { clientsMax: CLIENTS });
  const access = new Access({ socket: "" });
  const app = application({
    agent,
    access,
    streams,
    counts,
    files: await readConsole(),
    names: [],
    diagnoses: diagnosesOf(agent, counts),
  });
  let number = 0;
  let began = 0;
  function tick(): void {
    // As the store hands them on: what a twentieth of a second brought, at once.
    const due = Math.floor((performance.now() - began) / 1000 * EVENTS_PER_SECOND);
    while (number < due) agent.publish(fakeEvent(++number));
    agent.kept.length = 0;
  }
  let timer: ReturnType<typeof setInterval> | undefined;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => print(String(port)) },
    (request) => {
      const { pathname } = new URL(request.url);
      if (request.method === "POST" && pathname === "/events") {
        began = performance.now();
        timer = setInterval(tick, 50);
        return new Response();
      }
      if (request.method === "POST") {
        clearInterval(timer);
        streams.close();
        return Response.json(counts.streamEventsLost);
      }
      return app.fetch(request, { caller: { by: "unix", tls: false, loopback: true } });
    },
  );
  await server.finished;
}

/** Seconds of CPU that a process has used, by proc_pid_stat(5). */
async function cpuOf(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Resident memory of a process in MiB. */
async function residentOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

async function measureStreams(url: string, pid: number): Promise<void> {
  let events = 0;
  async function read(): Promise<void> {
    const response = await fetch(`${url}events/stream`);
    for await (const chunk of response.body ?? []) {
      // Each message ends in an empty line.
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) {
        if (chunk[at + 1] === 10) events++;
      }
    }
  }
  const clients = Array.from({ length: CLIENTS }, read);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await (await fetch(`${url}events`, { method: "POST" })).body?.cancel();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = {
    cpu: await cpuOf(pid),
    rss: await residentOf(pid),
    at: performance.now(),
    events,
  };
  await new Promise((resolve) => setTimeout(resolve, STREAM_SECONDS * 1000));
  const seconds = (performance.now() - before.at) / 1000;
  const rate = (events - before.events) / seconds / CLIENTS;
  report("event streams, CPU of one core", (await cpuOf(pid) - before.cpu) / seconds);
  report("event streams, events/s of each client", rate);
  const rss = await residentOf(pid);
  const lost = await (await fetch(`${url}stop`, { method: "POST" })).json();
  report("event streams, events lost", Number(lost));
  print(`event streams, RSS in MiB: ${before.rss.toFixed(0)} before, ${rss.toFixed(0)} after`);
  await Promise.all(clients);
}

async function measureMetrics(url: string, pid: number, gzip: boolean): Promise<void> {
  const name = gzip ? "/metrics of 1 MiB gzipped" : "/metrics of 1 MiB";
  // Deno's fetch takes gzip apart by itself, which would be a measure of the client.
  const headers = `GET /metrics HTTP/1.1\r\nHost: localhost\r\n${
    gzip ? "Accept-Encoding: gzip\r\n" : ""
  }\r\n`;
  const { port } = new URL(url);
  using connection = await Deno.connect({ port: Number(port) });
  const buffer = new Uint8Array(1 << 20);
  let [requests, bytes] = [0, 0];
  const began = { cpu: await cpuOf(pid), at: performance.now() };
  while (performance.now() - began.at < REQUEST_SECONDS * 1000) {
    await connection.write(new TextEncoder().encode(headers));
    let [read, wanted] = [0, Infinity];
    while (read < wanted) {
      const length = await connection.read(buffer);
      if (length === null) throw new Error(`Cannot read ${name}: the connection ended`);
      if (wanted === Infinity) {
        const head = new TextDecoder().decode(buffer.subarray(0, length));
        const body = Number(/content-length: (\d+)/i.exec(head)?.[1]);
        wanted = head.indexOf("\r\n\r\n") + 4 + body;
        bytes = body;
      }
      read += length;
    }
    requests++;
  }
  const seconds = (performance.now() - began.at) / 1000;
  const cpu = await cpuOf(pid) - began.cpu;
  report(
    gzip ? "/metrics of 1 MiB gzipped, requests/s" : "/metrics of 1 MiB, requests/s",
    requests / seconds,
  );
  if (gzip) report("/metrics of 1 MiB gzipped, ms of CPU each", cpu * 1000 / requests);
  print(`${name}: ${bytes} bytes each`);
}

async function main(): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.url, "server"],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const url = `http://127.0.0.1:${Number(new TextDecoder().decode(value))}/`;
  try {
    await measureMetrics(url, child.pid, false);
    await measureMetrics(url, child.pid, true);
    await measureStreams(url, child.pid);
  } finally {
    child.kill();
    await reader.cancel();
    await child.status;
  }
}

if (Deno.args[0] === "server") await runServer();
else await main();
