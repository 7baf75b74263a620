/**
 * What netfilter's outcomes mean for a walk: steps for rules that did something, causes for those
 * that ended it.
 *
 * @module
 */
import type { Hook, Outcome, RuleReference } from "../netfilter/netfilter.ts";
import type { Packet } from "../packet/packet.ts";
import { shellWord } from "./command.ts";
import type { Namespace } from "./namespace.ts";
import type { Between } from "./surroundings.ts";
import { type Cause, type CauseId, type Evidence, stepped, type Trail } from "./trail.ts";

/** Rules of one hook that a trail names; a rule set may have thousands that count or log. */
const RULES_NAMED_MAX = 16;

/** The trail with a step for each rule that did something. */
export function ruleSteps(
  trail: Trail,
  namespace: Namespace,
  hook: Hook,
  packet: Packet,
  outcome: Outcome,
): Trail {
  let next = trail;
  for (const rule of outcome.trace.slice(-RULES_NAMED_MAX)) {
    next = stepped(next, {
      ...{ namespace, does: "rule", packet },
      text: `${hook}: ${ruleText(rule)}`,
    });
  }
  return next;
}

/** Where a rule stands, and what it says. */
export function ruleText(rule: RuleReference): string {
  const { engine, family, table, chain, number, text, packets } = rule;
  const place = `${engine} ${family} ${table} ${chain}${number > 0 ? ` rule ${number}` : ""}`;
  return `${place}: ${text}${packets === undefined ? "" : ` [${packets} packets]`}`;
}

const IDS: Readonly<Record<Exclude<Outcome["verdict"], "accept">, CauseId>> = {
  drop: "netfilter-drop",
  reject: "netfilter-reject",
  queue: "netfilter-queue",
  stolen: "netfilter-unknown",
  unknown: "netfilter-unknown",
};

/** Why an outcome other than accept ends the way. */
export function causeOf(
  namespace: Namespace,
  hook: Hook,
  between: Between,
  packet: Packet,
  outcome: Outcome,
): Cause {
  const { verdict, by, because } = outcome;
  const device = between.in ?? between.out;
  const evidence: Evidence[] = by === undefined
    ? []
    : [{ kind: "rule", text: ruleText(by), rule: by }];
  const place = by === undefined ? `the hook ${hook}` : `${by.table} ${by.chain}`;
  const did = {
    accept: "accepts it",
    drop: "drops it",
    reject: "refuses it",
    queue: "hands it to a program, which decides",
    stolen: "takes it away",
    unknown: "may stop it",
  }[verdict];
  const rule = by !== undefined && by.number > 0 ? `rule ${by.number} of ${place}` : place;
  const confirm = by === undefined ? undefined : commandFor(namespace, by, packet);
  const fix = by === undefined ? undefined : fixFor(namespace, by, packet);
  return {
    id: verdict === "accept" ? "netfilter-unknown" : IDS[verdict],
    namespace,
    ...(device === undefined ? {} : { device }),
    hook,
    what: `${rule} ${did}${because === undefined ? "" : `: ${because}`}`,
    evidence,
    ...(confirm === undefined ? {} : { confirm }),
    ...(fix === undefined ? {} : { fix }),
  };
}

function tool({ engine }: RuleReference, packet: Packet): string | undefined {
  const name = packet.source.family === 4 ? "iptables" : "ip6tables";
  if (engine === "iptables-legacy") return `${name}-legacy`;
  return engine === "iptables-nft" ? `${name}-nft` : undefined;
}

function commandFor(namespace: Namespace, rule: RuleReference, packet: Packet): string {
  const xtables = tool(rule, packet);
  const chain = shellWord(rule.chain);
  if (xtables !== undefined) {
    const number = rule.number > 0 ? ` ${rule.number}` : "";
    return namespace.command(`${xtables} -t ${shellWord(rule.table)} -vnL ${chain}${number}`);
  }
  if (rule.engine === "ipvs") return namespace.command("ipvsadm -Ln --stats");
  return namespace.command(`nft -a list chain ${rule.family} ${shellWord(rule.table)} ${chain}`);
}

function fixFor(namespace: Namespace, rule: RuleReference, packet: Packet): string | undefined {
  const xtables = tool(rule, packet);
  const what = "if it is not meant to be stopped";
  const chain = shellWord(rule.chain);
  if (xtables !== undefined && rule.number > 0) {
    const line = `${xtables} -t ${shellWord(rule.table)} -D ${chain} ${rule.number}`;
    return `${what}: ${namespace.command(line)}`;
  }
  if (xtables !== undefined) return `${what}, accept it in ${rule.chain} before its policy`;
  return rule.engine === "ipvs" ? undefined : `${what}, change the chain ${rule.chain}`;
}
