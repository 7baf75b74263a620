/**
 * Rules of any engine as the evaluator sees them: chains of rules, each of which says what one
 * packet's next step is.
 *
 * @module
 */
import type { Packet } from "../packet/packet.ts";
import type {
  Hook,
  Outcome,
  RealServer,
  RuleReference,
  ServedConnection,
  Surroundings,
} from "./outcome.ts";
import type { Doubt } from "./truth.ts";

/** A packet at a rule. */
export interface Moment {
  readonly hook: Hook;
  readonly around: Surroundings;
  readonly packet: Packet;
  /** Whether conntrack has seen the packet yet: not before priority -200. */
  readonly tracked: boolean;
}

/** How a rule can end a packet's way through a hook, or through a base chain. */
export interface End {
  readonly kind: "end";
  readonly verdict: Outcome["verdict"];
  readonly packet: Packet;
  readonly because?: string;
  readonly assumption?: string;
  readonly server?: RealServer;
  readonly served?: ServedConnection;
  readonly proxy?: NonNullable<Outcome["proxy"]>;
}

/** What a rule does with a packet. */
export type Step =
  | { readonly kind: "miss" }
  | {
    readonly kind: "next";
    readonly packet: Packet;
    readonly assumption?: string;
    readonly proxy?: NonNullable<Outcome["proxy"]>;
  }
  | { readonly kind: "return"; readonly packet: Packet }
  | { readonly kind: "jump" | "goto"; readonly chain: string; readonly packet: Packet }
  | End
  | { readonly kind: "fork"; readonly doubt: Doubt; readonly branches: readonly Branch[] };

/** One of a rule's possible steps. */
export interface Branch {
  readonly chance?: number;
  readonly step: Step;
}

/** The rule does not match. */
export const MISS: Step = { kind: "miss" };

/** A step that may happen or not. */
export function perhaps(doubt: Doubt, step: Step, otherwise: Step = MISS): Step {
  const yes = doubt.kind === "chance" ? doubt.chance : undefined;
  return {
    kind: "fork",
    doubt,
    branches: yes === undefined
      ? [{ step }, { step: otherwise }]
      : [{ chance: yes, step }, { chance: 1 - yes, step: otherwise }],
  };
}

/** A step after the packet was changed: the change stays, also where the rule ends without more. */
export function kept(step: Step, packet: Packet): Step {
  if (step.kind === "miss") return { kind: "next", packet };
  if (step.kind !== "fork") return step;
  const branches = step.branches.map((branch) => ({ ...branch, step: kept(branch.step, packet) }));
  return { ...step, branches };
}

/** The packet's fate cannot be told. */
export function unknowable(packet: Packet, because: string): End {
  return { kind: "end", verdict: "unknown", packet, because };
}

/** One rule. */
export interface Rule {
  readonly reference: RuleReference;
  step(moment: Moment): Step;
}

/** The rules of a chain that a packet can match at all, in their order. */
export type Candidates = (position: number) => Rule | undefined;

/** A chain. */
export interface Chain {
  readonly name: string;
  candidates(packet: Packet): Candidates;
}

/** What jumps are resolved in: a table. */
export type Chains = (name: string) => Chain | undefined;

/** A chain that a hook begins with. */
export interface BaseChain {
  readonly chain: Chain;
  readonly chains: Chains;
  readonly priority: number;
  readonly type: "filter" | "nat" | "route";
  readonly policy: "accept" | "drop";
  readonly policyReference: RuleReference;
  /** Of chains of equal priority the youngest is asked first. */
  readonly age: number;
}
