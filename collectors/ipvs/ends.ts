/**
 * Where virtual and real servers are, as `net/ip_vs` writes it.
 *
 * @module
 */
import { nonsense, quoted } from "@agent/collector.ts";

/** Which virtual server: of an address and a port, or of a firewall mark, `FWM`. */
export function virtualOf(protocol: string, place: string, file: string, at: number) {
  if (protocol !== "FWM") {
    return { protocol: protocol.toLowerCase(), service: endOf(place, file, at) };
  }
  if (!/^[0-9A-F]{8}$/.test(place)) {
    throw nonsense(file, at, `expected a mark of 8 digits, found ${quoted(place)}`);
  }
  return { protocol: "fwmark", service: `0x${Number.parseInt(place, 16).toString(16)}` };
}

/** `0A600001:01BB` is `10.96.0.1:443`. */
export function endOf(text: string, file: string, at: number): string {
  const [, ipv4, ipv6, port] = /^(?:([0-9A-F]{8})|\[([0-9a-f:]{39})\]):([0-9A-F]{4})$/.exec(text) ??
    [];
  if (port === undefined) throw nonsense(file, at, `expected an address, found ${quoted(text)}`);
  return `${ipv4 === undefined ? `[${ipv6Of(ipv6)}]` : ipv4Of(ipv4)}:${Number.parseInt(port, 16)}`;
}

function ipv4Of(digits: string): string {
  return [0, 2, 4, 6].map((from) => Number.parseInt(digits.slice(from, from + 2), 16)).join(".");
}

/** RFC 5952 of an address that has all its digits. */
function ipv6Of(text = ""): string {
  const plain = text.split(":").map((group) => group.replace(/^0{1,3}/, "")).join(":");
  const zeros = plain.match(/(?:^|:)0(?::0)+(?=:|$)/g) ?? [];
  const longest = zeros.sort((a, b) => b.length - a.length)[0];
  if (longest === undefined) return plain;
  const from = plain.indexOf(longest);
  const head = plain.slice(0, from);
  const tail = plain.slice(from + longest.length).replace(/^:/, "");
  return `${head}::${tail}`;
}
