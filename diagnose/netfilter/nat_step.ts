/**
 * The step of a rule that translates, in any engine.
 *
 * @module
 */
import {
  type Address,
  maskOf,
  parseAddress,
  parsePrefix,
  type Prefix,
  rangeOf,
  sameAddress,
} from "../packet/address.ts";
import { decide, trackedOf, undecided } from "./nat.ts";
import type { PortRange } from "./ports.ts";
import { type Branch, type Moment, type Step, unknowable } from "./rules.ts";

/** Addresses of a range that become branches of their own. */
const ADDRESSES_MAX = 64;

/** What a rule translates to. */
export interface Translation {
  readonly end: "source" | "destination" | "masquerade" | "redirect";
  readonly addresses?: readonly [Address, Address];
  readonly ports?: PortRange;
  /** Only the leading bits are translated. */
  readonly prefix?: Prefix;
  /** The kernel takes any port for the sender. */
  readonly random?: boolean;
}

const RANDOM = "the sender's port is another by chance, and is taken for the same";

/** `10.0.0.1`, or `10.0.0.1-10.0.0.9`. */
export function addressRange(text: string): readonly [Address, Address] | undefined {
  const [from, to = from, ...more] = text.split("-").map(parseAddress);
  if (from === undefined || to === undefined || more.length > 0) {
    const prefix = text.includes("/") ? parsePrefix(text) : undefined;
    return prefix && rangeOf(prefix);
  }
  return from.family === to.family && from.bits <= to.bits ? [from, to] : undefined;
}

/** Decides one end of the packet's connection, and lets the packet go on. */
export function natStep(moment: Moment, translation: Translation): Step {
  const { packet, tracked } = moment;
  const connection = trackedOf(packet, tracked);
  if (connection === undefined) return { kind: "end", verdict: "accept", packet };
  const end = translation.end === "source" || translation.end === "masquerade"
    ? "source"
    : "destination";
  if (!undecided(connection, end)) return { kind: "end", verdict: "accept", packet };
  const targets = addressesFor(moment, translation);
  if (targets === undefined) return unknowable(packet, "the address to translate to is not known");
  if (targets.length === 0) {
    return { kind: "end", verdict: "drop", packet, because: "its device has no address" };
  }
  const out = translation.end === "masquerade" ? moment.around.outDevice : undefined;
  const kept = out === undefined
    ? moment
    : { ...moment, packet: { ...packet, connection: { ...connection, masqueradeDevice: out } } };
  const one = (address: Address | undefined) => decided(kept, end, address, translation);
  if (targets.length === 1) return one(targets[0]);
  const branches: Branch[] = targets.map((address) => ({
    chance: 1 / targets.length,
    step: one(address),
  }));
  return { kind: "fork", doubt: { kind: "chance" }, branches };
}

function decided(
  { packet }: Moment,
  end: "source" | "destination",
  address: Address | undefined,
  { ports, random = false }: Translation,
): Step {
  const own = packet[`${end}Port`];
  const kept = ports === undefined || own === undefined ||
    ports.from <= own && own <= ports.to;
  if (kept && (ports === undefined || ports.from !== ports.to)) {
    const assumption = random && own !== undefined ? { assumption: RANDOM } : {};
    return { kind: "end", verdict: "accept", packet: decide(packet, end, address), ...assumption };
  }
  const changed = decide(packet, end, address, ports?.from);
  const one = ports?.from === ports?.to;
  return {
    kind: "end",
    verdict: "accept",
    packet: changed,
    ...(one ? {} : { assumption: `the port is one of ${ports?.from} to ${ports?.to}` }),
  };
}

/** What the end can become; a list with undefined keeps it. */
function addressesFor(
  { packet, hook, around }: Moment,
  { end, addresses, prefix }: Translation,
): readonly (Address | undefined)[] | undefined {
  if (prefix !== undefined) {
    const own = end === "destination" ? packet.destination : packet.source;
    const mask = maskOf(own.family, prefix.length);
    return [{ ...own, bits: own.bits & ~mask | prefix.address.bits & mask }];
  }
  if (addresses !== undefined) return each(addresses);
  const { family } = packet.destination;
  if (end === "masquerade") {
    if (around.outDevice === undefined) return undefined;
    const found = around.addressOf(around.outDevice, family, packet.destination);
    return found && [found];
  }
  if (end !== "redirect") return [undefined];
  if (hook === "output") return [{ family, bits: family === 4 ? 0x7f000001n : 1n }];
  if (around.inDevice === undefined) return undefined;
  const found = around.addressOf(around.inDevice, family);
  return found && [found];
}

function each([from, to]: readonly [Address, Address]): readonly Address[] | undefined {
  if (sameAddress(from, to)) return [from];
  if (to.bits - from.bits >= BigInt(ADDRESSES_MAX)) return undefined;
  const count = Number(to.bits - from.bits) + 1;
  return [...Array(count).keys()].map((at) => ({ ...from, bits: from.bits + BigInt(at) }));
}
