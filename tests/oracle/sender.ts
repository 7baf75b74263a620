/**
 * Sends single packets from the namespace that it is started in: a TCP SYN or an empty datagram,
 * from the port that is asked for. Reads lists of packets as JSON, a line each, and says when it
 * has sent them.
 *
 * @module
 */
import { parseAddress } from "../../diagnose/packet/address.ts";

/** A packet to be sent. */
export interface Order {
  readonly source: string;
  readonly destination: string;
  readonly protocol: "tcp" | "udp";
  readonly sourcePort: number;
  readonly destinationPort: number;
}

const LIBC = Deno.dlopen(
  "libc.so.6",
  {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
  } as const,
).symbols;

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;

function socketAddress(text: string, port: number): Uint8Array<ArrayBuffer> {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`Cannot send to "${text}": it is no address`);
  const four = address.family === 4;
  const bytes = new Uint8Array(new ArrayBuffer(four ? 16 : 28));
  bytes[0] = four ? AF_INET : AF_INET6;
  bytes[2] = port >> 8;
  bytes[3] = port & 255;
  const [at, length] = four ? [4, 4] : [8, 16];
  for (let index = 0; index < length; index++) {
    bytes[at + index] = Number(address.bits >> BigInt(8 * (length - 1 - index)) & 255n);
  }
  return bytes;
}

function sendOne({ source, destination, protocol, sourcePort, destinationPort }: Order): void {
  const from = socketAddress(source, sourcePort);
  const to = socketAddress(destination, destinationPort);
  const type = (protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK;
  const socket = LIBC.socket(from[0] ?? 0, type, 0);
  const yes = Uint8Array.from([1, 0, 0, 0]);
  LIBC.setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, yes, 4);
  if (LIBC.bind(socket, from, from.length) !== 0) {
    throw new Error(`Cannot send from "${source}", port ${sourcePort}: it cannot be bound`);
  }
  LIBC.connect(socket, to, to.length);
  if (protocol === "udp") LIBC.send(socket, yes, 0n, 0);
  LIBC.close(socket);
}

if (import.meta.main) {
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const orders: readonly Order[] = JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
      for (const order of orders) sendOne(order);
      Deno.stdout.writeSync(new TextEncoder().encode("done\n"));
    }
  }
}
