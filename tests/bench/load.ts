/**
 * The load of `hooks.ts`: one end answers, the other is told by lines what to send.
 *
 *     load.ts serve ADDRESS…     takes what comes over TCP, and answers over UDP
 *     load.ts load               reads `tcp ADDRESS SECONDS` and `udp ADDRESS SECONDS`
 *
 * @module
 */
import { createSocket, type Socket } from "node:dgram";

const PORT = 5201;
const CHUNK_BYTES = 128 << 10;
const REQUEST_BYTES = 64;
/** A datagram that is not answered by then is lost, and the next one is sent. */
const LOST_MS = 1_000;

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function take(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  while (await connection.read(buffer) !== null);
  connection.close();
}

async function serve(hostname: string): Promise<void> {
  const socket = createSocket(hostname.includes(":") ? "udp6" : "udp4");
  socket.on("message", (message, { port, address }) => socket.send(message, port, address));
  await new Promise<void>((resolve) => socket.bind(PORT, hostname, resolve));
  const listener = Deno.listen({ hostname, port: PORT });
  void (async () => {
    for await (const connection of listener) void take(connection);
  })();
}

/** Bytes a second of one connection. */
async function tcp(hostname: string, seconds: number): Promise<number> {
  using connection = await Deno.connect({ hostname, port: PORT });
  const chunk = new Uint8Array(CHUNK_BYTES);
  const began = performance.now();
  let bytes = 0;
  let now = began;
  while (now - began < seconds * 1_000) {
    bytes += await connection.write(chunk);
    now = performance.now();
  }
  return bytes / (now - began) * 1_000;
}

/** Sends one datagram and waits for its answer; microseconds. */
function exchange(socket: Socket, address: string): Promise<number> {
  const began = performance.now();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      socket.removeListener("message", done);
      resolve((performance.now() - began) * 1_000);
    };
    const timer = setTimeout(done, LOST_MS);
    socket.on("message", done);
    socket.send(new Uint8Array(REQUEST_BYTES), PORT, address);
  });
}

/** The time that 99 of 100 requests were answered in, in microseconds. */
async function udp(address: string, seconds: number): Promise<number> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const times: number[] = [];
  const began = performance.now();
  while (performance.now() - began < seconds * 1_000) times.push(await exchange(socket, address));
  socket.close();
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] ?? 0;
}

async function load(): Promise<void> {
  for await (const chunk of Deno.stdin.readable) {
    for (const line of new TextDecoder().decode(chunk).trimEnd().split("\n")) {
      const [what, address = "", seconds] = line.split(" ");
      if (what === "tcp") {
        say(JSON.stringify({ bytesPerSecond: await tcp(address, Number(seconds)) }));
      } else say(JSON.stringify({ p99Us: await udp(address, Number(seconds)) }));
    }
  }
}

const [what, ...addresses] = Deno.args;
if (what === "serve") await Promise.all(addresses.map(serve));
say("ready");
if (what === "load") await load();
