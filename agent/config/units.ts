/**
 * Reads what a configuration says of single probes and collectors.
 *
 * @module
 */
import type { ParameterValue } from "../probe.ts";
import type { ParameterCard, UnitCard, UnitChoice } from "./config.ts";
import { defaultChoice, defaultParameters } from "./defaults.ts";
import { type Findings, isMapping, type Mapping, type Path, quoted } from "./document.ts";
import { meaningOf } from "./names.ts";
import { suggestion } from "./nearest.ts";

/** Both halves of a unit. */
export const HALVES = ["metrics", "events"] as const;
export type Half = typeof HALVES[number];

type Choices = Record<string, UnitChoice>;

/** `probes` of our own schema: what is said there, by the units' own names. */
export function readUnits(
  probes: Mapping,
  units: readonly UnitCard[],
  findings: Findings,
): Readonly<Record<string, UnitChoice>> {
  const choices: Choices = {};
  const said = new Map<string, string>();
  for (const [name, value] of Object.entries(probes)) {
    const at: Path = ["probes", name];
    for (const unit of unitsNamed(name, at, units, findings)) {
      const before = said.get(unit.name);
      if (before !== undefined) {
        findings.mistake(at, `it is the same as "probes.${before}": keep one of them`);
        continue;
      }
      said.set(unit.name, name);
      const choice = readChoice(value, at, unit, findings);
      if (choice !== undefined) choices[unit.name] = choice;
    }
  }
  return choices;
}

/** The units that a name means; what it does not mean goes to the findings. */
export function unitsNamed(
  name: string,
  at: Path,
  units: readonly UnitCard[],
  findings: Findings,
): readonly UnitCard[] {
  const meaning = meaningOf(name, units);
  if (meaning.unknown !== undefined) {
    findings.mistake(at, `no probe or collector is called ${quoted(name)}: ${meaning.unknown}`);
  }
  if (meaning.absent.length > 0) {
    findings.warning(at, `has no effect: "${meaning.absent.join(", ")}" is not in this build`);
  }
  return meaning.units;
}

function readChoice(
  value: unknown,
  at: Path,
  unit: UnitCard,
  findings: Findings,
): UnitChoice | undefined {
  if (typeof value === "boolean") {
    return {
      metrics: value && unit.gives.metrics,
      events: value && unit.gives.events,
      parameters: defaultParameters(unit),
    };
  }
  if (!isMapping(value)) {
    findings.mistake(
      at,
      `it must be true, false or a mapping of ${keysOf(unit).join(", ")}: ` +
        `current value is ${quoted(value)}`,
    );
    return undefined;
  }
  const mistakes = findings.mistakes.length;
  const choice = readMapping(value, at, unit, findings);
  if (findings.mistakes.length > mistakes) return undefined;
  if (!choice.metrics && !choice.events && !HALVES.some((half) => half in value)) {
    const half = unit.gives.metrics ? "metrics" : "events";
    findings.warning(at, `has no effect: ${unit.name} does not run without \`${half}: true\``);
  }
  return choice;
}

function keysOf(unit: UnitCard): readonly string[] {
  return [...HALVES, ...Object.keys(unit.parameters)];
}

function readMapping(value: Mapping, at: Path, unit: UnitCard, findings: Findings): UnitChoice {
  const choice = { ...defaultChoice(unit), parameters: defaultParameters(unit) };
  for (const [key, said] of Object.entries(value)) {
    const half = HALVES.find((each) => each === key);
    if (half !== undefined) {
      if (checkHalf(said, half, [...at, key], unit, findings)) choice[half] = said;
      continue;
    }
    if (checkParameter(key, said, [...at, key], unit, findings)) choice.parameters[key] = said;
  }
  return choice;
}

function checkHalf(
  said: unknown,
  half: Half,
  at: Path,
  unit: UnitCard,
  findings: Findings,
): said is boolean {
  if (typeof said !== "boolean") {
    findings.mistake(at, `it must be true or false: current value is ${quoted(said)}`);
    return false;
  }
  if (said && !unit.gives[half]) {
    findings.mistake(at, `${unit.name} gives no ${half}: current value is true`);
    return false;
  }
  return true;
}

/** Whether a value is one that the unit's parameter may have. */
export function checkParameter(
  key: string,
  said: unknown,
  at: Path,
  unit: UnitCard,
  findings: Findings,
): said is ParameterValue {
  const parameter = Object.hasOwn(unit.parameters, key) ? unit.parameters[key] : undefined;
  if (parameter === undefined) {
    findings.mistake(at, `${unit.name} has no such key: ${suggestion(key, keysOf(unit))}`);
    return false;
  }
  if (fits(said, parameter)) return true;
  const what = wanted(parameter);
  findings.mistake(at, `it must be ${what}: current value is ${quoted(said)}`);
  return false;
}

function fits(said: unknown, { default: usual, ...bounds }: ParameterCard): boolean {
  if (typeof usual === "boolean") return typeof said === "boolean";
  if (typeof usual === "string") {
    const { words, pattern } = bounds;
    return typeof said === "string" && said.length <= LIST_MAX &&
      listed(said).every((word) =>
        (words?.includes(word) ?? true) && (pattern?.test(word) ?? true)
      );
  }
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds;
  return typeof said === "number" && Number.isInteger(said) && said >= min && said <= max;
}

/** Characters of a list of words. */
const LIST_MAX = 4_096;

function listed(text: string): readonly string[] {
  return text.split(",").map((word) => word.trim()).filter((word) => word !== "");
}

function wanted({ default: usual, ...bounds }: ParameterCard): string {
  if (typeof usual === "boolean") return "true or false";
  if (typeof usual === "number") {
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds;
    return `a whole number from ${min} to ${max}`;
  }
  const { words, pattern } = bounds;
  const which = words === undefined
    ? `each of which fits ${pattern?.source ?? "anything"}`
    : `of ${words.join(", ")}`;
  return `words with commas between, ${which}`;
}
