/**
 * iptables' matches of connections: `conntrack`, and its forerunner `state`.
 *
 * @module
 */
import { inPrefix, parsePrefix } from "../packet/address.ts";
import type { Connection, Tuple } from "../packet/packet.ts";
import type { Check } from "./iptables_match.ts";
import type { Option } from "./iptables_text.ts";
import { seenOf, translated } from "./nat.ts";
import { parsePorts, portIn } from "./ports.ts";
import { protocolOf } from "./protocols.ts";
import type { Moment } from "./rules.ts";
import { negate, type Truth, unknown } from "./truth.ts";

const STATES = ["INVALID", "NEW", "ESTABLISHED", "RELATED", "UNTRACKED", "SNAT", "DNAT"];

/** Whether the packet has a connection. */
export function hasConnection({ packet, tracked }: Moment): boolean {
  return seenOf(packet, tracked) !== undefined;
}

/** The words that `--ctstate` may name for the packet. */
function statesOf({ packet, tracked }: Moment): readonly string[] {
  const { connection } = packet;
  const known = seenOf(packet, tracked);
  if (known === undefined) return [connection.state === "untracked" ? "UNTRACKED" : "INVALID"];
  return [
    known.state.toUpperCase(),
    ...translated(known, "source") ? ["SNAT"] : [],
    ...translated(known, "destination") ? ["DNAT"] : [],
  ];
}

function stateCheck({ values: [list = ""], negated }: Option): Check | undefined {
  const wanted = list.split(",");
  if (!wanted.every((word) => STATES.includes(word))) return undefined;
  return (moment) => negate(statesOf(moment).some((word) => wanted.includes(word)), negated);
}

/** `-m state`. */
export function stateModule(options: readonly Option[]): readonly (Check | undefined)[] {
  return options.map((option) => option.name === "--state" ? stateCheck(option) : undefined);
}

/** `-m conntrack`. */
export function conntrackModule(options: readonly Option[]): readonly (Check | undefined)[] {
  const stated = options.some(({ name }) => name === "--ctstate");
  return options.map((option) => {
    if (option.name === "--ctstate") return stateCheck(option);
    const ask = QUESTIONS[option.name]?.(option.values[0] ?? "");
    return ask && ((moment) => {
      const connection = seenOf(moment.packet, moment.tracked);
      // Without a connection the kernel looks at nothing but the state.
      return connection === undefined ? stated : negate(ask(connection), option.negated);
    });
  });
}

type Ask = (connection: Connection) => Truth;

function address(tuple: "original" | "reply", end: "source" | "destination") {
  return (text: string): Ask | undefined => {
    const prefix = parsePrefix(text);
    return prefix && ((connection) => inPrefix(connection[tuple][end], prefix));
  };
}

function port(tuple: "original" | "reply", end: keyof Tuple & `${string}Port`) {
  return (text: string): Ask | undefined => {
    const range = parsePorts(text);
    return range && ((connection) => portIn(connection[tuple][end], [range]));
  };
}

const STATUS: Readonly<Record<string, (connection: Connection) => Truth>> = {
  NONE: () => false,
  EXPECTED: ({ state }) => state === "related",
  SEEN_REPLY: ({ state, direction }) => state === "established" || direction === "reply",
  CONFIRMED: ({ state, confirmed }) => confirmed === true || state === "established",
  ASSURED: ({ state }) =>
    state === "established" ? unknown("how far the connection got is not known") : false,
};

function status(text: string): Ask | undefined {
  const asked = text.split(",").map((word) => STATUS[word]);
  const known = asked.flatMap((each) => each ?? []);
  if (known.length < asked.length) return undefined;
  return (connection) => {
    const truths = known.map((each) => each(connection));
    return truths.find((truth) => truth === true) ??
      truths.find((truth) => truth !== false) ?? false;
  };
}

const QUESTIONS: Readonly<Record<string, (text: string) => Ask | undefined>> = {
  "--ctproto": (text) => {
    const protocol = protocolOf(text);
    return protocol === undefined ? undefined : ({ original }) => original.protocol === protocol;
  },
  "--ctorigsrc": address("original", "source"),
  "--ctorigdst": address("original", "destination"),
  "--ctreplsrc": address("reply", "source"),
  "--ctrepldst": address("reply", "destination"),
  "--ctorigsrcport": port("original", "sourcePort"),
  "--ctorigdstport": port("original", "destinationPort"),
  "--ctreplsrcport": port("reply", "sourcePort"),
  "--ctrepldstport": port("reply", "destinationPort"),
  "--ctdir": (text) => ({ direction }) => direction === text.toLowerCase(),
  "--ctstatus": status,
};
