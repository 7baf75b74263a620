/**
 * iptables' match `u32`: numbers of four bytes anywhere in a packet, as far as they are known.
 *
 * Source: the kernel's `xt_u32.c`.
 *
 * @module
 */
import { type Address, widthOf } from "../packet/address.ts";
import { type Packet, PROTOCOLS } from "../packet/packet.ts";
import type { Check } from "./iptables_match.ts";
import type { Option } from "./iptables_text.ts";
import { both, negate, type Truth, unknown } from "./truth.ts";

/** A number of which some bits are not known: those that are 0 in `known`. */
interface Bits {
  readonly value: number;
  readonly known: number;
}

interface Step {
  readonly does: "<<" | ">>" | "&" | "@";
  readonly number: number;
}

/** `0>>22&0x3C@0>>16=0x50,0x1bb:0x1bc` */
interface Test {
  readonly start: number;
  readonly steps: readonly Step[];
  readonly ranges: readonly (readonly [low: number, high: number])[];
}

const ALL = 0xffffffff;
const NUMBER = "(?:0x[0-9a-f]{1,8}|\\d{1,10})";
const TEST = new RegExp(`^${NUMBER}(?:(?:<<|>>|&|@)${NUMBER})*=[0-9a-fx:,]+$`, "i");
const IN_DOUBT = unknown("not all bytes of the packet are known");

/** `-m u32`. */
export function u32Module(options: readonly Option[]): readonly (Check | undefined)[] {
  return options.map(({ name, negated, values: [text = ""] }) => {
    const tests = text.replaceAll(/\s/g, "").split("&&").map(testOf);
    const known = tests.flatMap((test) => test ?? []);
    if (name !== "--u32" || known.length < tests.length) return undefined;
    return ({ packet }) => {
      const bytes = bytesOf(packet);
      const holds = known.reduce<Truth>((sum, test) => both(sum, asked(test, bytes)), true);
      return negate(holds, negated);
    };
  });
}

function testOf(text: string): Test | undefined {
  if (!TEST.test(text)) return undefined;
  const [location = "", values = ""] = text.split("=");
  const [start = 0, ...rest] = location.split(/<<|>>|&|@/).map(Number);
  const words = [...location.matchAll(/<<|>>|&|@/g)].map(([word]) => word);
  const steps = words.flatMap((word, at): Step[] =>
    word === "<<" || word === ">>" || word === "&" || word === "@"
      ? [{ does: word, number: rest[at] ?? 0 }]
      : []
  );
  const ranges = values.split(",").map((each): readonly [number, number] => {
    const [low = NaN, high = low] = each.split(":").map(Number);
    return [low, high];
  });
  return ranges.flat().some(Number.isNaN) ? undefined : { start, steps, ranges };
}

function asked({ start, steps, ranges }: Test, bytes: readonly Bits[]): Truth {
  let from = 0;
  let now = wordAt(bytes, start);
  for (const { does, number } of steps) {
    if (now === undefined) return false;
    if (does === "@") {
      if (now.known !== ALL) return IN_DOUBT;
      from += now.value;
      now = wordAt(bytes, from + number);
    } else now = changed(now, does, number);
  }
  if (now === undefined) return false;
  const [least, most] = [now.value, (now.value | ~now.known) >>> 0];
  if (ranges.every(([low, high]) => most < low || least > high)) return false;
  return now.known === ALL ? true : IN_DOUBT;
}

function changed({ value, known }: Bits, does: "<<" | ">>" | "&", number: number): Bits {
  if (does === "&") return { value: (value & number) >>> 0, known: (known | ~number) >>> 0 };
  const left = does === "<<";
  const shift = (bits: number) => number > 31 ? 0 : (left ? bits << number : bits >>> number) >>> 0;
  return { value: shift(value), known: (shift(known) | ~shift(ALL)) >>> 0 };
}

/** Undefined beyond the packet's end. */
function wordAt(bytes: readonly Bits[], at: number): Bits | undefined {
  if (at < 0 || at + 4 > bytes.length) return undefined;
  return bytes.slice(at, at + 4).reduce((word, byte) => ({
    value: (word.value << 8 | byte.value) >>> 0,
    known: (word.known << 8 | byte.known) >>> 0,
  }));
}

const NOTHING: Bits = { value: 0, known: 0 };
const HEADERS_BYTES_MAX = 60;

function sure(...values: readonly number[]): Bits[] {
  return values.map((value) => ({ value, known: 0xff }));
}

function sixteen(value: number | undefined): Bits[] {
  return value === undefined ? [NOTHING, NOTHING] : sure(value >> 8 & 0xff, value & 0xff);
}

function addressBytes({ family, bits }: Address): Bits[] {
  const bytes = widthOf(family) / 8;
  return Array.from({ length: bytes }, (_, at) => ({
    value: Number(bits >> BigInt(8 * (bytes - 1 - at)) & 0xffn),
    known: 0xff,
  }));
}

/** The packet from its IP header on; what is behind the headers is not known. */
function bytesOf(packet: Packet): readonly Bits[] {
  const { source, destination, length, tos, ttl, protocol } = packet;
  const ends = [...addressBytes(source), ...addressBytes(destination)];
  // Not in pieces; whether it may be cut into some is not known, nor its number and checksum.
  const header = source.family === 4
    ? [
      ...[...sure(0x45, tos), ...sixteen(length), NOTHING, NOTHING, { value: 0, known: 0xbf }],
      ...[...sure(0, ttl, protocol), NOTHING, NOTHING, ...ends],
    ]
    : [
      ...[...sure(0x60 | tos >> 4), { value: (tos & 0xf) << 4, known: 0xf0 }, NOTHING, NOTHING],
      ...[...sixteen(length - 40), ...sure(protocol, ttl), ...ends],
    ];
  const known = [...header, ...transport(packet, length - header.length)].slice(0, length);
  const rest = Math.min(Math.max(0, length - known.length), HEADERS_BYTES_MAX * 1_024);
  return [...known, ...Array.from({ length: rest }, () => NOTHING)];
}

function transport(packet: Packet, length: number): Bits[] {
  const { protocol, sourcePort, destinationPort, tcpFlags, icmp } = packet;
  const ports = [...sixteen(sourcePort), ...sixteen(destinationPort)];
  if (protocol === PROTOCOLS.tcp) {
    const flags = tcpFlags === undefined ? [NOTHING] : sure(tcpFlags);
    return [...ports, ...Array.from({ length: 9 }, () => NOTHING), ...flags];
  }
  if (protocol === PROTOCOLS.udp) return [...ports, ...sixteen(length)];
  return icmp === undefined ? [] : sure(icmp.type, icmp.code);
}
