/**
 * Holds each packet that netfilter puts into a queue for a known time and lets it go on: run in a
 * namespace with the queue's number and the milliseconds. Says on standard output when it is ready.
 *
 * @module
 */
const { symbols: c } = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
});

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_NETFILTER = 12;
const MSG_DONTWAIT = 0x40;
const NLM_F_REQUEST = 1;

/** include/uapi/linux/netfilter/nfnetlink_queue.h; the subsystem's number is in the high byte. */
const PACKET = 0x300;
const VERDICT = 0x301;
const CONFIG = 0x302;
const CONFIG_COMMAND = 1;
const CONFIG_PARAMETERS = 2;
const PACKET_HEADER = 1;
const VERDICT_HEADER = 2;
const BIND = 1;
const COPY_META = 1;
const ACCEPT = 1;

/** A message with one attribute; numbers in the header are the host's, all others the network's. */
function message(type: number, queue: number, attribute: number, value: number[]): Uint8Array {
  const bytes = new Uint8Array(16 + 4 + Math.ceil((4 + value.length) / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  view.setUint16(18, queue);
  view.setUint16(20, 4 + value.length, true);
  view.setUint16(22, attribute, true);
  bytes.set(value, 24);
  return bytes;
}

/** The packet's number in the queue; undefined of a message that is not a packet. */
function packetOf(view: DataView, at: number, end: number): number | undefined {
  if (view.getUint16(at + 4, true) !== PACKET) return undefined;
  for (let next = at + 20; next + 4 <= end;) {
    const length = view.getUint16(next, true);
    if ((view.getUint16(next + 2, true) & 0x3fff) === PACKET_HEADER) {
      return view.getUint32(next + 4);
    }
    next += Math.ceil(length / 4) * 4;
  }
  return undefined;
}

function be32(value: number): number[] {
  return [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255];
}

const [queue = 0, milliseconds = 0] = Deno.args.map(Number);
const fd = c.socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
const own = new Uint8Array(12);
own[0] = AF_NETLINK;
if (fd < 0 || c.bind(fd, own, 12) < 0) throw new Error("Cannot open a netfilter socket");

function send(type: number, attribute: number, value: number[]): void {
  const bytes = new Uint8Array(message(type, queue, attribute, value));
  if (c.send(fd, bytes, BigInt(bytes.length), 0) < 0n) {
    throw new Error(`Cannot send message ${type} to queue ${queue}`);
  }
}

send(CONFIG, CONFIG_COMMAND, [BIND, 0, 0, 0]);
send(CONFIG, CONFIG_PARAMETERS, [...be32(0), COPY_META]);
Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));

const buffer = new Uint8Array(65_536);
const view = new DataView(buffer.buffer);
for (;;) {
  const length = Number(c.recv(fd, buffer, BigInt(buffer.length), MSG_DONTWAIT));
  for (let at = 0; at < length;) {
    const end = at + view.getUint32(at, true);
    const packet = packetOf(view, at, end);
    if (packet !== undefined) {
      const verdict = [...be32(ACCEPT), ...be32(packet)];
      setTimeout(() => send(VERDICT, VERDICT_HEADER, verdict), milliseconds);
    }
    at = end;
  }
  if (length <= 0) await new Promise((resolve) => setTimeout(resolve, 2));
}
