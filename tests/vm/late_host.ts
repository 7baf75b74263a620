/**
 * The host of a virtual machine, that is late: what the machine tells a network device whose id is
 * `late37` on its control queue is answered 37 ms later.
 *
 * QEMU tells its monitor that a device's filter was changed before it answers the command that did
 * so (NIC_RX_FILTER_CHANGED, for a VLAN, an address or a mode), and it writes what it tells to the
 * monitor's log. That log is a pipe which is full: QEMU waits for as long as nobody reads it, and
 * so does the command. It tells of no second change until it was asked what the filter is now.
 *
 * Usage: deno run tests/vm/late_host.ts SOCKET PIPE     QEMU's monitor (QMP), and its log
 *
 * @module
 */

/** What an empty pipe takes, pipe(7). */
const FILLER = new Uint8Array(65_536);
const CONNECT_MS_MAX = 30_000;

/** What QEMU says, as far as it is looked into. */
interface Message {
  readonly QMP?: unknown;
  readonly event?: string;
  readonly data?: { readonly name?: string };
}

async function connected(path: string): Promise<Deno.UnixConn> {
  for (const until = Date.now() + CONNECT_MS_MAX;;) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (Date.now() > until) throw error; // it listens once it has begun
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The monitor's log, which is full while nothing is read of it. */
class Log {
  readonly #pipe: Deno.FsFile;
  readonly #bytes = new Uint8Array(FILLER.length);
  /** What is in the pipe, or will be once there is room for it. */
  #unread = 0;

  constructor(pipe: Deno.FsFile) {
    this.#pipe = pipe;
  }

  async fill(): Promise<void> {
    for (let at = 0; at < FILLER.length;) at += await this.#pipe.write(FILLER.subarray(at));
    this.#unread += FILLER.length;
  }

  /** Lets QEMU write that much, and reads everything. */
  async empty(said: number): Promise<void> {
    this.#unread += said;
    while (this.#unread > 0) this.#unread -= await this.#pipe.read(this.#bytes) ?? 0;
  }
}

async function main(socket: string, pipe: string): Promise<void> {
  // Open for both, so that neither end waits for the other to open it.
  const log = new Log(await Deno.open(pipe, { read: true, write: true }));
  const monitor = await connected(socket);
  const say = async (command: Readonly<Record<string, unknown>>) =>
    void await monitor.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
  const decoder = new TextDecoder();
  let unanswered = 0;
  let text = "";
  for await (const chunk of monitor.readable) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const { QMP, event, data } of lines.map((line): Message => JSON.parse(line))) {
      if (QMP !== undefined) {
        unanswered++;
        await say({ execute: "qmp_capabilities" });
      } else if (event === undefined) {
        unanswered--;
      } else if (event === "NIC_RX_FILTER_CHANGED") {
        const late = /^late(\d+)$/.exec(data?.name ?? "");
        if (late === null) continue;
        await new Promise((resolve) => setTimeout(resolve, Number(late[1])));
        // Asked before QEMU goes on, so that it is answered before the next command comes.
        unanswered++;
        await say({ execute: "query-rx-filter", arguments: { name: data?.name } });
      }
    }
    await log.empty(chunk.length);
    if (unanswered === 0) await log.fill();
  }
}

const [socket = "", pipe = ""] = Deno.args;
await main(socket, pipe);
