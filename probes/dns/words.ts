/** What the numbers in the probe's structs and in DNS messages stand for. */
import { oneOf } from "@agent/schema.ts";

/** RFC 1035 §4.1.1, RFC 2136 §2.2; the header has four bits for it. */
export const rcode = oneOf({
  0: "NOERROR",
  1: "FORMERR",
  2: "SERVFAIL",
  3: "NXDOMAIN",
  4: "NOTIMP",
  5: "REFUSED",
  6: "YXDOMAIN",
  7: "YXRRSET",
  8: "NXRRSET",
  9: "NOTAUTH",
  10: "NOTZONE",
  16: "unread",
});

export const protocol = oneOf({ 6: "tcp", 17: "udp" });

/** The types that are asked for every day; others are numbers, as RFC 3597 §5 writes them. */
export const TYPES: ReadonlyMap<number, string> = new Map([
  [1, "A"],
  [2, "NS"],
  [5, "CNAME"],
  [6, "SOA"],
  [12, "PTR"],
  [15, "MX"],
  [16, "TXT"],
  [28, "AAAA"],
  [33, "SRV"],
  [35, "NAPTR"],
  [48, "DNSKEY"],
  [64, "SVCB"],
  [65, "HTTPS"],
  [255, "ANY"],
]);
