/**
 * What pods do, in many namespaces at once and in one process, for `node.ts`:
 *
 *     crowd.ts NAME…
 *
 * In each namespace there are connections over the loopback device, and a datagram a second. A
 * number on standard input opens so many sockets more in the process's own namespace. Each is
 * answered by a line.
 *
 * @module
 */
const { symbols: c } = Deno.dlopen("libc.so.6", {
  setns: { parameters: ["i32", "i32"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  accept: { parameters: ["i32", "pointer", "pointer"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
});

const CLONE_NEWNET = 0x4000_0000;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const PORT = 4_711;
/** In each namespace. */
const CONNECTIONS = 3;
/** Between two addresses: a client has some 28,000 ports for each address that it connects to. */
const CONNECTIONS_MAX = 20_000;
const BACKLOG = 128;
/** One namespace's datagrams come a second apart. */
const ROUND_MS = 1_000;
const DATAGRAM = new Uint8Array(new ArrayBuffer(100));

function check(what: string, result: number | bigint): number {
  if (result < 0) throw new Error(`Cannot ${what}`);
  return Number(result);
}

function cString(value: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(`${value}\0`));
}

/** The loopback address with that number, `struct sockaddr_in`. */
function loopback(host: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(16));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, PORT);
  view.setUint32(4, 0x7f000000 + host);
  return bytes;
}

/** Makes connections whose both ends stay open. */
function connect(host: number, count: number): void {
  const listener = check("open a socket", c.socket(AF_INET, SOCK_STREAM, 0));
  const at = loopback(host);
  check("bind", c.bind(listener, at, at.length));
  check("listen", c.listen(listener, BACKLOG));
  for (let made = 0; made < count; made++) {
    const client = check("open a socket", c.socket(AF_INET, SOCK_STREAM, 0));
    check("connect", c.connect(client, at, at.length));
    check("accept", c.accept(listener, null, null));
  }
}

const home = check("open the own namespace", c.open(cString("/proc/thread-self/ns/net"), 0));

/** Connections, and a socket that sends to itself; the socket. */
function settle(name: string): number {
  const fd = check(`open ${name}`, c.open(cString(`/run/netns/${name}`), 0));
  check(`enter ${name}`, c.setns(fd, CLONE_NEWNET));
  try {
    connect(1, CONNECTIONS);
    const socket = check("open a socket", c.socket(AF_INET, SOCK_DGRAM, 0));
    const at = loopback(1);
    check("bind", c.bind(socket, at, at.length));
    return socket;
  } finally {
    check("come back", c.setns(home, CLONE_NEWNET));
    c.close(fd);
  }
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

const sockets = Deno.args.map(settle);
let turn = 0;
const to = loopback(1);
if (sockets.length > 0) {
  setInterval(() => {
    const socket = sockets[turn++ % sockets.length] ?? -1;
    c.sendto(socket, DATAGRAM, BigInt(DATAGRAM.length), MSG_DONTWAIT, to, to.length);
    // What nobody reads fills the socket, and is then dropped, which is no idle traffic.
    c.recv(socket, DATAGRAM, BigInt(DATAGRAM.length), MSG_DONTWAIT);
  }, ROUND_MS / sockets.length);
}
say("ready");
/** Others like this one have addresses of their own. */
let host = (Deno.pid % 0xffff) * 256 + 2;
for await (const chunk of Deno.stdin.readable) {
  let left = Number(new TextDecoder().decode(chunk)) / 2;
  for (; left > 0; left -= CONNECTIONS_MAX) connect(host++, Math.min(left, CONNECTIONS_MAX));
  say("done");
}
