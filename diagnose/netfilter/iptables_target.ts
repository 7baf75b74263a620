/**
 * What iptables' targets do with a packet.
 *
 * @module
 */
import { parsePrefix } from "../packet/address.ts";
import type { Packet } from "../packet/packet.ts";
import { directionsOf, type Ipsets } from "./ipset.ts";
import { valueAndMask } from "./iptables_match.ts";
import type { Module, Option } from "./iptables_text.ts";
import { addressRange, natStep } from "./nat_step.ts";
import { choosable, trackedOf } from "./nat.ts";
import { parsePorts, type PortRange } from "./ports.ts";
import { type Moment, type Step, unknowable } from "./rules.ts";

/** What a rule does once it matches. */
export type Act = (moment: Moment) => Step;

type Target = (value: (name: string) => string | undefined, sets: Ipsets) => Act | undefined;

/** What a target does; undefined where it, or a word of it, is not known. */
export function actOf({ name, options }: Module, sets: Ipsets): Act | undefined {
  const known = KNOWN_OPTIONS[name];
  if (known !== undefined && !options.every((option) => known.includes(option.name))) {
    return undefined;
  }
  return TARGETS[name]?.((wanted) => valueOf(options, wanted), sets);
}

function valueOf(options: readonly Option[], name: string): string | undefined {
  const found = options.find((option) => option.name === name);
  return found === undefined ? undefined : found.values.join(" ");
}

function end(verdict: "accept" | "drop" | "reject" | "queue"): Target {
  return () => ({ packet }) => ({ kind: "end", verdict, packet });
}

const goOn: Act = ({ packet }) => ({ kind: "next", packet });
const GO_ON: Target = () => goOn;

function changing(change: (packet: Packet, moment: Moment) => Packet): Act {
  return (moment) => ({ kind: "next", packet: change(moment.packet, moment) });
}

/** `(old & ~mask) ^ value`, as unsigned 32 bits. */
function setBits(old: number, { value, mask }: { value: number; mask: number }): number {
  return ((old & ~mask) ^ value) >>> 0;
}

const mark: Target = (value) => {
  const wanted = valueAndMask(value("--set-xmark") ?? "");
  return wanted && changing((packet) => ({ ...packet, mark: setBits(packet.mark, wanted) }));
};

const connmark: Target = (value) => {
  const wanted = value("--set-xmark");
  const set = valueAndMask(wanted ?? "");
  const ctmask = Number(value("--ctmask") ?? value("--mask") ?? 0xffffffff);
  const nfmask = Number(value("--nfmask") ?? value("--mask") ?? 0xffffffff);
  const restore = value("--restore-mark") !== undefined;
  const save = value("--save-mark") !== undefined;
  if (Number.isNaN(ctmask + nfmask) || !(set || restore || save)) return undefined;
  const change = changing((packet, { tracked }) => {
    const connection = trackedOf(packet, tracked);
    if (connection === undefined) return packet;
    if (restore) {
      const bits = { value: connection.mark & ctmask, mask: nfmask };
      return { ...packet, mark: setBits(packet.mark, bits) };
    }
    const bits = set ?? { value: packet.mark & nfmask, mask: ctmask };
    return { ...packet, connection: { ...connection, mark: setBits(connection.mark, bits) } };
  });
  return (moment) =>
    !moment.tracked && moment.packet.connection.template !== undefined
      ? unknowable(moment.packet, "the mark of a connection that is only to be is not known")
      : change(moment);
};

function untrack(packet: Packet): Packet {
  return { ...packet, connection: { ...packet.connection, state: "untracked" } };
}

const notrack: Act = changing((packet, { tracked }) =>
  choosable(packet, tracked) ? untrack(packet) : packet
);

const connectionTarget: Target = (value) => {
  if (value("--notrack") !== undefined) return notrack;
  // Also without a zone of its own it has chosen, so that a later one to leave alone does nothing.
  const template = Number(value("--zone") ?? 0);
  if (!Number.isInteger(template)) return undefined;
  return changing((packet, { tracked }) =>
    choosable(packet, tracked)
      ? { ...packet, connection: { ...packet.connection, template } }
      : packet
  );
};

/** `10.0.0.1-10.0.0.9:8000-8010`, `[fd00::1]:80`, or only ports, `:80`. */
function natRange(text: string | undefined) {
  const [, bracketed, plain, ports] =
    /^(?:\[([^\]]*)\]|([^:]*|[^\]]*::?[^\]]*))(?::([\d-]+))?$/.exec(text ?? "") ?? [];
  if (plain?.includes(":")) return natParts(plain, undefined);
  return natParts(bracketed ?? plain ?? "", ports);
}

function natParts(addresses: string, ports: string | undefined) {
  const range = addressRange(addresses);
  const [port, base] = (ports ?? "").split("/");
  const parsed: PortRange | undefined = port ? parsePorts(port, "-") : undefined;
  if (addresses !== "" && range === undefined || base !== undefined) return undefined;
  if (ports !== undefined && parsed === undefined) return undefined;
  return { ...(range && { addresses: range }), ...(parsed && { ports: parsed }) };
}

function randomly(value: (name: string) => string | undefined): boolean {
  return value("--random") !== undefined || value("--random-fully") !== undefined;
}

function translateTo(option: string, where: "source" | "destination"): Target {
  return (value) => {
    const range = natRange(value(option));
    const random = randomly(value);
    return range && ((moment) => natStep(moment, { ...range, end: where, random }));
  };
}

function portsOnly(where: "masquerade" | "redirect"): Target {
  return (value) => {
    const text = value("--to-ports");
    const ports = text === undefined ? undefined : parsePorts(text, "-");
    if (text !== undefined && ports === undefined) return undefined;
    const random = randomly(value);
    return (moment) => natStep(moment, { end: where, random, ...(ports && { ports }) });
  };
}

const netmap: Target = (value) => {
  const prefix = parsePrefix(value("--to") ?? "");
  return prefix && ((moment) => {
    const destination = moment.hook === "prerouting" || moment.hook === "output";
    return natStep(moment, { end: destination ? "destination" : "source", prefix });
  });
};

const tproxy: Target = (value) => {
  const port = Number(value("--on-port"));
  const address = parsePrefix(value("--on-ip") ?? "")?.address;
  const bits = valueAndMask(value("--tproxy-mark") ?? "0x0/0x0");
  if (Number.isNaN(port) || bits === undefined) return undefined;
  const any = address === undefined || address.bits === 0n;
  return ({ packet }) => ({
    kind: "end",
    verdict: "accept",
    packet: { ...packet, mark: setBits(packet.mark, bits) },
    proxy: { ...(any ? {} : { address }), port },
    assumption: `a transparent socket listens on port ${port}; without one the packet is dropped`,
  });
};

const set: Target = (value, sets) => {
  const [name, list, ...more] = (value("--map-set") ?? "").split(" ");
  if (!name || value("--map-mark") === undefined) return goOn;
  const directions = directionsOf(list);
  if (directions === undefined || more.length > 0) return undefined;
  return (moment) => {
    const { packet } = moment;
    const found = sets.find(name, directions, moment);
    if (found === undefined) return { kind: "next", packet };
    if (!("nomatch" in found)) return unknowable(packet, `the mark in set "${name}" is not known`);
    return { kind: "next", packet: { ...packet, mark: found.mark ?? packet.mark } };
  };
};

function ttl(set: string, down: string, up: string): Target {
  return (value) => {
    const [fixed, less, more] = [value(set), value(down), value(up)];
    const number = Number(fixed ?? less ?? more);
    if (Number.isNaN(number)) return undefined;
    return changing((packet) => {
      const next = less !== undefined ? packet.ttl - number : packet.ttl + number;
      return { ...packet, ttl: fixed !== undefined ? number : Math.min(255, Math.max(0, next)) };
    });
  };
}

const tos: Target = (value) => {
  const wanted = valueAndMask(value("--set-tos") ?? "");
  const mask = value("--set-tos")?.includes("/") ? wanted?.mask : 0xff;
  return wanted && changing((packet) => ({
    ...packet,
    tos: setBits(packet.tos, { value: wanted.value, mask: mask ?? 0xff }) & 0xff,
  }));
};

const dscp: Target = (value) => {
  const wanted = valueAndMask(value("--set-dscp") ?? "")?.value;
  return wanted === undefined
    ? undefined
    : changing((packet) => ({ ...packet, tos: packet.tos & 3 | wanted << 2 }));
};

/** Options that decide; a target with others is not known. Targets that go on may have any. */
const KNOWN_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  ...{ ACCEPT: [], DROP: [], RETURN: [], MARK: ["--set-xmark"], NOTRACK: [] },
  DNAT: ["--to-destination", "--random", "--persistent"],
  SNAT: ["--to-source", "--random", "--persistent", "--random-fully"],
  MASQUERADE: ["--to-ports", "--random", "--random-fully"],
  REDIRECT: ["--to-ports", "--random"],
  NETMAP: ["--to"],
  TPROXY: ["--on-port", "--on-ip", "--tproxy-mark"],
  CONNMARK: [
    ...["--set-xmark", "--save-mark", "--restore-mark", "--nfmask", "--ctmask", "--mask"],
  ],
  TOS: ["--set-tos"],
  DSCP: ["--set-dscp"],
  CT: [
    ...["--notrack", "--zone", "--helper", "--ctevents", "--expevents", "--timeout"],
  ],
};

const TARGETS: Readonly<Record<string, Target>> = {
  ACCEPT: end("accept"),
  DROP: end("drop"),
  REJECT: end("reject"),
  QUEUE: end("queue"),
  NFQUEUE: end("queue"),
  RETURN: () => ({ packet }) => ({ kind: "return", packet }),
  MARK: mark,
  CONNMARK: connmark,
  CT: connectionTarget,
  NOTRACK: () => notrack,
  DNAT: translateTo("--to-destination", "destination"),
  SNAT: translateTo("--to-source", "source"),
  MASQUERADE: portsOnly("masquerade"),
  REDIRECT: portsOnly("redirect"),
  NETMAP: netmap,
  TPROXY: tproxy,
  SET: set,
  TTL: ttl("--ttl-set", "--ttl-dec", "--ttl-inc"),
  HL: ttl("--hl-set", "--hl-dec", "--hl-inc"),
  TOS: tos,
  DSCP: dscp,
  ...Object.fromEntries(
    [
      ...["LOG", "NFLOG", "ULOG", "TRACE", "AUDIT", "CHECKSUM", "TCPMSS", "TCPOPTSTRIP"],
      ...["CLASSIFY", "ECN", "IDLETIMER", "LED", "RATEEST", "SECMARK", "CONNSECMARK", "TEE"],
      "ACCOUNT",
    ].map((name) => [name, GO_ON]),
  ),
};
