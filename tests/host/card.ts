/**
 * A network card that puts TCP's segments together by itself, as virtio's does: gives the kernel
 * packets whose segments' size it says, and not how many they are. Run in a namespace with the
 * card's address, whose neighbour has sent them to a listener there; then, for each packet, the
 * bytes in it and the bytes of a segment.
 *
 * @module
 */
const { symbols: c } = Deno.dlopen("libc.so.6", {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
});

const O_RDWR = 2;
/** include/uapi/linux/if_tun.h */
const TUNSETIFF = 0x400454can;
const TAP_WITHOUT_INFO_WITH_HEADER = 0x0002 | 0x1000 | 0x4000;
/** include/uapi/linux/virtio_net.h */
const NEEDS_CHECKSUM = 1;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;

const NAME = "card0";
const MAC = [2, 0, 0, 0, 0, 1];
const PORT = 4309;
const TRIES_MAX = 500;
const [VIRTIO, ETHERNET, TCP] = [10, 14, 20];

function check(what: string, result: number | bigint): number {
  if (result < 0) throw new Error(`Cannot ${what} of the card`);
  return Number(result);
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(`${text}\0`));
}

async function ip(...args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command("ip", { args }).output();
  if (!success) throw new Error(`Cannot run "ip ${args.join(" ")}"`);
  return new TextDecoder().decode(stdout);
}

/** The kernel delivers nothing to a new IPv6 address until one of its threads has been there. */
async function delivers(address: string): Promise<boolean> {
  return (await ip("route", "get", address)).startsWith("local");
}

/** Bytes of an address: `10.1.2.3`, or one of IPv6 with all groups or a `::`. */
function bytesOf(address: string): readonly number[] {
  if (!address.includes(":")) return address.split(".").map(Number);
  const [head = "", tail = ""] = address.split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":").map((g) => parseInt(g, 16));
  const zeros = Array<number>(8 - groups(head).length - groups(tail).length).fill(0);
  return [...groups(head), ...zeros, ...groups(tail)].flatMap((g) => [g >> 8, g & 255]);
}

/** As many segments of a stream as are in `payload` bytes, as one packet. */
function packet(to: string, payload: number, segment: number): Uint8Array<ArrayBuffer> {
  const isV6 = to.includes(":");
  const headers = ETHERNET + (isV6 ? 40 : 20);
  const bytes = new Uint8Array(VIRTIO + headers + TCP + payload);
  const view = new DataView(bytes.buffer);
  bytes.set([NEEDS_CHECKSUM, isV6 ? GSO_TCPV6 : GSO_TCPV4]);
  view.setUint16(2, headers + TCP, true);
  view.setUint16(4, segment, true);
  view.setUint16(6, headers, true);
  view.setUint16(8, 16, true);

  const network = VIRTIO + ETHERNET;
  const destination = bytesOf(to);
  const source = [...destination.slice(0, -1), 99];
  bytes.set([...MAC, 2, 0, 0, 0, 0, 99, ...(isV6 ? [0x86, 0xdd] : [8, 0])], VIRTIO);
  if (isV6) {
    const length = TCP + payload;
    bytes.set([0x60, 0, 0, 0, length >> 8, length & 255, 6, 64], network);
    bytes.set([...source, ...destination], network + 8);
  } else {
    const length = 20 + TCP + payload;
    bytes.set([0x45, 0, length >> 8, length & 255, 0, 0, 0x40, 0, 64, 6], network);
    bytes.set([...source, ...destination], network + 12);
    view.setUint16(network + 10, checksum(view, network, 20));
  }
  const transport = VIRTIO + headers;
  view.setUint16(transport, 40_001);
  view.setUint16(transport + 2, PORT);
  bytes.set([TCP / 4 << 4, 0x10], transport + 12);
  return bytes;
}

/** RFC 1071. */
function checksum(view: DataView, at: number, length: number): number {
  let sum = 0;
  for (let word = 0; word < length; word += 2) sum += view.getUint16(at + word);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const [address = "", ...sizes] = Deno.args;
const fd = check("open the device", c.open(cString("/dev/net/tun"), O_RDWR));
const request = new Uint8Array(40);
request.set(cString(NAME));
new DataView(request.buffer).setUint16(16, TAP_WITHOUT_INFO_WITH_HEADER, true);
check("set the name", c.ioctl(fd, TUNSETIFF, request));
const isV6 = address.includes(":");
const mac = MAC.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
await ip("link", "set", NAME, "address", mac, "up");
const nodad = isV6 ? ["nodad"] : [];
await ip("address", "add", `${address}/${isV6 ? 64 : 24}`, "dev", NAME, ...nodad);
for (let tries = 0; !await delivers(address); tries++) {
  if (tries === TRIES_MAX) throw new Error(`Cannot have anything delivered to "${address}"`);
  await new Promise((resolve) => setTimeout(resolve, 20));
}
using _listener = Deno.listen({ hostname: address, port: PORT });
for (const size of sizes) {
  const [payload = 0, segment = 0] = size.split("/").map(Number);
  const bytes = packet(address, payload, segment);
  check("give a packet", c.write(fd, bytes, BigInt(bytes.length)));
}
