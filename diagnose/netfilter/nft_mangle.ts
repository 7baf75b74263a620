/**
 * nftables' statements that change a packet.
 *
 * @module
 */
import { type Connection, openedBy, type Packet, PROTOCOLS } from "../packet/packet.ts";
import { trackedOf } from "./nat.ts";
import { type Context, numberExpression } from "./nft_expression.ts";
import { objectOf, textOf } from "./nft_json.ts";
import { hasHeader, namedField, settingOf } from "./nft_payload.ts";
import { optionsOf, type Seen } from "./nft_value.ts";
import { type Branch, kept, MISS, type Moment, type Step, unknowable } from "./rules.ts";

type Change = (moment: Moment, value: bigint) => Packet;

/** `KEY set VALUE`. */
export function mangle(
  inner: unknown,
  context: Context,
): ((moment: Moment, rest: (moment: Moment) => Step) => Step) | undefined {
  const json = objectOf(inner);
  const target = targetOf(json?.key);
  if (target === undefined) return undefined;
  const value = numberExpression(json?.value, target.type, context);
  return (moment, rest) => {
    // What a header has is only set in packets that have it.
    if (target.within !== undefined && !target.within(moment)) return MISS;
    if (target.change === undefined) return rest(moment);
    if (target.moves === true && untold(moment)) {
      return unknowable(moment.packet, "which connection it is of with another end is not known");
    }
    const change = target.change;
    const branches = optionsOf(value(moment)).map(({ chance, seen }): Branch => ({
      ...(chance === undefined ? {} : { chance }),
      step: changed(moment, seen, change, rest),
    }));
    const [first, ...more] = branches;
    if (first !== undefined && more.length === 0) return first.step;
    return { kind: "fork", doubt: { kind: "chance" }, branches };
  };
}

function changed(
  moment: Moment,
  seen: Seen,
  change: Change,
  rest: (moment: Moment) => Step,
): Step {
  if (seen.kind === "values") {
    const [value] = seen.values;
    if (typeof value !== "bigint") return MISS;
    const packet = change(moment, value);
    return kept(rest({ ...moment, packet }), packet);
  }
  if (seen.kind !== "doubt") return MISS;
  const because = seen.doubt.kind === "unknown" ? seen.doubt.because : "chance decides";
  return unknowable(moment.packet, because);
}

interface Target {
  readonly type: "number" | "dscp" | "ecn";
  /** Undefined where no rule or route asks for what is set. */
  readonly change?: Change;
  readonly within?: (moment: Moment) => boolean;
  /** Whether it changes an end of the packet, by which its connection is found. */
  readonly moves?: boolean;
}

/** Whether conntrack is still to find the packet's connection. */
function untold({ hook, tracked, packet: { connection } }: Moment): boolean {
  const follows = hook === "prerouting" || hook === "output";
  return follows && !tracked && connection.state !== "untracked";
}

const NOTHING: Target = { type: "number" };
/** Keys of `meta` that decide of nothing that is walked: `pkttype` and `broute` do. */
const UNASKED: readonly string[] = ["priority", "nftrace", "secmark"];

function targetOf(key: unknown): Target | undefined {
  const json = objectOf(key);
  const meta = textOf(objectOf(json?.meta)?.key);
  if (meta === "mark") {
    return {
      type: "number",
      change: ({ packet }, value) => ({ ...packet, mark: Number(value & 0xffffffffn) }),
    };
  }
  if (meta !== undefined) return UNASKED.includes(meta) ? NOTHING : undefined;
  const ct = textOf(objectOf(json?.ct)?.key);
  if (ct === "mark") return { type: "number", change: connectionMark };
  // Of one direction alone: then answers are looked for in another one.
  if (ct === "zone" && objectOf(json?.ct)?.dir !== undefined) return undefined;
  if (ct === "zone") return { type: "number", change: zone };
  if (ct !== undefined) return NOTHING;
  const payload = objectOf(json?.payload);
  if (payload !== undefined) return payloadTarget(textOf(payload.protocol), textOf(payload.field));
  if (json?.["tcp option"] !== undefined) {
    return { ...NOTHING, within: ({ packet }) => packet.protocol === PROTOCOLS.tcp };
  }
  return json?.exthdr === undefined ? undefined : { ...NOTHING, within: () => false };
}

const connectionMark: Change = ({ packet, tracked }, value) => {
  const connection = trackedOf(packet, tracked);
  if (connection === undefined) return packet;
  return { ...packet, connection: { ...connection, mark: Number(value & 0xffffffffn) } };
};

const zone: Change = ({ packet, tracked }, value) =>
  tracked || packet.connection.template !== undefined ? packet : {
    ...packet,
    // What was to be left alone is not, any more.
    connection: { ...zoned(packet), template: Number(value) },
  };

function zoned(packet: Packet): Connection {
  return packet.connection.state === "untracked" ? openedBy(packet) : packet.connection;
}

function payloadTarget(protocol = "", field = ""): Target | undefined {
  const named = namedField(protocol, field);
  const setting = settingOf(protocol, field);
  if (named === undefined || setting === undefined) return undefined;
  const type = named.type === "dscp" || named.type === "ecn" ? named.type : "number";
  return {
    type,
    change: ({ packet }, value) => setting(packet, value),
    within: ({ packet }) => hasHeader(packet, protocol),
    moves: ["saddr", "daddr", "sport", "dport"].includes(field),
  };
}
