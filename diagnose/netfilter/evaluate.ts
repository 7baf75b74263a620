/**
 * Takes a packet through chains, on every way that it may take.
 *
 * A rule in doubt divides the way; ways that come to the same packet at the same rule are one
 * again, so that a thousand doubts do not make 2^1000 ways.
 *
 * @module
 */
import type { Packet } from "../packet/packet.ts";
import type {
  Outcome,
  RealServer,
  RuleReference,
  ServedConnection,
  Surroundings,
} from "./outcome.ts";
import type { BaseChain, Branch, Candidates, Chain, Moment, Rule, Step } from "./rules.ts";
import type { Doubt } from "./truth.ts";

/** How deep chains may jump, and goto without coming back; the kernel refuses loops. */
const JUMPS_MAX = 512;
/** Rules that one question may look at. */
const STEPS_MAX = 4_000_000;
/** Doubts on one way in which the rule did something. */
const DEPTH_MAX = 200;
/** Doubts of one question: more than a service of the largest kind has endpoints. */
const FORKS_MAX = 5_000;

/** A packet between two rules. */
export interface Passage {
  readonly packet: Packet;
  readonly tracked: boolean;
  readonly rerouted: boolean;
  readonly proxy?: NonNullable<Outcome["proxy"]>;
  readonly served?: ServedConnection;
}

/** A list that grows at its front, so that ways that join can share what follows. */
interface Trail {
  readonly reference?: RuleReference;
  readonly assumption?: string;
  readonly rest: Trail | undefined;
}

/** One way's end. */
export interface Ending {
  readonly verdict: Outcome["verdict"];
  readonly passage: Passage;
  readonly by?: RuleReference;
  readonly because?: string;
  readonly server?: RealServer;
  /** 1 if it is the only one; undefined if it cannot be known. */
  readonly chance: number | undefined;
  readonly trail: Trail | undefined;
}

type Endings = readonly Ending[];

/** A rule's step that is known already. */
interface Taken {
  readonly rule: Rule;
  readonly step: Step;
}

/** Where a way goes on. */
interface Point {
  readonly frame: Frame;
  readonly passage: Passage;
  readonly taken?: Taken;
}

/** Where a way divides. */
interface Fork {
  readonly frame: Frame;
  readonly passage: Passage;
  readonly trail: Trail | undefined;
  readonly rule: Rule;
  readonly step: Extract<Step, { kind: "fork" }>;
}

/** A rule in doubt of which the last branch is still gone. */
interface Open {
  readonly key: string;
  readonly trail: Trail | undefined;
  readonly rule: Rule;
  readonly doubt: Doubt;
  readonly branches: readonly Branch[];
  readonly passage: Passage;
  readonly ends: readonly Endings[];
}

/** What follows a base chain that lets the packet go on. */
export type Next = (passage: Passage) => readonly Ending[];

/** Where to go on when a chain ends. */
interface Frame {
  readonly candidates: Candidates;
  readonly position: number;
  readonly depth: number;
  /** Equal for two frames that go on alike. */
  readonly key: string;
  readonly parent: Frame | undefined;
}

/** One question: it counts its steps, and remembers what it has answered. */
export class Evaluation {
  readonly #hook: Moment["hook"];
  readonly #around: Surroundings;
  readonly #numbers = new Map<object | string, number>();
  readonly #known = new Map<string, readonly Ending[]>();
  #steps = 0;
  #depth = 0;
  #forks = 0;

  constructor(hook: Moment["hook"], around: Surroundings) {
    this.#hook = hook;
    this.#around = around;
  }

  /** What rules are asked with. */
  moment({ packet, tracked }: Passage): Moment {
    return { hook: this.#hook, around: this.#around, packet, tracked };
  }

  /** The same answer for the same passage, once doubts have divided the way. */
  remember(key: string, passage: Passage, answer: () => readonly Ending[]): readonly Ending[] {
    if (this.#forks === 0) return answer();
    const whole = `${key} ${this.#number(describe(passage))}`;
    const known = this.#known.get(whole);
    if (known !== undefined) return known;
    const found = answer();
    this.#known.set(whole, found);
    return found;
  }

  /**
   * Takes the packet through a base chain, and where that lets it go on, to what is next; `from`
   * is named if that depends on how the packet came.
   */
  run(base: BaseChain, passage: Passage, next: Next, from?: Passage): readonly Ending[] {
    const frame = this.#enter(base.chain, passage.packet, undefined, 0);
    const key = from === undefined ? frame.key : `${this.#number(describe(from))}!${frame.key}`;
    return this.#walk(base, { ...frame, key }, passage, next);
  }

  #number(thing: object | string): number {
    const known = this.#numbers.get(thing);
    if (known !== undefined) return known;
    this.#numbers.set(thing, this.#numbers.size);
    return this.#numbers.size - 1;
  }

  #enter(chain: Chain, packet: Packet, parent: Frame | undefined, depth: number): Frame {
    const key = `${this.#number(chain)}/${parent?.key ?? ""}:${parent?.position ?? ""}`;
    return { candidates: chain.candidates(packet), position: 0, depth, key, parent };
  }

  /**
   * Goes on to every end. Where a rule may match or not, that it does not is gone on with right
   * here: a chain of a thousand such rules must not be a thousand calls deep.
   */
  #walk(base: BaseChain, start: Frame, from: Passage, next: Next, taken?: Taken): Endings {
    const open: Open[] = [];
    let at: Point = { frame: start, passage: from, ...(taken === undefined ? {} : { taken }) };
    for (;;) {
      const reached = this.#straight(base, at, next);
      if ("endings" in reached) return this.#close(open, reached.endings);
      const divided = this.#divide(base, reached, next);
      if ("endings" in divided) return this.#close(open, divided.endings);
      open.push(divided);
      const known = this.#known.get(divided.key);
      if (known !== undefined) return this.#close(open, known);
      at = { frame: reached.frame, passage: reached.passage };
    }
  }

  /** What the last branches came to makes what the rules before them come to. */
  #close(open: readonly Open[], last: Endings): Endings {
    let endings = last;
    for (const { key, trail, rule, doubt, branches, passage, ends } of open.toReversed()) {
      this.#known.set(key, endings);
      endings = prepend(trail, combine(doubt, rule, passage, branches, [...ends, endings]));
    }
    return endings;
  }

  /** Goes on until the way ends or divides. */
  #straight(base: BaseChain, from: Point, next: Next): { readonly endings: Endings } | Fork {
    let { frame, passage, taken }: Point = from;
    let trail: Trail | undefined;
    const ended = (endings: Endings) => ({ endings: prepend(trail, endings) });
    for (;;) {
      const rule: Rule | undefined = taken?.rule ?? frame.candidates(frame.position);
      if (rule === undefined) {
        if (frame.parent === undefined) return ended(this.#policy(base, passage, next));
        frame = frame.parent;
        continue;
      }
      if (++this.#steps > STEPS_MAX) {
        return ended([lost(rule, passage, "it takes too many steps")]);
      }
      const step = taken?.step ?? rule.step(this.moment(passage));
      if (taken === undefined) frame = { ...frame, position: frame.position + 1 };
      taken = undefined;
      if (step.kind === "miss") continue;
      if (step.kind === "fork") return { frame, passage, trail, rule, step };
      if (step.packet !== passage.packet || step.kind !== "next") {
        trail = { reference: rule.reference, rest: trail };
        passage = { ...passage, packet: step.packet };
      }
      if (step.kind === "end") return ended(this.#end(rule, step, passage, next));
      if (step.kind === "next") {
        if (step.assumption !== undefined) trail = { assumption: step.assumption, rest: trail };
        if (step.proxy !== undefined) passage = { ...passage, proxy: step.proxy };
        continue;
      }
      const to = this.#turn(base, frame, rule, step, passage);
      if (to === undefined) return ended(this.#policy(base, passage, next));
      if ("verdict" in to) return ended([to]);
      frame = to;
    }
  }

  /** Goes on where ways may join. */
  #joined(base: BaseChain, frame: Frame, passage: Passage, next: Next): readonly Ending[] {
    return this.remember(
      `${frame.key}:${frame.position}`,
      passage,
      () => this.#walk(base, frame, passage, next),
    );
  }

  /** Where a jump, a goto or a return leads; undefined for the end of the base chain. */
  #turn(
    base: BaseChain,
    frame: Frame,
    rule: Rule,
    step: Extract<Step, { kind: "return" | "jump" | "goto" }>,
    passage: Passage,
  ): Frame | Ending | undefined {
    if (step.kind === "return") return frame.parent;
    const chain = base.chains(step.chain);
    if (chain === undefined) return lost(rule, passage, `there is no chain "${step.chain}"`);
    if (frame.depth >= JUMPS_MAX) {
      return lost(rule, passage, "its chains lead back to themselves");
    }
    const parent = step.kind === "jump" ? frame : frame.parent;
    return this.#enter(chain, passage.packet, parent, frame.depth + 1);
  }

  /** Goes every branch to its end, but for the last if the rule does nothing there. */
  #divide(base: BaseChain, fork: Fork, next: Next): { readonly endings: Endings } | Open {
    const { frame, passage, trail, rule, step: { doubt, branches } } = fork;
    if (this.#depth >= DEPTH_MAX || ++this.#forks > FORKS_MAX) {
      const because = "too many rules are in doubt";
      return { endings: prepend(trail, [lost(rule, passage, because)]) };
    }
    const last = branches.at(-1);
    const stays = last !== undefined && nothing(last.step, passage);
    this.#depth++;
    const ends = (stays ? branches.slice(0, -1) : branches)
      .map(({ step }) => this.#branch(base, fork, step, next));
    this.#depth--;
    if (!stays) return { endings: prepend(trail, combine(doubt, rule, passage, branches, ends)) };
    const key = this.#key(frame, passage);
    return { key, trail, rule, doubt, branches, passage, ends };
  }

  #branch(base: BaseChain, { frame, passage, rule }: Fork, step: Step, next: Next): Endings {
    if (nothing(step, passage)) return this.#joined(base, frame, passage, next);
    if (step.kind !== "next") return this.#walk(base, frame, passage, next, { rule, step });
    const { packet, assumption, proxy } = step;
    const changed = { ...passage, packet, ...(proxy === undefined ? {} : { proxy }) };
    const trail = { ...(assumption === undefined ? {} : { assumption }), rest: undefined };
    const endings = this.#joined(base, frame, changed, next);
    return prepend({ ...trail, reference: rule.reference }, endings);
  }

  #key(frame: Frame, passage: Passage): string {
    return `${frame.key}:${frame.position} ${this.#number(describe(passage))}`;
  }

  #end(
    rule: Rule,
    step: Extract<Step, { kind: "end" }>,
    passage: Passage,
    next: Next,
  ): readonly Ending[] {
    const trail = step.assumption === undefined
      ? undefined
      : { assumption: step.assumption, rest: undefined };
    const { proxy, served } = step;
    const taken = {
      ...passage,
      ...(proxy === undefined ? {} : { proxy }),
      ...(served === undefined ? {} : { served }),
    };
    if (step.verdict === "accept") return prepend(trail, next(taken));
    return [{
      verdict: step.verdict,
      passage: taken,
      by: rule.reference,
      ...(step.because === undefined ? {} : { because: step.because }),
      ...(step.server === undefined ? {} : { server: step.server }),
      chance: 1,
      trail,
    }];
  }

  #policy(base: BaseChain, passage: Passage, next: Next): readonly Ending[] {
    if (base.policy === "accept") return next(passage);
    return [{ verdict: "drop", passage, by: base.policyReference, chance: 1, trail: undefined }];
  }
}

/** Whether a step leaves all as it is. */
function nothing(step: Step, { packet }: Passage): boolean {
  return step.kind === "miss" ||
    step.kind === "next" && step.packet === packet && step.proxy === undefined;
}

function lost(rule: Rule, passage: Passage, because: string): Ending {
  return { verdict: "unknown", passage, by: rule.reference, because, chance: 1, trail: undefined };
}

/** The trail was gathered backwards; what follows it was not. */
function prepend(trail: Trail | undefined, endings: readonly Ending[]): readonly Ending[] {
  if (trail === undefined) return endings;
  return endings.map((ending) => {
    let whole = ending.trail;
    for (let part: Trail | undefined = trail; part !== undefined; part = part.rest) {
      whole = { ...part, rest: whole };
    }
    return { ...ending, trail: whole };
  });
}

/** What is equal for passages that rules cannot tell apart. */
export function describe(passage: Passage): string {
  const known = passageKeys.get(passage);
  if (known !== undefined) return known;
  const { packet, tracked, rerouted, proxy, served } = passage;
  const key = JSON.stringify(
    [packetKey(packet), tracked, rerouted, proxy ?? null, served ?? null],
    (_, value) => typeof value === "bigint" ? `${value}` : value,
  );
  passageKeys.set(passage, key);
  return key;
}

const passageKeys = new WeakMap<Passage, string>();

const packetKeys = new WeakMap<Packet, string>();

function packetKey(packet: Packet): string {
  const known = packetKeys.get(packet);
  if (known !== undefined) return known;
  const sorted = Object.entries(packet).sort(([a], [b]) => a < b ? -1 : 1);
  const key = JSON.stringify(sorted, (_, value) => typeof value === "bigint" ? `${value}` : value);
  packetKeys.set(packet, key);
  return key;
}

function keyOf(ending: Ending): string {
  const { verdict, passage, server } = ending;
  // What becomes of a packet that dies, or leaves for user space, makes no difference.
  if (verdict === "drop" || verdict === "reject") return verdict;
  if (verdict === "accept") return describe(passage);
  return `${verdict} ${describe(passage)} ${server?.address.bits ?? ""} ${server?.port ?? ""}`;
}

function combine(
  doubt: Doubt,
  rule: Rule,
  passage: Passage,
  branches: readonly Branch[],
  ends: readonly (readonly Ending[])[],
): readonly Ending[] {
  if (doubt.kind === "chance") return weighed(branches, ends);
  const last = ends.at(-1) ?? [];
  const keys = ends.map((each) => new Set(each.map(keyOf)));
  const [first] = keys;
  const alike = keys.every((each) =>
    each.size === first?.size && [...each].every((key) => first.has(key))
  );
  if (alike) return last;
  const dead = ends.flat().every(({ verdict }) => verdict === "drop" || verdict === "reject");
  if (dead) return last;
  return [{
    verdict: "unknown",
    passage,
    by: rule.reference,
    because: doubt.because,
    chance: 1,
    trail: undefined,
  }];
}

/** All that can happen; what happens alike in two branches is once. */
function weighed(
  branches: readonly Branch[],
  ends: readonly (readonly Ending[])[],
): readonly Ending[] {
  const found = new Map<string, Ending>();
  ends.forEach((each, at) => {
    const weight = branches[at]?.chance;
    for (const ending of each) {
      const key = keyOf(ending);
      const known = found.get(key);
      found.set(key, {
        ...(known ?? ending),
        chance: sum(known === undefined ? 0 : known.chance, product(ending.chance, weight)),
      });
    }
  });
  const [only, ...more] = found.values();
  return only !== undefined && more.length === 0 ? [{ ...only, chance: 1 }] : [...found.values()];
}

function sum(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}

function product(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one * other;
}

/** What the walk is told of an ending. */
export function outcomeOf(ending: Ending): Outcome {
  const trace: RuleReference[] = [];
  const assumptions: string[] = [];
  for (let part = ending.trail; part !== undefined; part = part.rest) {
    if (part.reference !== undefined) trace.push(part.reference);
    if (part.assumption !== undefined) assumptions.push(part.assumption);
  }
  const { verdict, passage, by, because, chance, server } = ending;
  return {
    verdict,
    packet: passage.packet,
    ...(by === undefined ? {} : { by }),
    ...(because === undefined ? {} : { because }),
    ...(chance === undefined || chance === 1 ? {} : { chance }),
    trace,
    assumptions: [...new Set(assumptions)],
    ...(passage.rerouted ? { rerouted: true } : {}),
    ...(server === undefined ? {} : { server }),
    ...(passage.served === undefined ? {} : { served: passage.served }),
    ...(passage.proxy === undefined ? {} : { proxy: passage.proxy }),
  };
}
