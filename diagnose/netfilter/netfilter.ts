/**
 * What a namespace's rules do to a packet: every table that sees it, in the kernel's order.
 *
 * @module
 */
import { sameAddress } from "../packet/address.ts";
import { type Packet, PROTOCOLS } from "../packet/packet.ts";
import type { NamespaceSnapshot } from "../snapshot/format.ts";
import { type Ending, Evaluation, type Next, outcomeOf, type Passage } from "./evaluate.ts";
import { Iptables, natPriority } from "./iptables.ts";
import { Ipsets } from "./ipset.ts";
import { answered, Ipvs } from "./ipvs.ts";
import { decide, inZone, type NatEnd, trackedOf, translate, undecided } from "./nat.ts";
import { Nft } from "./nft.ts";
import type { Hook, Outcome, Surroundings } from "./outcome.ts";
import type { BaseChain } from "./rules.ts";

export type {
  DeviceFacts,
  Hook,
  Outcome,
  RealServer,
  RuleReference,
  ServedConnection,
  Surroundings,
} from "./outcome.ts";

/** When conntrack looks at a packet that is new to the namespace. */
const CONNTRACK_PRIORITY = -200;

/** When IPVS looks at servers' answers (`ip_vs_ops4`); packets for them come just after. */
const ANSWERS_PRIORITY: Readonly<Partial<Record<Hook, number>>> = {
  ...{ input: 98, output: -99, forward: 100 },
};

/** One thing that a hook does with a packet. */
interface Station {
  readonly priority: number;
  pass(evaluation: Evaluation, passage: Passage, next: Next): readonly Ending[];
}

/** Whose rules a packet meets: those of IP or ARP, or those of a bridge that it passes. */
export type Layer = "ip" | "arp" | "bridge";

/** The rules of one namespace. */
export class Netfilter {
  readonly #namespace: NamespaceSnapshot;
  readonly #sets: Ipsets;
  readonly #texts = new Map<string, Iptables>();
  readonly #stations = new Map<string, readonly Station[]>();
  #nft: Nft | string | undefined;
  #ipvs: Ipvs | undefined;
  #bridged: boolean | undefined;
  #arps: boolean | undefined;
  #atDevices: boolean | undefined;

  constructor(namespace: NamespaceSnapshot) {
    this.#namespace = namespace;
    this.#sets = new Ipsets(namespace.ipset, this.#because("ipset"));
  }

  /** Whether there may be rules of the family `bridge`. */
  get bridged(): boolean {
    return this.#bridged ??= (this.#namespace.nft ?? "").includes('"bridge"');
  }

  /** Whether there may be rules of the family `arp`. */
  get arps(): boolean {
    return this.#arps ??= (this.#namespace.nft ?? "").includes('"arp"');
  }

  /** Whether there may be rules at devices: of the hooks ingress and egress. */
  get atDevices(): boolean {
    return this.#atDevices ??= /"(in|e)gress"/.test(this.#namespace.nft ?? "");
  }

  /** Every way that the packet can leave the hook. */
  run(
    hook: Hook,
    packet: Packet,
    around: Surroundings,
    layer: Layer = "ip",
  ): readonly Outcome[] {
    const family = packet.source.family === 4 ? "ip" : "ip6";
    const damage = this.#damage(family);
    const rest = { packet, trace: [], assumptions: [] };
    if (damage !== undefined) return [{ verdict: "unknown", because: damage, ...rest }];
    const own = layer === "bridge" ? { ...around, ofFrame: true } as const : around;
    const evaluation = new Evaluation(hook, own);
    const device = hook === "egress" ? around.outDevice : around.inDevice;
    const stations = this.#stationsOf(hook, family, layer, device);
    const begins = hook === "prerouting" && around.inDevice !== "lo" || hook === "output" ||
      hook === "ingress" || hook === "egress" || layer !== "ip";
    const start = { packet, tracked: !begins, rerouted: false };
    const lacking = this.#lacking(family);
    return go(evaluation, stations, 0, start).map((ending) => {
      const outcome = outcomeOf(ending);
      return lacking.length === 0
        ? outcome
        : { ...outcome, assumptions: [...lacking, ...outcome.assumptions] };
    });
  }

  #because(part: string): string | undefined {
    const missing = this.#namespace.missing.find((each) => each.part === part);
    return missing && `the snapshot lacks ${part}: ${missing.because}`;
  }

  /** Rules that the snapshot does not have, and that are taken for none. */
  #lacking(family: "ip" | "ip6"): string[] {
    const tables = family === "ip" ? "iptables" : "ip6tables";
    const parts = [`${tables}Legacy`, `${tables}Nft`, "nft", "ipvs", "all"];
    if (family === "ip") parts.push("arptablesLegacy");
    return parts.flatMap((part) => {
      const because = this.#because(part);
      return because === undefined ? [] : [`${because}; it is taken for empty`];
    });
  }

  #text(engine: "iptables-legacy" | "iptables-nft", family: "ip" | "ip6"): Iptables {
    const key = `${engine} ${family}`;
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const own = this.#namespace;
    const text = engine === "iptables-nft"
      ? family === "ip" ? own.iptablesNft : own.ip6tablesNft
      : family === "ip"
      ? own.iptablesLegacy
      : own.ip6tablesLegacy;
    const made = new Iptables(text ?? "", { engine, family }, this.#sets);
    this.#texts.set(key, made);
    return made;
  }

  #ruleset(): Nft | string {
    if (this.#nft !== undefined) return this.#nft;
    try {
      this.#nft = new Nft(this.#namespace.nft ?? "");
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#nft = error.message;
    }
    return this.#nft;
  }

  #damage(family: "ip" | "ip6"): string | undefined {
    for (const engine of ["iptables-legacy", "iptables-nft"] as const) {
      const [line] = this.#text(engine, family).damage;
      if (line !== undefined) return `the text of ${engine} is damaged at "${line}"`;
    }
    const ruleset = this.#ruleset();
    return typeof ruleset === "string" ? ruleset : undefined;
  }

  #stationsOf(
    hook: Hook,
    family: "ip" | "ip6",
    layer: Layer,
    device: string | undefined,
  ): readonly Station[] {
    const hooked = hook === "ingress" || hook === "egress";
    const key = `${hook} ${family} ${layer} ${hooked ? device : ""}`;
    const known = this.#stations.get(key);
    if (known !== undefined) return known;
    const bases = this.#bases(hook, family, layer, device)
      .sort((one, other) => one.priority - other.priority || other.age - one.age);
    const stations = bases.filter(({ type }) => type !== "nat").map(chainStation);
    const nat = natPriority(hook);
    if (nat !== undefined && layer === "ip") {
      stations.push(natStation(nat, bases.filter(({ type }) => type === "nat")));
    }
    if (layer === "ip" && (hook === "prerouting" || hook === "output")) stations.push(CONNTRACK);
    if (layer === "ip" && (hook === "postrouting" || hook === "input")) stations.push(CONFIRM);
    stations.push(...this.#servers(hook, layer));
    stations.sort((one, other) => one.priority - other.priority);
    this.#stations.set(key, stations);
    return stations;
  }

  #bases(
    hook: Hook,
    family: "ip" | "ip6",
    layer: Layer,
    device: string | undefined,
  ): BaseChain[] {
    const ruleset = this.#ruleset();
    if (typeof ruleset === "string") return [];
    const none = () => false;
    if (layer === "bridge") return ruleset.bases(hook, ["bridge"], device, none);
    if (hook === "ingress" || hook === "egress") {
      // The family inet sees nothing but IP there, too (`nft_do_chain_inet_ingress`).
      const families = layer === "arp" ? ["netdev"] : ["netdev", "inet"];
      return ruleset.bases(hook, families, device, none);
    }
    if (layer === "arp") return ruleset.bases(hook, ["arp"], device, none);
    const shown = this.#text("iptables-nft", family);
    return [
      ...this.#text("iptables-legacy", family).bases(hook, () => 0),
      ...shown.bases(hook, (table, chain) => ruleset.age(family, table, chain) ?? 1),
      // What iptables shows it shows better: nft does not print what its matches ask. A table of
      // the same name may have chains of its own, which iptables does not show.
      ...ruleset.bases(
        hook,
        [family, "inet"],
        device,
        (of, table, chain) =>
          of === family && shown.shows(table, chain) && !shown.foreign.has(table),
      ),
    ];
  }

  /** Where IPVS takes packets to its services. */
  #servers(hook: Hook, layer: Layer): Station[] {
    const conntrack = this.#namespace.sysctls?.["net/ipv4/vs/conntrack"]?.trim() === "1";
    this.#ipvs ??= new Ipvs(this.#namespace.ipvs ?? "", conntrack);
    const before = ANSWERS_PRIORITY[hook];
    if (this.#ipvs.empty || before === undefined || layer !== "ip") return [];
    const answers: Station = {
      priority: before,
      pass(evaluation, passage, next) {
        const packet = answered(evaluation.moment(passage), conntrack);
        return next(packet === undefined ? passage : { ...passage, packet, rerouted: true });
      },
    };
    return hook === "forward" ? [answers] : [
      answers,
      chainStation(this.#ipvs.base(before + 1, hook === "output" ? "route" : "filter")),
    ];
  }
}

function go(
  evaluation: Evaluation,
  stations: readonly Station[],
  at: number,
  passage: Passage,
): readonly Ending[] {
  const station = stations[at];
  if (station === undefined) return [{ verdict: "accept", passage, chance: 1, trail: undefined }];
  return evaluation.remember(
    `station ${at}`,
    passage,
    () => station.pass(evaluation, passage, (later) => go(evaluation, stations, at + 1, later)),
  );
}

const CONNTRACK: Station = {
  priority: CONNTRACK_PRIORITY,
  pass(_evaluation, passage, next) {
    if (passage.tracked) return next(followed(passage));
    return next({ ...followed({ ...passage, packet: inZone(passage.packet) }), tracked: true });
  },
};

/** Of these messages conntrack never makes a connection (`nf_conntrack_proto_icmpv6.c`). */
const UNFOLLOWED: readonly number[] = [130, 131, 132, 133, 134, 135, 136, 143];

function followed(passage: Passage): Passage {
  const { packet } = passage;
  const { protocol, icmp } = packet;
  if (protocol !== PROTOCOLS.icmpv6 || !UNFOLLOWED.includes(icmp?.type ?? 0)) return passage;
  return {
    ...passage,
    packet: { ...packet, connection: { ...packet.connection, state: "untracked" } },
  };
}

/** Last of all, conntrack keeps the connection: one that comes again over loopback is known. */
const CONFIRM: Station = {
  priority: Infinity,
  pass(_evaluation, passage, next) {
    const connection = trackedOf(passage.packet, passage.tracked);
    if (connection === undefined) return next(passage);
    const packet = { ...passage.packet, connection: { ...connection, confirmed: true } };
    return next({ ...passage, packet });
  },
};

function chainStation(base: BaseChain): Station {
  return {
    priority: base.priority,
    pass(evaluation, passage, next) {
      if (base.type !== "route") return evaluation.run(base, passage, next);
      return evaluation.run(base, passage, (later) => {
        const moved = differs(passage.packet, later.packet);
        return next(moved ? { ...later, rerouted: true } : later);
      }, passage);
    },
  };
}

/** Whether the kernel asks the routes again. */
function differs(before: Packet, after: Packet): boolean {
  return before.mark !== after.mark || before.tos !== after.tos ||
    !sameAddress(before.source, after.source) ||
    !sameAddress(before.destination, after.destination);
}

/** All nat chains of a hook: only a connection's first packet asks them, all others follow. */
function natStation(priority: number, bases: readonly BaseChain[]): Station {
  const end: NatEnd = priority < 0 ? "destination" : "source";
  return {
    priority,
    pass(evaluation, passage, next) {
      const connection = trackedOf(passage.packet, passage.tracked);
      if (connection === undefined) return next(passage);
      const apply = (later: Passage) => next(natted(evaluation, later, end));
      const ask = (at: number, later: Passage): readonly Ending[] => {
        const base = bases[at];
        const own = later.packet.connection;
        if (!undecided(own, end)) return apply(later);
        if (base === undefined) return apply({ ...later, packet: decide(later.packet, end) });
        return evaluation.run(base, later, (more) => ask(at + 1, more));
      };
      return ask(0, passage);
    },
  };
}

function natted(evaluation: Evaluation, passage: Passage, end: NatEnd): Passage {
  const packet = translate(passage.packet, end);
  const { original, reply, direction } = packet.connection;
  const [from, to] = direction === "original" ? [original, reply] : [reply, original];
  const { hook } = evaluation.moment(passage);
  const moved = hook === "output" && !sameAddress(from.destination, to.source);
  return { ...passage, packet, rerouted: passage.rerouted || moved };
}
