// Messages as ip_vs_genl_fill_service and ip_vs_genl_fill_dest (net/netfilter/ipvs/ip_vs_ctl.c)
// make them, attribute by attribute, and in the order of the kernel.
import assert from "node:assert/strict";
import { close, ENOENT, openNetlinkSocket } from "./libc.ts";
import { type Ask, familyNumber, ipvsText } from "./netlink_ipvs.ts";
import { answer } from "./netlink_message.ts";

const HEADING = "Prot LocalAddress:Port Conns InPkts OutPkts InBytes OutBytes";
const GET_SERVICE = 4;
const GET_DEST = 8;
const NLA_F_NESTED = 0x8000;
const V4 = [10, 96, 0, 1];
const V6 = [0xfd, 0, 0, 0x96, ...new Array<number>(11).fill(0), 1];

function native(value: number | bigint, size: number): number[] {
  return Array.from({ length: size }, (_, at) => Number(BigInt(value) >> BigInt(8 * at) & 0xffn));
}

function attribute(type: number, payload: readonly number[]): number[] {
  const padding = new Array<number>(-payload.length & 3).fill(0);
  return [...native(4 + payload.length, 2), ...native(type, 2), ...payload, ...padding];
}

function nest(type: number, ...inner: readonly number[][]): number[] {
  return attribute(type | NLA_F_NESTED, inner.flat());
}

/** ip_vs_genl_fill_stats: connections and packets of 32 bits, rates after the bytes. */
function narrow(type: number, figures: readonly bigint[]): number[] {
  const inner = figures.map((figure, at) => attribute(1 + at, native(figure, at < 3 ? 4 : 8)));
  return nest(type, ...inner, attribute(6, native(99, 4)));
}

/** ip_vs_genl_fill_stats64: all of 64 bits, and padding (IPVS_STATS_ATTR_PAD) that aligns them. */
function wide(type: number, figures: readonly bigint[]): number[] {
  const inner = figures.map((figure, at) => [
    ...attribute(11, []),
    ...attribute(1 + at, native(figure, 8)),
  ]);
  return nest(type, ...inner, attribute(6, native(99, 8)));
}

function address(bytes: readonly number[]): number[] {
  return [...bytes, ...new Array<number>(16 - bytes.length).fill(0)];
}

function port(number: number): number[] {
  return [number >> 8, number & 0xff];
}

/** What names a virtual server, which a question for its real ones repeats. */
function names(af: number, protocol: number, at: readonly number[], of: number): number[][] {
  return [
    attribute(1, native(af, 2)),
    attribute(2, native(protocol, 2)),
    attribute(3, address(at)),
    attribute(4, port(of)),
  ];
}

function service(key: readonly number[][], ...statistics: readonly number[][]): number[] {
  const scheduler = attribute(6, [0x72, 0x72, 0]);
  const flags = attribute(7, [...native(0, 4), ...native(0xffffffff, 4)]);
  const rest = [attribute(8, native(0, 4)), attribute(9, native(0xffffffff, 4))];
  return nest(1, ...key, scheduler, flags, ...rest, ...statistics);
}

/** `af` is undefined before Linux 3.18. */
function backend(
  af: number | undefined,
  at: readonly number[],
  of: number,
  method: number,
  ...statistics: readonly number[][]
): number[] {
  const weights = [4, 5, 6, 7, 8, 9].map((type) => attribute(type, native(1, 4)));
  const family = af === undefined ? [] : [attribute(11, native(af, 2))];
  const end = [attribute(1, address(at)), attribute(2, port(of))];
  return nest(2, ...end, attribute(3, native(method, 4)), ...weights, ...statistics, ...family);
}

/** A kernel with virtual servers, and what is behind each, by the attributes that name it. */
function kernel(
  services: readonly number[][],
  backends: ReadonlyMap<string, readonly number[][]>,
  asked: string[] = [],
): Ask {
  return (body, each) => {
    const [command = 0, version, ...rest] = body;
    assert.deepEqual([version, ...rest.slice(0, 2)], [1, 0, 0]);
    const key = rest.slice(2);
    asked.push(`${command} ${key.length}`);
    const found = command === GET_SERVICE ? services : backends.get(key.join());
    assert.ok(found !== undefined, `Cannot find what is asked for by "${body}"`);
    for (const message of found) {
      // As in a datagram of several messages, whose headers are of 16 bytes.
      answer.fill(0xee, 0, 16);
      answer.set([command === GET_SERVICE ? 1 : 5, 1, 0, 0, ...message], 16);
      each(16, 16 + 4 + message.length);
    }
  };
}

function keyed(key: readonly number[][]): string {
  return nest(1, ...key).join();
}

function figures(...values: readonly (number | bigint)[]): bigint[] {
  return values.map(BigInt);
}

Deno.test("servers have their own figures, IPv4, IPv6 and by mark, TCP, UDP and SCTP", () => {
  const tcp = names(2, 6, V4, 443);
  const udp = names(10, 17, V6, 53);
  const sctp = names(2, 132, V4, 3868);
  const mark = [attribute(1, native(2, 2)), attribute(5, native(0xab, 4))];
  const of = (...values: readonly number[]) => wide(12, figures(...values));
  const asked: string[] = [];
  const text = ipvsText(kernel(
    [
      service(tcp, narrow(10, figures(9, 9, 9, 9, 9)), of(11, 66, 55, 4000, 5000)),
      service(udp, of(13, 13, 0, 650, 0)),
      service(sctp, of(0, 0, 0, 0, 0)),
      service(mark, of(7, 14, 21, 28, 35)),
    ],
    new Map([
      [keyed(tcp), [
        backend(2, [10, 1, 0, 1], 6443, 0x100, of(6, 36, 30, 2200, 2700)),
        backend(10, V6, 6443, 2, of(5, 30, 25, 1800, 2300)),
      ]],
      [keyed(udp), [backend(undefined, V6, 5353, 1, of(13, 13, 0, 650, 0))]],
      [keyed(sctp), []],
      [keyed(mark), [
        backend(2, [10, 1, 0, 15], 0, 3, of(7, 14, 21, 28, 35)),
        backend(2, [10, 1, 0, 16], 0, 4, of(0, 0, 0, 0, 0)),
      ]],
    ]),
    asked,
  ));
  assert.deepEqual(text.trimEnd().split("\n"), [
    HEADING,
    "TCP 0A600001:01BB 11 66 55 4000 5000",
    "-> 0A010001:192B Masq 6 36 30 2200 2700",
    "-> [fd00:0096:0000:0000:0000:0000:0000:0001]:192B Tunnel 5 30 25 1800 2300",
    "UDP [fd00:0096:0000:0000:0000:0000:0000:0001]:0035 13 13 0 650 0",
    "-> [fd00:0096:0000:0000:0000:0000:0000:0001]:14E9 Local 13 13 0 650 0",
    "SCTP 0A600001:0F1C 0 0 0 0 0",
    "FWM 000000AB 7 14 21 28 35",
    "-> 0A01000F:0000 Route 7 14 21 28 35",
    "-> 0A010010:0000 Masq 0 0 0 0 0",
  ]);
  assert.deepEqual(asked, [
    `${GET_SERVICE} 0`,
    ...[tcp, udp, sctp, mark].map((key) => `${GET_DEST} ${nest(1, ...key).length}`),
  ]);
});

Deno.test("figures of 64 bits are whole, and those of 32 bits do where there are no others", () => {
  const tcp = names(2, 6, V4, 80);
  const most = 0xffff_ffff_ffff_fffen;
  const old = figures(0xffff_fffe, 2, 3, 0x1_2345_6789_abcdn, 5);
  const text = ipvsText(kernel(
    [service(tcp, narrow(10, old), wide(12, figures(1, most, 2, 3, most)))],
    new Map([[keyed(tcp), [backend(2, [10, 1, 0, 1], 80, 0, narrow(10, old))]]]),
  ));
  assert.deepEqual(text.trimEnd().split("\n").slice(1), [
    `TCP 0A600001:0050 1 ${most} 2 3 ${most}`,
    `-> 0A010001:0050 Masq 4294967294 2 3 ${0x1_2345_6789_abcdn} 5`,
  ]);
});

Deno.test("4,096 servers are read, and what says nothing of itself is not", () => {
  const tcp = names(2, 6, V4, 80);
  const of = wide(12, figures(1, 2, 3, 4, 5));
  const many = Array.from({ length: 5_000 }, () => backend(2, [10, 1, 0, 1], 80, 0, of));
  const full = kernel([service(tcp, of)], new Map([[keyed(tcp), many]]));
  assert.equal(ipvsText(full).trimEnd().split("\n").length, 1 + 4_096);
  const bare = kernel(
    [service(tcp), service(names(2, 47, V4, 80), of), service(tcp, of)],
    new Map([[keyed(tcp), [backend(2, [10, 1, 0, 1], 80, 0)]]]),
  );
  assert.equal(ipvsText(bare), `${HEADING}\nTCP 0A600001:0050 1 2 3 4 5\n`);
});

Deno.test("the kernel says the number of a family of generic netlink, or that it has none", () => {
  const NETLINK_GENERIC = 16;
  const descriptor = openNetlinkSocket(NETLINK_GENERIC);
  try {
    // GENL_ID_CTRL, the one family whose number is always the same.
    assert.equal(familyNumber(descriptor, "nlctrl"), 16);
    assert.throws(() => familyNumber(descriptor, "nobody"), { failure: -ENOENT });
  } finally {
    close(descriptor);
  }
});
