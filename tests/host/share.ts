/**
 * Has connections whose descriptors are shared in each way there is: run in a namespace with an
 * address, a port and a number of connections. A second descriptor leads to each, a process that
 * was started has them too, and a thread has a table of its own, with `COPIES` more. Says on
 * standard output who has them: `PROCESS CHILD THREAD`.
 *
 * @module
 */
const { symbols: c } = Deno.dlopen("libc.so.6", {
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  dup: { parameters: ["i32"], result: "i32" },
  unshare: { parameters: ["i32"], result: "i32" },
  gettid: { parameters: [], result: "i32" },
});

const F_SETFD = 2;
const CLONE_FILES = 0x400;
/** Of the thread's own: prime, so that it cannot be mistaken. */
const COPIES = 5;

function check(what: string, result: number): number {
  if (result < 0) throw new Error(`Cannot ${what}`);
  return result;
}

/** The descriptors of sockets that are open here. */
function sockets(): readonly number[] {
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name)).filter((fd) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });
}

async function share(hostname: string, port: number, count: number): Promise<void> {
  const before = new Set(sockets());
  const listener = Deno.listen({ hostname, port });
  const held: Deno.Conn[] = [];
  for (let made = 0; made < count; made++) {
    held.push(...await Promise.all([Deno.connect({ hostname, port }), listener.accept()]));
  }
  const own = sockets().filter((fd) => !before.has(fd));
  if (own.length !== held.length + 1) throw new Error(`Cannot tell ${own.length} sockets apart`);
  // What is not closed at exec, a process that is started has too.
  for (const fd of own) check("keep a socket", c.fcntl(check("copy", c.dup(fd)), F_SETFD, 0));
  // It ends with its standard input.
  const child = new Deno.Command("cat", { stdin: "piped", stdout: "null" }).spawn();
  const worker = new Worker(import.meta.url, { type: "module", name: String(own[0]) });
  const thread = await new Promise<number>((resolve) => {
    worker.onmessage = ({ data }) => resolve(Number(data));
  });
  Deno.stdout.writeSync(new TextEncoder().encode(`${Deno.pid} ${child.pid} ${thread}\n`));
}

/** Of the thread: the socket that it is to copy. */
const socket = self.name ?? "";
if (socket === "") {
  const [hostname = "", port, count] = Deno.args;
  await share(hostname, Number(port), Number(count));
} else {
  check("have a table of its own", c.unshare(CLONE_FILES));
  for (let made = 0; made < COPIES; made++) check("copy", c.dup(Number(socket)));
  self.postMessage(c.gettid());
  setInterval(() => {}, 1_000_000);
}
