/**
 * A diagnosis for people at a terminal.
 *
 * @module
 */
import { printable } from "../../agent/log.ts";
import type { Resolution } from "../kube/dns.ts";
import type { Opinion } from "../kube/kube.ts";
import { formatAddress } from "../packet/address.ts";
import type { Packet } from "../packet/packet.ts";
import { type Diagnosis, endpoint } from "../walk/diagnosis.ts";
import type { End, Step } from "../walk/trail.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { headline } from "./headline.ts";

/** Ways that are shown; of the others, how many there are. */
const WAYS_SHOWN_MAX = 4;
const INDENT = 2;
/** The longest name of a row, and a gap. */
const NAMES = 11;

/** A diagnosis in lines of at most `columns`. */
export function diagnosisText(diagnosis: Diagnosis, columns = 80): string {
  const lines: string[] = [...wrapped(headline(diagnosis), columns, 0, 0), ""];
  const { opinion, verification, resolution } = diagnosis;
  if (verification !== undefined) lines.push(...verificationLines(diagnosis, columns), "");
  if (resolution !== undefined) lines.push(...lookupLines(resolution, columns), "");
  if (opinion !== undefined) lines.push(...opinionLines(opinion, columns), "");
  for (const finding of findingsOf(diagnosis)) lines.push(...findingLines(finding, columns), "");
  const { ways } = diagnosis;
  for (const [index, { request, answers }] of ways.slice(0, WAYS_SHOWN_MAX).entries()) {
    const number = ways.length > 1 ? ` ${index + 1} of ${ways.length}` : "";
    lines.push(...wayLines(`Request${number}`, request, columns), "");
    for (const answer of answers.slice(0, WAYS_SHOWN_MAX)) {
      lines.push(...wayLines("Answer", answer, columns), "");
    }
  }
  if (ways.length > WAYS_SHOWN_MAX) {
    lines.push(`and ${ways.length - WAYS_SHOWN_MAX} other ways; --format json has them all`, "");
  }
  return lines.join("\n");
}

/** What the walk says above what a real packet did. */
function verificationLines({ verification, verdict }: Diagnosis, columns: number): string[] {
  const row = (name: string, text: string) =>
    wrapped(`${name.padEnd(NAMES)}${text}`, columns, 0, NAMES);
  return [
    ...row("predicted", verdict),
    ...row("verified", verification?.text ?? ""),
    ...(verification?.seen ?? []).flatMap(({ by, where, text }) => row(by, `${where}: ${text}`)),
  ];
}

/** What the name leads to, and who is asked for it. */
function lookupLines({ name, by, addresses, tried, nameservers }: Resolution, columns: number) {
  const row = (title: string, text: string) =>
    wrapped(`${title.padEnd(NAMES)}${text}`, columns, 0, NAMES);
  const found = addresses.length === 0 ? "nothing known" : addresses.map(formatAddress).join(", ");
  const last = tried.at(-1)?.name ?? name;
  const whole = last === name || addresses.length === 0 ? "" : ` as ${last}`;
  const lines = row("name", `${name}${whole}: ${found}${by === "hosts" ? " (by hosts)" : ""}`);
  for (const { address, udp, tcp } of nameservers) {
    const service = udp.opinion?.intent === undefined ? "" : ` (${udp.opinion.destination})`;
    const text = `${formatAddress(address)}${service}: UDP ${udp.verdict}, TCP ${tcp.verdict}`;
    lines.push(...row("nameserver", text));
  }
  return lines;
}

/** Who the ends are, and what allows it; what forbids it is among the findings. */
function opinionLines({ source, destination, intent, rulings }: Opinion, columns: number) {
  const row = (name: string, text: string) =>
    wrapped(`${name.padEnd(NAMES)}${text}`, columns, 0, NAMES);
  const lines = [...row("from", source), ...row("to", destination)];
  for (const { address, port, node } of intent?.backends.slice(0, WAYS_SHOWN_MAX) ?? []) {
    const on = node === "" ? "" : ` on node ${node}`;
    lines.push(...row("backend", `${endpoint(address, port)}${on}`));
  }
  const more = (intent?.backends.length ?? 0) - WAYS_SHOWN_MAX;
  if (more > 0) lines.push(...row("", `and ${more} other backends`));
  const [first] = rulings;
  const isAllowed = rulings.every(({ rulings: { verdict } }) => verdict === "allowed");
  if (first !== undefined && isAllowed) {
    const { egress, ingress } = first.rulings;
    lines.push(
      ...row("policies", `allowed: egress, ${egress.because}; ingress, ${ingress.because}`),
    );
  }
  return lines;
}

function findingLines(finding: Finding, columns: number): string[] {
  const { severity, certainty, id, message, where, evidence, confirm, fix, direction } = finding;
  const which = direction === "answer" ? " (answer)" : "";
  const row = (name: string, text: string) =>
    wrapped(`${name.padEnd(NAMES)}${text}`, columns, INDENT, INDENT + NAMES);
  const device = where.device === undefined ? "" : `, device ${where.device}`;
  const hook = where.hook === undefined ? "" : `, hook ${where.hook}`;
  return [
    ...wrapped(`${severity} (${certainty}) ${id}${which}: ${message}`, columns, 0, INDENT),
    ...row("where", `${where.namespace} on ${where.node}${device}${hook}`),
    ...evidence.flatMap(({ kind, text }) => row(kind, text)),
    ...(confirm === undefined ? [] : row("confirm", confirm)),
    ...(fix === undefined ? [] : row("fix", fix)),
  ];
}

function wayLines(title: string, end: End, columns: number): string[] {
  const { trail: { steps, chance, assumptions } } = end;
  const odds = chance < 1 ? `, ${Math.round(chance * 1000) / 10} % of the connections` : "";
  const lines = [`${title}: ${end.verdict}${odds}`];
  let namespace: Step["namespace"] | undefined;
  let shown = "";
  for (const step of steps) {
    if (step.namespace !== namespace) {
      namespace = step.namespace;
      lines.push(...wrapped(namespace.label, columns, INDENT, INDENT));
    }
    const own = packetText(step.packet);
    const changed = own === shown ? "" : ` [${own}]`;
    shown = own;
    const indent = INDENT * (2 + step.depth);
    lines.push(...wrapped(`${step.text}${changed}`, columns, indent, indent + INDENT));
  }
  if (end.cause !== undefined) {
    const mark = end.verdict === "blocked" ? "x" : "?";
    lines.push(...wrapped(`${mark} ${end.cause.what}`, columns, INDENT * 2, INDENT * 3));
  }
  for (const each of assumptions) {
    lines.push(...wrapped(`assumed: ${each}`, columns, INDENT, INDENT * 2));
  }
  return lines;
}

function packetText(packet: Packet): string {
  const { source, sourcePort, destination, destinationPort, mark } = packet;
  const marked = mark === 0 ? "" : ` mark 0x${mark.toString(16)}`;
  return `${endpoint(source, sourcePort)} > ${endpoint(destination, destinationPort)}${marked}`;
}

/** Lines with what a terminal would act on made printable, each after the first indented more. */
function wrapped(text: string, columns: number, first: number, rest: number): string[] {
  const lines: string[] = [];
  let line = " ".repeat(first);
  let empty = true;
  for (const word of printable(text).split(" ")) {
    if (!empty && line.length + 1 + word.length > columns) {
      lines.push(line.trimEnd());
      line = " ".repeat(rest);
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  lines.push(line.trimEnd());
  return lines;
}
