/**
 * Makes and ends network namespaces as a container runtime's network plugin does, and faults in
 * them, as it is told on standard input; each order is answered by a line when it is done: `make
 * NAME`, `fault4 NAME`, `remove NAME`; `connect4 NAME NUMBER`, which makes so many connections and
 * asks a DNS server that is not there; `ghost4 NUMBER PORT`, which sends so many datagrams in a
 * namespace that is gone by the answer. One process for all: at twenty a second, one each would be
 * the load.
 *
 * @module
 */
const { symbols: c } = Deno.dlopen("libc.so.6", {
  unshare: { parameters: ["i32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  mount: { parameters: ["buffer", "buffer", "pointer", "u64", "pointer"], result: "i32" },
  umount2: { parameters: ["buffer", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept: { parameters: ["i32", "pointer", "pointer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
});

const CLONE_NEWNET = 0x4000_0000;
const MS_BIND = 4_096n;
const MNT_DETACH = 2;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_LINGER = 13;
const SIOCSIFFLAGS = 0x8914n;
const IFF_UP = 1;
/** Where nobody listens. */
const PORT = 4_999;
const LISTENING = 5_001;
const DNS = 5_053;
/** Of so many connections one is closed by both ends in order; the others are reset. */
const ORDERLY_EVERY = 4;

function cString(value: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(`${value}\0`));
}

function check(what: string, result: number | bigint): number {
  if (result < 0) throw new Error(`Cannot ${what}`);
  return Number(result);
}

function pathOf(name: string): string {
  return `/run/netns/${name}`;
}

const home = check("open the own namespace", c.open(cString("/proc/thread-self/ns/net"), 0));

/** Runs `work` in a namespace, synchronously, and comes back. */
function inside(name: string, work: () => void): void {
  const fd = check(`open ${name}`, c.open(cString(pathOf(name)), 0));
  check(`enter ${name}`, c.setns(fd, CLONE_NEWNET));
  try {
    work();
  } finally {
    check("come back", c.setns(home, CLONE_NEWNET));
    c.close(fd);
  }
}

/** Makes a namespace with its loopback up, and runs `work` in it. */
function insideAnother(work: () => void): void {
  check("make a namespace", c.unshare(CLONE_NEWNET));
  try {
    const fd = check("open a socket", c.socket(AF_INET, SOCK_DGRAM, 0));
    // struct ifreq: 16 bytes of name, then the flags.
    const request = new Uint8Array(new ArrayBuffer(40));
    request.set(cString("lo"));
    new DataView(request.buffer).setInt16(16, IFF_UP, true);
    check("set lo up", c.ioctl(fd, SIOCSIFFLAGS, request));
    c.close(fd);
    work();
  } finally {
    check("come back", c.setns(home, CLONE_NEWNET));
  }
}

function make(name: string): void {
  Deno.mkdirSync("/run/netns", { recursive: true });
  Deno.writeTextFileSync(pathOf(name), "");
  insideAnother(() => {
    const own = cString("/proc/thread-self/ns/net");
    check("keep it", c.mount(own, cString(pathOf(name)), null, MS_BIND, null));
  });
}

/** The loopback address of a family. */
function loopback(family: number, port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(family === AF_INET ? 16 : 28));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, family, true);
  view.setUint16(2, port);
  if (family === AF_INET) bytes.set([127, 0, 0, 1], 4);
  else bytes[23] = 1;
  return bytes;
}

/** One datagram that is dropped, and one connection that is reset. */
function fault(name: string, family: number): void {
  inside(name, () => {
    const to = loopback(family, PORT);
    const datagram = check("open a socket", c.socket(family, SOCK_DGRAM, 0));
    check("send", c.sendto(datagram, cString("x"), 1n, 0, to, to.length));
    c.close(datagram);
    const stream = check("open a socket", c.socket(family, SOCK_STREAM, 0));
    if (c.connect(stream, to, to.length) === 0) throw new Error(`Somebody listens in ${name}`);
    c.close(stream);
  });
}

/** Datagrams that are dropped in a namespace that nobody can look at any more. */
function ghost(datagrams: number, port: number, family: number): void {
  insideAnother(() => {
    const to = loopback(family, port);
    const socket = check("open a socket", c.socket(family, SOCK_DGRAM, 0));
    for (let sent = 0; sent < datagrams; sent++) {
      check("send", c.sendto(socket, cString("x"), 1n, 0, to, to.length));
    }
    c.close(socket);
  });
}

/** Answers nobody will send: a query for the root's addresses. */
const QUERY = Uint8Array.of(0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1);

function connect(name: string, connections: number, family: number): void {
  inside(name, () => {
    const at = loopback(family, LISTENING);
    const listener = check("open a socket", c.socket(family, SOCK_STREAM, 0));
    const on = new Uint8Array(new Uint32Array([1]).buffer);
    check("set it", c.setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, on, on.length));
    check("bind", c.bind(listener, at, at.length));
    check("listen", c.listen(listener, 8));
    const reset = new Uint8Array(new Uint32Array([1, 0]).buffer);
    for (let made = 0; made < connections; made++) {
      const near = check("open a socket", c.socket(family, SOCK_STREAM, 0));
      check("connect", c.connect(near, at, at.length));
      const far = check("accept", c.accept(listener, null, null));
      if (made % ORDERLY_EVERY !== 0) {
        check("set it", c.setsockopt(near, SOL_SOCKET, SO_LINGER, reset, reset.length));
      }
      c.close(near);
      c.close(far);
    }
    c.close(listener);
    const server = loopback(family, DNS);
    const asking = check("open a socket", c.socket(family, SOCK_DGRAM, 0));
    check("send", c.sendto(asking, QUERY, BigInt(QUERY.length), 0, server, server.length));
    c.close(asking);
  });
}

function remove(name: string): void {
  check("unmount it", c.umount2(cString(pathOf(name)), MNT_DETACH));
  Deno.removeSync(pathOf(name));
}

let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = `${rest}${text}`.split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) {
    const [verb = "", name = "", number = "0"] = line.split(" ");
    if (verb === "make") make(name);
    else if (verb === "fault4") fault(name, AF_INET);
    else if (verb === "fault6") fault(name, AF_INET6);
    else if (verb === "ghost4") ghost(Number(name), Number(number), AF_INET);
    else if (verb === "ghost6") ghost(Number(name), Number(number), AF_INET6);
    else if (verb === "connect4") connect(name, Number(number), AF_INET);
    else if (verb === "connect6") connect(name, Number(number), AF_INET6);
    else if (verb === "remove") remove(name);
    else throw new RangeError(`Cannot do "${line}"`);
    Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  }
}
