/**
 * What a namespace's rules do to a packet.
 *
 * @module
 */
import type { Packet } from "../packet/packet.ts";
import type { NamespaceSnapshot } from "../snapshot/format.ts";
import type { Hook, Outcome, Surroundings } from "./outcome.ts";

export type {
  DeviceFacts,
  Hook,
  Outcome,
  RealServer,
  RuleReference,
  Surroundings,
} from "./outcome.ts";

/** The rules of one namespace. */
export class Netfilter {
  readonly #namespace: NamespaceSnapshot;

  constructor(namespace: NamespaceSnapshot) {
    this.#namespace = namespace;
  }

  /** Every way that the packet can leave the hook. */
  run(_hook: Hook, packet: Packet, _around: Surroundings): readonly Outcome[] {
    const own = this.#namespace;
    const texts = [own.iptablesLegacy, own.ip6tablesLegacy, own.iptablesNft, own.ip6tablesNft];
    const ruled = [...texts, own.nft].some((text) => /^-A |"rule"/m.test(text ?? ""));
    const rest = { packet, trace: [], assumptions: [] };
    if (!ruled) return [{ verdict: "accept", ...rest }];
    return [{ verdict: "unknown", because: "its rules are not evaluated", ...rest }];
  }
}
