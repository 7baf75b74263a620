/**
 * Events for tests: plain ones, and seeded random ones with hostile text.
 *
 * @module
 */
import type { Attribute, Endpoint, NewEvent, Severity } from "../agent/events/event.ts";

/** A refused connection to port 8080 of the host, with what the test wants otherwise. */
export function madeEvent(changes: Partial<NewEvent> = {}): NewEvent {
  return {
    time: "2025-03-01T12:00:00.123456789Z",
    node: "node-a",
    probe: "tcpreset",
    type: "TCPRESET_NOSOCK",
    severity: "warning",
    pod: { kind: "pod", namespace: "shop", name: "cart-7f9c", uid: "0b0e" },
    source: { address: "10.0.0.1", port: 8080 },
    destination: { address: "10.0.0.2", port: 40001 },
    network: { transport: "tcp", type: "ipv4", netns: 4026532000 },
    attributes: { state: "listen" },
    count: 1,
    message: "Refused a connection to a port without a socket",
    ...changes,
  };
}

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Pieces of names that someone chose to break whatever prints, splits or stores them. */
const HOSTILE = [
  " type=FORGED",
  "\n",
  "\r\ntype=FORGED pod=x",
  "\u001b[2J\u001b]0;owned\u0007",
  "\u009b31m",
  "  stacktrace:forged+0x1",
  "stacktrace:",
  " count=9",
  "=",
  '"',
  "\\",
  "\\u0041",
  "'; DROP TABLE events; --",
  "%s%n",
  "\0",
  "\u2028",
  "\u202e",
  "\ud800",
  "\u{1f98a}",
  "ü",
  "a".repeat(300),
  "saddr=1.2.3.4",
  "</script>",
  "",
];

/** An event in which every optional part may be absent, and every text may be hostile. */
export function randomEvent(random: () => number): NewEvent {
  const pick = <T>(values: readonly [T, ...T[]]): T =>
    values[Math.floor(random() * values.length)] ?? values[0];
  const text = () => {
    let made = "";
    for (let left = Math.floor(random() * 4); left > 0; left--) {
      made += HOSTILE[Math.floor(random() * HOSTILE.length)];
      made += pick(["x", "cart", "-7f9c", "0"]);
    }
    return made;
  };
  const maybe = <K extends string, T>(name: K, make: () => T): { readonly [N in K]?: T } =>
    random() < 0.6 ? { [name]: make() } as { readonly [N in K]?: T } : {}; // the name is K
  const port = () => Math.floor(random() * 65_536);
  const endpoint = (): Endpoint => ({
    address: pick(["10.0.0.1", "192.0.2.77", "2001:db8::1", "::", "fe80::ff:fe00:1"]),
    ...maybe("port", port),
    ...maybe("pod", () => ({ namespace: text(), name: text() })),
    ...maybe("service", () => ({ namespace: text(), name: text() })),
    ...maybe("node", text),
  });
  const attribute = (): Attribute => pick<Attribute>([text(), port(), random() - 0.5, true, false]);
  return {
    time: new Date(1.7e12 + Math.floor(random() * 1e11)).toISOString()
      .replace("Z", `${String(Math.floor(random() * 1e6)).padStart(6, "0")}Z`),
    node: pick(["node-a", "node-b"]),
    probe: pick(["tcpreset", "packetloss", "softirq"]),
    type: pick(["TCPRESET_NOSOCK", "TCPRESET_ACTIVE", "PACKETLOSS", "SOFTIRQ_SCHED_SLOW"]),
    severity: pick<Severity>(["info", "warning", "error"]),
    ...maybe("pod", () => ({
      kind: pick(["host", "pod", "netns", "process", "unknown"]),
      namespace: pick(["", "shop", text()]),
      name: pick(["", "cart", text()]),
      ...maybe("uid", text),
    })),
    ...maybe("source", endpoint),
    ...maybe("destination", endpoint),
    network: {
      ...maybe("transport", () => pick(["tcp", "udp", "icmp", text()])),
      ...maybe("type", () => pick<"ipv4" | "ipv6">(["ipv4", "ipv6"])),
      ...maybe("interface", text),
      netns: port(),
    },
    ...maybe("process", () => ({ pid: port(), comm: text() })),
    attributes: random() < 0.5 ? {} : { reason: attribute(), [`a_${text()}`]: attribute() },
    ...maybe("stack", () => ["skb_release_data+0xa3", `sym+0x1 [${text()}]`, text()]),
    count: 1 + Math.floor(random() * 3),
    message: text(),
  };
}
