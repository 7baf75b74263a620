/** What the numbers in the probe's structs stand for. */
import { oneOf } from "@agent/schema.ts";

export const role = oneOf({ 1: "connect", 2: "accept" });

export const reason = oneOf({
  1: "refused",
  2: "timeout",
  3: "unreachable",
  4: "no_port",
  5: "abandoned",
  6: "other",
});

/** What ICMP, resets and timers put on a socket; `include/uapi/asm-generic/errno.h`. */
export const error = oneOf({
  0: "none",
  1: "EPERM",
  12: "ENOMEM",
  13: "EACCES",
  64: "ENONET",
  71: "EPROTO",
  90: "EMSGSIZE",
  92: "ENOPROTOOPT",
  95: "EOPNOTSUPP",
  101: "ENETUNREACH",
  103: "ECONNABORTED",
  104: "ECONNRESET",
  105: "ENOBUFS",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  112: "EHOSTDOWN",
  113: "EHOSTUNREACH",
});
