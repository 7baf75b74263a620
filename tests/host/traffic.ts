/**
 * Makes exactly the traffic it is told to, in the network namespace it is started in: run by
 * `lab.ts` below `ip netns exec`. Sockets are libc's, because Deno's cannot be closed with a reset
 * or left unread.
 *
 * @module
 */
const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept: { parameters: ["i32", "pointer", "pointer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  recvfrom: {
    parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"],
    result: "isize",
  },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  sendMapped: {
    name: "send",
    parameters: ["i32", "pointer", "usize", "i32"],
    result: "isize",
  },
  __errno_location: { parameters: [], result: "pointer" },
});
const { symbols: c } = libc;

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_LINGER = 13;
const SO_RCVTIMEO = 20;
const MSG_PEEK = 0x2;
const MSG_WAITALL = 0x100;
const EADDRNOTAVAIL = 99;
const ECONNREFUSED = 111;

function errno(): number {
  const at = c.__errno_location();
  return at === null ? 0 : new Deno.UnsafePointerView(at).getInt32(0);
}

function check(what: string, result: number | bigint): number {
  const value = Number(result);
  if (value < 0) throw new Error(`Cannot ${what}: errno ${errno()}`);
  return value;
}

function family(address: string): number {
  return address.includes(":") ? AF_INET6 : AF_INET;
}

/** `struct sockaddr_in` or `sockaddr_in6`. */
function sockaddr(address: string, port: number): Uint8Array<ArrayBuffer> {
  const v6 = address.includes(":");
  const bytes = new Uint8Array(new ArrayBuffer(v6 ? 28 : 16));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v6 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port);
  if (!v6) {
    address.split(".").forEach((part, index) => bytes[4 + index] = Number(part));
    return bytes;
  }
  const [head = "", tail] = address.split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":").map((g) => parseInt(g, 16));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const zeros = Array<number>(8 - front.length - back.length).fill(0);
  [...front, ...zeros, ...back].forEach((group, index) => view.setUint16(8 + index * 2, group));
  return bytes;
}

function socket(address: string, type: number): number {
  return check("open a socket", c.socket(family(address), type, 0));
}

function option(fd: number, name: number, ...words: number[]): void {
  const bytes = new Uint8Array(new ArrayBuffer(words.length * 4));
  words.forEach((word, index) => new DataView(bytes.buffer).setInt32(index * 4, word, true));
  check(`set the socket option ${name}`, c.setsockopt(fd, SOL_SOCKET, name, bytes, bytes.length));
}

function bytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length)).fill(0x78);
}

/**
 * Sends `count` datagrams from one socket, bound to `from` unless that is 0; ICMP errors are
 * ignored.
 */
function udp(address: string, port: number, count: number, from: number): void {
  const fd = socket(address, SOCK_DGRAM);
  if (from !== 0) {
    const any = family(address) === AF_INET6 ? "::" : "0.0.0.0";
    const local = sockaddr(any, from);
    check("bind", c.bind(fd, local, local.length));
  }
  const to = sockaddr(address, port);
  for (let sent = 0; sent < count;) {
    // A queued ICMP error is reported by the next call instead of sending; that one is tried again.
    if (c.sendto(fd, bytes(32), 32n, 0, to, to.length) >= 0n) sent++;
    else if (errno() !== ECONNREFUSED && errno() !== 113 && errno() !== 1) {
      check("send", -1);
    } else if (errno() === 1) sent++;
  }
  c.close(fd);
}

/**
 * Sends a datagram to each of `count` addresses from `address` on, whatever becomes of it. Each is
 * from a socket of its own, as what waits for a neighbour counts against its socket's limit.
 */
function sweep(address: string, port: number, count: number): void {
  const to = sockaddr(address, port);
  const view = new DataView(to.buffer);
  const lastBytes = family(address) === AF_INET6 ? 22 : 6;
  for (let sent = 0; sent < count; sent++) {
    const fd = socket(address, SOCK_DGRAM);
    c.sendto(fd, bytes(32), 32n, 0, to, to.length);
    c.close(fd);
    view.setUint16(lastBytes, view.getUint16(lastBytes) + 1);
  }
}

/**
 * Sends `rate` datagrams a second for `seconds`, in bursts each 10 ms, to a port where nobody
 * listens.
 */
async function storm(address: string, port: number, rate: number, seconds: number): Promise<void> {
  const fd = socket(address, SOCK_DGRAM);
  const to = sockaddr(address, port);
  const began = performance.now();
  let sent = 0;
  for (;;) {
    const elapsed = (performance.now() - began) / 1000;
    if (elapsed >= seconds) break;
    for (const due = Math.floor(elapsed * rate); sent < due; sent++) {
      c.sendto(fd, bytes(32), 32n, 0, to, to.length);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  c.close(fd);
  Deno.stdout.writeSync(new TextEncoder().encode(`${sent}\n`));
}

/** Holds a socket that datagrams come to and nobody reads, until it is killed. */
function sink(address: string, port: number): void {
  const fd = socket(address, SOCK_DGRAM);
  const at = sockaddr(address, port);
  check("bind", c.bind(fd, at, at.length));
  Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
  setInterval(() => {}, 60_000);
}

/** Connects `count` times where nobody listens. */
function refused(address: string, port: number, count: number): void {
  for (let tried = 0; tried < count; tried++) {
    const fd = socket(address, SOCK_STREAM);
    const to = sockaddr(address, port);
    const result = c.connect(fd, to, to.length);
    if (result === 0 || errno() !== ECONNREFUSED) {
      throw new Error(`Cannot be refused by ${address} port ${port}: result ${result}`);
    }
    c.close(fd);
  }
}

/**
 * Accepts `count` connections, reading each to its end or reset, and says on standard output when
 * it is ready.
 */
function serve(address: string, port: number, count: number): void {
  const listener = socket(address, SOCK_STREAM);
  option(listener, SO_REUSEADDR, 1);
  const at = sockaddr(address, port);
  check("bind", c.bind(listener, at, at.length));
  check("listen", c.listen(listener, 128));
  Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
  for (let accepted = 0; accepted < count; accepted++) {
    const fd = check("accept", c.accept(listener, null, null));
    option(fd, SO_RCVTIMEO, 5, 0, 0, 0);
    while (c.recv(fd, bytes(4096), 4096n, 0) > 0n);
    c.close(fd);
  }
  c.close(listener);
}

/** Connects `count` times, sends a little, and closes with a reset (linger 0). */
function abort(address: string, port: number, count: number): void {
  for (let made = 0; made < count; made++) {
    const fd = connected(address, port);
    check("send", c.send(fd, bytes(8), 8n, 0));
    option(fd, SO_LINGER, 1, 0);
    c.close(fd);
  }
}

/** Connects `count` times, sends `size` bytes and closes in good order. */
function orderly(address: string, port: number, count: number, size: number): void {
  for (let made = 0; made < count; made++) {
    const fd = connected(address, port);
    check("send", c.send(fd, bytes(size), BigInt(size), 0));
    c.close(fd);
  }
}

/** Begins `count` connections, and gives them up after `ms` without waiting for an answer. */
async function knock(address: string, port: number, count: number, ms: number): Promise<void> {
  const to = sockaddr(address, port);
  const sockets = Array.from({ length: count }, () => socket(address, SOCK_STREAM | SOCK_NONBLOCK));
  for (const fd of sockets) c.connect(fd, to, to.length);
  Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
  await new Promise((resolve) => setTimeout(resolve, ms));
  for (const fd of sockets) c.close(fd);
}

/**
 * Sends 1,000 bytes on each of `count` connections, then `more` times 100 bytes, each in a packet
 * of its own, and closes after two seconds.
 */
async function pieces(address: string, port: number, count: number, more: number): Promise<void> {
  const sockets = Array.from({ length: count }, () => connected(address, port));
  for (const fd of sockets) {
    const on = Uint8Array.of(1, 0, 0, 0);
    check("set TCP_NODELAY", c.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, on, on.length));
    check("send", c.send(fd, bytes(1_000), 1_000n, 0));
  }
  for (const fd of sockets) {
    for (let sent = 0; sent < more; sent++) check("send", c.send(fd, bytes(100), 100n, 0));
  }
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  for (const fd of sockets) c.close(fd);
}

function connected(address: string, port: number): number {
  const fd = socket(address, SOCK_STREAM);
  const to = sockaddr(address, port);
  check(`connect to ${address} port ${port}`, c.connect(fd, to, to.length));
  return fd;
}

/** Connects from one local port, and then `count` times from the same one, which is in use. */
function again(address: string, port: number, count: number, from: number): void {
  const local = sockaddr(family(address) === AF_INET6 ? "::" : "0.0.0.0", from);
  const to = sockaddr(address, port);
  const sockets = Array.from({ length: 1 + count }, () => socket(address, SOCK_STREAM));
  for (const [index, fd] of sockets.entries()) {
    option(fd, SO_REUSEADDR, 1);
    check("bind", c.bind(fd, local, local.length));
    const result = c.connect(fd, to, to.length);
    if (index === 0) check("connect", result);
    else if (result === 0 || errno() !== EADDRNOTAVAIL) {
      throw new Error(`Cannot be refused the port ${from}: result ${result}`);
    }
  }
  for (const fd of sockets) c.close(fd);
}

/** Has a socket for datagrams, and leaves them unread, until it is killed. */
function hear(address: string, port: number): void {
  const fd = socket(address, SOCK_DGRAM);
  const at = sockaddr(address, port);
  check("bind", c.bind(fd, at, at.length));
  Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
  setInterval(() => {}, 60_000);
}

/** Waits, with nothing else going on. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function listening(address: string, port: number, buffer: number): number {
  const listener = socket(address, SOCK_STREAM);
  option(listener, SO_REUSEADDR, 1);
  if (buffer > 0) option(listener, SO_RCVBUF, buffer);
  const at = sockaddr(address, port);
  check("bind", c.bind(listener, at, at.length));
  check("listen", c.listen(listener, 128));
  Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
  return listener;
}

/**
 * Takes one connection, or datagrams, looks at what comes first and leaves it for `ms`, and then
 * reads 100 bytes a time, `count` times at once and once more when there is more.
 */
function sleeper(address: string, port: number, count: number, ms: number, type: number): void {
  let fd = socket(address, SOCK_DGRAM);
  if (type === SOCK_STREAM) {
    const listener = listening(address, port, 0);
    fd = check("accept", c.accept(listener, null, null));
  } else {
    const at = sockaddr(address, port);
    check("bind", c.bind(fd, at, at.length));
    Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
  }
  check("look", c.recv(fd, bytes(100), 100n, MSG_PEEK));
  pause(ms);
  for (let read = 0; read <= count; read++) check("read", c.recv(fd, bytes(100), 100n, 0));
  c.close(fd);
}

/** Sends 100 bytes `count` times, `gap` ms apart, and after two idle seconds once more. */
function spaced(address: string, port: number, count: number, gap: number, type: number): void {
  const fd = socket(address, type);
  const to = sockaddr(address, port);
  check("connect", c.connect(fd, to, to.length));
  for (let sent = 0; sent < count; sent++) {
    check("send", c.send(fd, bytes(100), 100n, 0));
    pause(gap);
  }
  pause(2_000);
  check("send", c.send(fd, bytes(100), 100n, 0));
  pause(500);
  c.close(fd);
}

/** Takes one connection with a small window, reads nothing for `ms`, and then all. */
function narrow(address: string, port: number, ms: number): void {
  const listener = listening(address, port, 2_048);
  const fd = check("accept", c.accept(listener, null, null));
  pause(ms);
  while (c.recv(fd, bytes(65_536), 65_536n, 0) > 0n);
  c.close(fd);
}

/** Sends more than a small window takes, and then 100 bytes `count` times; waits for the end. */
function crowd(address: string, port: number, count: number, first: number): void {
  const fd = socket(address, SOCK_STREAM);
  option(fd, SO_SNDBUF, 1_000_000);
  const to = sockaddr(address, port);
  check("connect", c.connect(fd, to, to.length));
  check("send", c.send(fd, bytes(first), BigInt(first), 0));
  for (let sent = 0; sent < count; sent++) check("send", c.send(fd, bytes(100), 100n, 0));
  c.close(fd);
}

/**
 * Takes one connection, and sends it the page that begins at byte `from` of a disk. The kernel lets
 * nobody else have the socket while the process waits for the disk: what comes meanwhile waits.
 */
function busy(address: string, port: number, from: number): void {
  const PROT_READ = 1;
  const MAP_PRIVATE = 2;
  const disk = check("open the disk", c.open(new TextEncoder().encode("/dev/nullb0\0"), 0));
  const page = c.mmap(null, 4_096n, PROT_READ, MAP_PRIVATE, disk, BigInt(from));
  const fd = check("accept", c.accept(listening(address, port, 0), null, null));
  check("send", c.sendMapped(fd, page, 4_096n, 0));
  check("read", c.recv(fd, bytes(100), 100n, MSG_WAITALL));
  c.close(fd);
}

/** Connects, sends 100 bytes a second later, and waits for the end. */
function later(address: string, port: number): void {
  const fd = connected(address, port);
  pause(1_000);
  check("send", c.send(fd, bytes(100), 100n, 0));
  while (c.recv(fd, bytes(65_536), 65_536n, 0) > 0n);
  c.close(fd);
}

/** Answers 100 bytes with as many, `count` times. */
function echo(address: string, port: number, count: number): void {
  const fd = check("accept", c.accept(listening(address, port, 0), null, null));
  for (let answered = 0; answered < count; answered++) {
    check("read", c.recv(fd, bytes(100), 100n, MSG_WAITALL));
    check("send", c.send(fd, bytes(100), 100n, 0));
  }
  check("end", c.recv(fd, bytes(100), 100n, 0));
  c.close(fd);
}

/** Asks such a one `count` times, and is idle for `idle` ms before the last time. */
function ask(address: string, port: number, count: number, idle: number): void {
  const fd = connected(address, port);
  for (let asked = 0; asked < count; asked++) {
    if (asked === count - 1) pause(idle);
    check("send", c.send(fd, bytes(100), 100n, 0));
    check("read", c.recv(fd, bytes(100), 100n, MSG_WAITALL));
  }
  c.close(fd);
}

/** A DNS query for the A record of `label`.example.test. */
function query(id: number, label: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder();
  const name = [label, "example", "test"].flatMap((part) => [part.length, ...text.encode(part)]);
  return Uint8Array.of(id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...name, 0, 0, 1, 0, 1);
}

/** The answer that a query asks for by its first label, `rRCODEdMS`; none for another. */
function answerTo(message: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const label = new TextDecoder().decode(message.subarray(13, 13 + (message[12] ?? 0)));
  const [, rcode, ms] = /^r(\d+)d(\d+)$/.exec(label) ?? [];
  if (rcode === undefined || ms === undefined) return undefined;
  pause(Number(ms));
  const answer = Uint8Array.from(message);
  answer[2] = 0x81;
  answer[3] = 0x80 | Number(rcode);
  return answer;
}

/** Answers DNS queries until it is killed. */
function dnsServer(address: string, port: number): void {
  const fd = socket(address, SOCK_DGRAM);
  const at = sockaddr(address, port);
  check("bind", c.bind(fd, at, at.length));
  Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
  for (;;) {
    const message = bytes(512);
    const from = bytes(28);
    const size = Uint32Array.of(from.length);
    const length = check("read", c.recvfrom(fd, message, 512n, 0, from, size));
    const answer = answerTo(message.subarray(0, length));
    if (answer) c.sendto(fd, answer, BigInt(answer.length), 0, from, size[0] ?? 0);
  }
}

/** The same over TCP, one query on each connection. */
function dnsServerTcp(address: string, port: number): void {
  const listener = listening(address, port, 0);
  for (;;) {
    const fd = check("accept", c.accept(listener, null, null));
    const message = bytes(512);
    const length = check("read", c.recv(fd, message, 512n, 0));
    const answer = answerTo(message.subarray(2, length));
    if (answer) {
      const framed = Uint8Array.of(0, answer.length, ...answer);
      check("send", c.send(fd, framed, BigInt(framed.length), 0));
    }
    c.recv(fd, message, 512n, 0);
    c.close(fd);
  }
}

/** Asks `count` times for an answer with a code after `ms`; or for none, each question twice. */
function resolve(address: string, port: number, count: number, code: number, ms: number): void {
  const fd = socket(address, SOCK_DGRAM);
  const to = sockaddr(address, port);
  check("connect", c.connect(fd, to, to.length));
  for (let id = 1; id <= count; id++) {
    const message = query(id, ms < 0 ? "nothing" : `r${code}d${ms}`);
    check("send", c.send(fd, message, BigInt(message.length), 0));
    if (ms < 0) {
      pause(50);
      check("send", c.send(fd, message, BigInt(message.length), 0));
    } else check("read", c.recv(fd, bytes(512), 512n, 0));
  }
  c.close(fd);
}

/** The same over TCP, each on a connection of its own, and once. */
function resolveTcp(address: string, port: number, count: number, code: number, ms: number): void {
  for (let id = 1; id <= count; id++) {
    const fd = connected(address, port);
    const message = query(id, ms < 0 ? "nothing" : `r${code}d${ms}`);
    const framed = Uint8Array.of(0, message.length, ...message);
    check("send", c.send(fd, framed, BigInt(framed.length), 0));
    if (ms >= 0) check("read", c.recv(fd, bytes(512), 512n, 0));
    c.close(fd);
  }
}

/** Holds `count` connections to a listener of its own, and the listener, until it is killed. */
function hold(address: string, port: number, count: number): void {
  const listener = socket(address, SOCK_STREAM);
  option(listener, SO_REUSEADDR, 1);
  const at = sockaddr(address, port);
  check("bind", c.bind(listener, at, at.length));
  check("listen", c.listen(listener, 64));
  const pairs: number[] = [];
  for (let made = 0; made < count; made++) {
    pairs.push(connected(address, port), check("accept", c.accept(listener, null, null)));
  }
  Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
  setInterval(() => {}, 60_000);
}

const [kind, address = "", port = "0", count = "1", extra = "0", more = "0"] = Deno.args;
const numbers = [Number(port), Number(count), Number(extra)] as const;
switch (kind) {
  case "udp":
    udp(address, ...numbers);
    break;
  case "sweep":
    sweep(address, numbers[0], numbers[1]);
    break;
  case "sink":
    sink(address, numbers[0]);
    break;
  case "storm":
    await storm(address, ...numbers);
    break;
  case "refused":
    refused(address, numbers[0], numbers[1]);
    break;
  case "serve":
    serve(address, numbers[0], numbers[1]);
    break;
  case "abort":
    abort(address, numbers[0], numbers[1]);
    break;
  case "orderly":
    orderly(address, ...numbers);
    break;
  case "knock":
    await knock(address, ...numbers);
    break;
  case "again":
    again(address, ...numbers);
    break;
  case "pieces":
    await pieces(address, ...numbers);
    break;
  case "hear":
    hear(address, numbers[0]);
    break;
  case "hold":
    hold(address, numbers[0], numbers[1]);
    break;
  case "sleeper":
    sleeper(address, ...numbers, SOCK_STREAM);
    break;
  case "sleeper-udp":
    sleeper(address, ...numbers, SOCK_DGRAM);
    break;
  case "busy":
    busy(address, numbers[0], numbers[1]);
    break;
  case "later":
    later(address, numbers[0]);
    break;
  case "spaced":
    spaced(address, ...numbers, SOCK_STREAM);
    break;
  case "spaced-udp":
    spaced(address, ...numbers, SOCK_DGRAM);
    break;
  case "narrow":
    narrow(address, numbers[0], numbers[1]);
    break;
  case "crowd":
    crowd(address, ...numbers);
    break;
  case "echo":
    echo(address, numbers[0], numbers[1]);
    break;
  case "ask":
    ask(address, ...numbers);
    break;
  case "dns-server":
    dnsServer(address, numbers[0]);
    break;
  case "dns-server-tcp":
    dnsServerTcp(address, numbers[0]);
    break;
  case "resolve":
    resolve(address, ...numbers, Number(more));
    break;
  case "resolve-tcp":
    resolveTcp(address, ...numbers, Number(more));
    break;
  default:
    throw new RangeError(`Cannot make traffic of the kind "${kind}"`);
}
