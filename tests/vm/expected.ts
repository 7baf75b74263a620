/**
 * What each kernel of the matrix must show, and what of a guest's report is not so.
 *
 * @module
 */
import { type Report, type Series } from "./report.ts";

/** The hooks that each kernel must come to, by what it has (see the probes' cards). */
const HOOKS: Readonly<Record<Series, Readonly<Record<string, string>>>> = {
  "5.10": {
    biolatency: "biolatency_insert",
    dns: "dns_linear",
    packetloss: "packetloss_location",
    socketlatency: "socketlatency",
    tcpreset: "tcpreset_fentry",
  },
  "6.1": {
    biolatency: "biolatency_insert",
    dns: "dns_linear",
    packetloss: "packetloss",
    socketlatency: "socketlatency",
    tcpreset: "tcpreset_fentry",
    virtcmdlatency: "virtcmdlatency_command",
  },
  "6.12": {
    biolatency: "biolatency",
    dns: "dns",
    packetloss: "packetloss",
    socketlatency: "socketlatency",
    tcpreset: "tcpreset",
    virtcmdlatency: "virtcmdlatency",
  },
  newest: {
    biolatency: "biolatency",
    dns: "dns",
    packetloss: "packetloss",
    socketlatency: "socketlatency",
    tcpreset: "tcpreset",
    virtcmdlatency: "virtcmdlatency",
  },
};

const UNREAD = /^This kernel leads to no bytes that are apart from a packet's headers/;

/** Probes that may be degraded, and what they must then say. */
const MISSES: Readonly<Partial<Record<Series, Readonly<Record<string, RegExp>>>>> = {
  "5.10": {
    dns: UNREAD,
    fib: /^This kernel gives no drop reasons/,
    packetloss: /^This kernel gives no drop reasons/,
  },
  "6.1": { dns: UNREAD },
};

/** Probes that cannot work, and what they must say of it. */
const FAILS: Readonly<Partial<Record<Series, Readonly<Record<string, RegExp>>>>> = {
  "5.10": { virtcmdlatency: /The kernel cannot pin a kprobe/ },
};

/** What a guest has shown that should be otherwise: a line for each. */
export function shortcomings(
  series: Series,
  report: Report,
  probes: readonly string[],
): readonly string[] {
  const checks = report.checks.filter(({ found, wanted }) => found !== wanted)
    .map(({ name, found, wanted }) => `${name}: "${found}", not "${wanted}"`);
  const hooks = Object.entries(HOOKS[series]).map(([probe, wanted]) => {
    const found = report.probes[probe]?.hooks;
    return found === wanted ? "" : `${probe} uses "${found}", not "${wanted}"`;
  });
  const states = probes.flatMap((probe) => {
    const { state, because = "" } = report.probes[probe] ?? { state: "Absent" };
    const fails = FAILS[series]?.[probe];
    const says = fails ?? MISSES[series]?.[probe];
    const wanted = fails !== undefined ? "Failed" : says === undefined ? "Running" : "Degraded";
    // The table breaks lines where a terminal ends, so words are compared.
    const words = (text: string) => text.split(/\s+/).join(" ");
    return [
      state === wanted ? "" : `${probe} is "${state}", not "${wanted}": ${because}`,
      says?.test(because) ?? true ? "" : `${probe} says "${because}"`,
      words(report.listing).includes(words(because)) ? "" : `The listing lacks "${because}"`,
    ];
  });
  return [...checks, ...hooks, ...states].filter((line) => line !== "");
}
