/**
 * Numbers by the names that `/etc/protocols` and the netfilter tools print.
 *
 * @module
 */
import { PROTOCOLS } from "../packet/packet.ts";

const NUMBERS: ReadonlyMap<string, number> = new Map([
  ...Object.entries(PROTOCOLS),
  ...Object.entries({
    ...{ all: 0, ipencap: 4, "ip-encap": 4, egp: 8, igp: 9, rdp: 27, "ipv6-route": 43 },
    ...{ "ipv6-frag": 44, rsvp: 46, "ipv6-icmp": 58, "icmp6": 58, "ipv6-nonxt": 59 },
    ...{ "ipv6-opts": 60, eigrp: 88, ospf: 89, ospfigp: 89, "ax.25": 93, etherip: 97, encap: 98 },
    ...{ pim: 103, ipcomp: 108, comp: 108, vrrp: 112, carp: 112, l2tp: 115, isis: 124, fc: 133 },
    ...{ "mobility-header": 135, mh: 135, "ipv6-mh": 135, "mpls-in-ip": 137, manet: 138 },
    ...{ hopopt: 0, st: 5, shim6: 140, wesp: 141, rohc: 142 },
  }),
]);

/** A protocol by its name or number; undefined if it is neither. */
export function protocolOf(text: string): number | undefined {
  if (/^\d{1,3}$/.test(text)) return Number(text) <= 255 ? Number(text) : undefined;
  return NUMBERS.get(text.toLowerCase());
}
