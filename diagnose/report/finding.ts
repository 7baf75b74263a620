/**
 * What a diagnosis found: each finding with where, why, how to see it, and what would mend it.
 *
 * @module
 */
import { formatAddress } from "../packet/address.ts";
import type { Remark } from "../kube/kube.ts";
import type { Diagnosis } from "../walk/diagnosis.ts";
import { dnsFindings } from "./dns_findings.ts";
import type { Namespace } from "../walk/namespace.ts";
import type { Cause, End } from "../walk/trail.ts";

/** `critical` stops packets, `warning` may, `hint` is worth a look. */
export type Severity = "critical" | "warning" | "hint";

/** Whether it holds for all packets, for some, or cannot be known. */
export type Certainty = "certain" | "sometimes" | "possible";

/** A finding. */
export interface Finding {
  readonly id: string;
  readonly severity: Severity;
  readonly certainty: Certainty;
  /** Which packets: those of the request, or of the answer. */
  readonly direction: "request" | "answer" | "both";
  readonly message: string;
  readonly where: {
    readonly node: string;
    /** As people call it. */
    readonly namespace: string;
    readonly netns: number;
    readonly device?: string;
    readonly hook?: string;
  };
  readonly evidence: readonly { readonly kind: string; readonly text: string }[];
  /** A command that shows it on the node. */
  readonly confirm?: string;
  readonly fix?: string;
}

const SEVERITIES: readonly Severity[] = ["critical", "warning", "hint"];
const CERTAINTIES: readonly Certainty[] = ["certain", "sometimes", "possible"];

/** A table of connections this full is worth a word. */
const FULL_SHARE = 0.9;

/** All that a diagnosis found, the root cause first. */
export function findingsOf(diagnosis: Diagnosis): readonly Finding[] {
  const found: Finding[] = [];
  const requests = diagnosis.ways.map(({ request }) => request);
  const answers = diagnosis.ways.flatMap(({ answers: ends }) => ends);
  // Of a name that nobody knows, only the way to its nameservers was walked.
  const isNamed = diagnosis.question.lookup?.addresses.length === 0;
  if (!isNamed) {
    found.push(...stopped(requests, "request"), ...stopped(answers, "answer"));
    for (const end of diagnosis.large) found.push(...tooLarge(end));
    found.push(...crowded([...requests, ...answers]));
    found.push(...remarked(diagnosis));
  }
  found.push(...dnsFindings(diagnosis.resolution, startOf(diagnosis), findingsOf));
  return ordered(unique(found));
}

function stopped(ends: readonly End[], direction: "request" | "answer"): Finding[] {
  const through = ends.some(({ verdict }) => verdict === "delivered");
  return ends.flatMap((end): Finding[] => {
    if (end.cause === undefined) return [];
    const known = end.verdict === "blocked";
    const certainty = !known ? "possible" : through ? "sometimes" : "certain";
    const way = end.cause.third === true ? "request" : direction;
    return [findingOf(end.cause, way, known ? "critical" : "warning", certainty)];
  });
}

/** A finding from why a way ends. */
export function findingOf(
  cause: Cause,
  direction: Finding["direction"],
  severity: Severity,
  certainty: Certainty,
): Finding {
  const { id, namespace, device, hook, what, evidence, confirm, fix } = cause;
  return {
    ...{ id, severity, certainty, direction, message: what },
    where: {
      ...placeOf(namespace),
      ...(device === undefined || device === "" ? {} : { device }),
      ...(hook === undefined ? {} : { hook }),
    },
    evidence: evidence.map(({ kind, text }) => ({ kind, text })),
    ...(confirm === undefined ? {} : { confirm }),
    ...(fix === undefined ? {} : { fix }),
  };
}

function placeOf({ node, label, snapshot: { netns } }: Namespace) {
  return { node, namespace: label, netns };
}

/** What a cluster's objects say, each of the pod or node that it is of, else of the way's start. */
function remarked({ opinion, sender, question, ways }: Diagnosis): Finding[] {
  const ends = ways.flatMap(({ request, answers }) => [request, ...answers]);
  const passed = new Set(ends.flatMap(({ trail }) => trail.steps.map((step) => step.namespace)));
  const start = startOf({ sender, question });
  return (opinion?.remarks ?? []).map(({ at, ...remark }) => {
    const where = at === undefined ? start : placeNamed(at, [...passed]);
    return { ...remark, direction: "request", where };
  });
}

function startOf(
  { sender, question }: Pick<Diagnosis, "question"> & { sender?: Namespace | undefined },
) {
  return sender === undefined
    ? { node: "", namespace: formatAddress(question.source), netns: 0 }
    : placeOf(sender);
}

function placeNamed({ pod, node }: NonNullable<Remark["at"]>, passed: readonly Namespace[]) {
  const found = passed.find(({ node: own, snapshot: { host, owner } }) =>
    pod === undefined
      ? host && own === node
      : owner.kind === "pod" && `${owner.namespace}/${owner.name}` === pod
  );
  if (found !== undefined) return placeOf(found);
  return { node, namespace: pod === undefined ? `node ${node}` : `pod ${pod}`, netns: 0 };
}

function tooLarge({ cause, namespace }: End): Finding[] {
  if (cause === undefined) return [];
  const silent = cause.id === "mtu-silent";
  const finding = findingOf(
    { ...cause, namespace },
    "both",
    silent ? "warning" : "hint",
    silent ? "certain" : "possible",
  );
  const ending = silent
    ? "connections open, and then hang"
    : "connections live only if ICMP reaches the sender";
  return [{ ...finding, message: `${finding.message}: ${ending}` }];
}

/** Namespaces on the way whose table of connections is nearly full. */
function crowded(ends: readonly End[]): Finding[] {
  const passed = new Set(ends.flatMap(({ trail }) => trail.steps.map((step) => step.namespace)));
  return [...passed].flatMap((namespace): Finding[] => {
    const { conntrack } = namespace.snapshot;
    if (conntrack === undefined || conntrack.count < conntrack.max * FULL_SHARE) return [];
    return [{
      id: "conntrack-full",
      severity: "warning",
      certainty: "possible",
      direction: "both",
      message: "the table of connections is nearly full: when it is, new ones are dropped",
      where: placeOf(namespace),
      evidence: [{ kind: "sysctl", text: `${conntrack.count} of ${conntrack.max} connections` }],
      confirm: namespace.command("conntrack -S"),
      fix: "sysctl -w net.netfilter.nf_conntrack_max=NUMBER",
    }];
  });
}

function unique(findings: readonly Finding[]): Finding[] {
  const seen = new Map<string, Finding>();
  for (const finding of findings) {
    const key = `${finding.id} ${finding.where.node} ${finding.where.netns} ${finding.message}`;
    if (!seen.has(key)) seen.set(key, finding);
  }
  return [...seen.values()];
}

/** The worst and surest first; what stops the request before what stops its answer. */
function ordered(findings: readonly Finding[]): readonly Finding[] {
  const rank = ({ severity, certainty, direction }: Finding) =>
    SEVERITIES.indexOf(severity) * 100 + CERTAINTIES.indexOf(certainty) * 10 +
    (direction === "answer" ? 1 : 0);
  return findings.toSorted((a, b) => rank(a) - rank(b));
}
