/**
 * IP addresses and prefixes of both families, as numbers that can be compared and masked.
 *
 * @module
 */

/** 4 or 6. */
export type Family = 4 | 6;

/** An IP address. */
export interface Address {
  readonly family: Family;
  readonly bits: bigint;
}

/** All addresses that begin with the same `length` bits. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/** How many bits an address of the family has. */
export function widthOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** An address from its text, IPv6 in any of its forms; undefined if it is none. */
export function parseAddress(text: string): Address | undefined {
  const bits = text.includes(":") ? bits6(text) : bits4(text);
  if (bits === undefined) return undefined;
  return { family: text.includes(":") ? 6 : 4, bits };
}

function bits4(text: string): bigint | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return undefined;
  return BigInt(parts.reduce((sum, part) => sum * 256 + part, 0));
}

function bits6(text: string): bigint | undefined {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const low = bits4(dotted[2] ?? "");
    if (low === undefined) return undefined;
    return bits6(`${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`);
  }
  const [head = "", tail, ...more] = text.split("::");
  if (more.length > 0) return undefined;
  const first = head === "" ? [] : head.split(":");
  const last = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = 8 - first.length - last.length;
  if (tail === undefined ? zeros !== 0 : zeros < 1) return undefined;
  const groups = [...first, ...Array(zeros).fill("0"), ...last];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.reduce((sum, group) => sum << 16n | BigInt(`0x${group}`), 0n);
}

/** An address as the kernel's tools print it; IPv6 shortened as RFC 5952 says. */
export function formatAddress({ family, bits }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((by) => bits >> by & 0xffn).join(".");
  const groups = [...Array(8).keys()].map((at) => Number(bits >> BigInt(112 - at * 16) & 0xffffn));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${formatAddress({ family: 4, bits: bits & 0xffffffffn })}`;
  }
  const { start, length } = longestZeros(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, at) => {
    if (group !== 0) start = at + 1;
    else if (at + 1 - start > best.length) best = { start, length: at + 1 - start };
  });
  return best;
}

/** Whether both are the same address. */
export function sameAddress(one: Address, other: Address): boolean {
  return one.family === other.family && one.bits === other.bits;
}

/** A prefix from `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `fd00::/8` or a lone address. */
export function parsePrefix(text: string): Prefix | undefined {
  const [before = "", after, ...more] = text.split("/");
  const address = parseAddress(before);
  if (address === undefined || more.length > 0) return undefined;
  const length = after === undefined ? widthOf(address.family) : lengthOf(after, address.family);
  return length === undefined ? undefined : { address, length };
}

function lengthOf(text: string, family: Family): number | undefined {
  if (/^\d{1,3}$/.test(text)) {
    const length = Number(text);
    return length <= widthOf(family) ? length : undefined;
  }
  const mask = parseAddress(text);
  if (mask?.family !== family) return undefined;
  const ones = mask.bits.toString(2).padStart(widthOf(family), "0");
  return /^1*0*$/.test(ones) ? ones.replace(/0+$/, "").length : undefined;
}

/** A prefix as text. */
export function formatPrefix({ address, length }: Prefix): string {
  return `${formatAddress(address)}/${length}`;
}

/** The mask of that many leading ones. */
export function maskOf(family: Family, length: number): bigint {
  const width = BigInt(widthOf(family));
  const ones = (1n << width) - 1n;
  return ones ^ (ones >> BigInt(length));
}

/** Whether the prefix has the address in it. */
export function inPrefix(address: Address, { address: start, length }: Prefix): boolean {
  if (address.family !== start.family) return false;
  const shift = BigInt(widthOf(address.family) - length);
  return address.bits >> shift === start.bits >> shift;
}

/** The first and the last address of a prefix. */
export function rangeOf({ address, length }: Prefix): readonly [Address, Address] {
  const mask = maskOf(address.family, length);
  const ones = (1n << BigInt(widthOf(address.family))) - 1n;
  const first = address.bits & mask;
  return [{ ...address, bits: first }, { ...address, bits: first | ones ^ mask }];
}
