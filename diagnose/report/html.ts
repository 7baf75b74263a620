/**
 * A diagnosis as one page that needs nothing beside itself: no script, no font, no request.
 *
 * @module
 */
import { printable } from "../../agent/log.ts";
import type { Opinion } from "../kube/kube.ts";
import { backendText } from "../kube/service.ts";
import { type Diagnosis, endpoint } from "../walk/diagnosis.ts";
import type { End } from "../walk/trail.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { graphOf, WAYS_DRAWN_MAX } from "./graph.ts";
import { escaped, svgText } from "./svg.ts";

/** Backends, and rulings on them, that are shown. */
const BACKENDS_SHOWN_MAX = 16;

/** Colours in the light and in the dark; whoever prints gets the light ones. */
const LIGHT = "--ink:#1b1b1b;--soft:#555;--page:#fff;--card:#f6f7f8;--line:#d5d8dc;" +
  "--good:#1f6f2a;--goodfill:#eef7ef;--bad:#b3211c;--badfill:#fdeeed;" +
  "--open:#8a5200;--openfill:#fff7e6";
const DARK = "--ink:#e8e8e8;--soft:#a9adb3;--page:#16181b;--card:#202327;--line:#3a3f45;" +
  "--good:#7fcf8a;--goodfill:#16281a;--bad:#ff8a82;--badfill:#33191a;" +
  "--open:#f0b95c;--openfill:#30260f";

const STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media screen and (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  margin: 0 auto; max-width: 62rem; padding: 1.25rem; }
header { border: 1px solid; border-left-width: 8px; border-radius: 6px; padding: .8rem 1.1rem; }
header p { margin: 0; color: var(--ink); overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; line-height: 1.3; margin: .1rem 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.8rem 0 .6rem; } h3 { font-size: 1rem; margin: 0; }
.verdict { font-size: .8rem; font-weight: 700; letter-spacing: .08em; text-transform: uppercase; }
.reachable { color: var(--good); } .blocked { color: var(--bad); } .unknown { color: var(--open); }
header.reachable { background: var(--goodfill); } header.blocked { background: var(--badfill); }
header.unknown { background: var(--openfill); }
article { border: 1px solid var(--line); border-left: 6px solid var(--soft); border-radius: 6px;
  padding: .6rem 1rem; margin: .7rem 0; background: var(--card); break-inside: avoid; }
article.critical { border-left-color: var(--bad); }
article.warning { border-left-color: var(--open); }
article h3 + p { margin: 0; color: var(--soft); font-size: .85rem; }
code { font-family: ui-monospace, monospace; font-size: .88em; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1rem;
  margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
dd.do code { display: block; padding: .3rem .6rem; border: 1px solid var(--line);
  border-radius: 4px; background: var(--page); user-select: all; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: normal; }
figure { margin: 0; overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
figcaption { color: var(--soft); padding: .5rem 1rem; }
svg { display: block; } svg .paper { fill: var(--page); }
svg text { fill: var(--ink); } svg .small { fill: var(--soft); }
svg .place.passed { fill: var(--goodfill); stroke: var(--good); }
svg .place.blocked { fill: var(--badfill); stroke: var(--bad); }
svg .place.unknown { fill: var(--openfill); stroke: var(--open); }
svg .hop.passed { stroke: var(--good); } svg .hop.blocked { stroke: var(--bad); }
svg .hop.unknown { stroke: var(--open); }
svg .tip.passed { fill: var(--good); } svg .tip.blocked { fill: var(--bad); }
svg .tip.unknown { fill: var(--open); }
details { margin: .5rem 0; } summary { cursor: pointer; }
li { overflow-wrap: anywhere; padding: .1rem 0; } li code { color: var(--soft); }
footer { margin-top: 2rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 600px) { body { padding: .7rem; } dl { display: block; }
  dt { margin-top: .4rem; font-size: .85rem; } header { padding: .6rem .8rem; } }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } figure { overflow: visible; }
  svg { max-width: 100%; height: auto; }
  details::details-content { content-visibility: visible; block-size: auto; } }
`;

/** The page. */
export function htmlText(diagnosis: Diagnosis): string {
  const graph = graphOf(diagnosis);
  const { verdict, opinion, ways } = diagnosis;
  const findings = findingsOf(diagnosis);
  // The word itself stands above.
  const words = graph.title.replace(new RegExp(`^${verdict}(: | because | )`), "");
  const parts = [
    "<!DOCTYPE html>",
    `<html lang="en"><head><meta charset="utf-8">`,
    // Even if a name were markup, nothing in it could run or be fetched.
    `<meta http-equiv="Content-Security-Policy" ` +
    `content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<title>${text(graph.title)}</title><style>${STYLE}</style></head><body>`,
    `<header class="${verdict}"><span class="verdict">${text(verdict)}</span>`,
    `<h1>${text(words === "" ? graph.title : words)}</h1>`,
    `<p>${text(questionText(diagnosis))}</p></header>`,
    ...verificationSection(diagnosis),
    ...(findings.length === 0 ? [] : ["<h2>What to do</h2>", ...findings.map(article)]),
    ...(opinion === undefined ? [] : ["<h2>What the cluster wants</h2>", opinionTable(opinion)]),
    ...(graph.places.length === 0 ? [] : [
      "<h2>The way</h2>",
      `<figure>${svgText(graph, false)}`,
      `<figcaption>Solid lines are the request, dashed ones the answer.</figcaption></figure>`,
    ]),
    ...(graph.more === 0 ? [] : [`<p>${graph.more} more ways are not drawn</p>`]),
    ...ways.slice(0, WAYS_DRAWN_MAX).flatMap(({ request, answers }) => [
      wayDetails("Request", request),
      ...answers.slice(0, WAYS_DRAWN_MAX).map((answer) => wayDetails("Answer", answer)),
    ]),
    "<footer>Made by podskoop. This page is whole: it asks nothing of any server.</footer>",
    "</body></html>",
  ];
  return `${parts.join("\n")}\n`;
}

function questionText({ question, opinion, sender }: Diagnosis): string {
  const { source, destination, port, protocol } = question;
  const at = sender === undefined ? "" : ` (${sender.label} on ${sender.node})`;
  const from = opinion === undefined ? "" : `${opinion.source}, `;
  const to = opinion === undefined ? "" : `${opinion.destination}, `;
  return `${protocol} from ${from}${endpoint(source)}${at} to ${to}${endpoint(destination, port)}`;
}

/** What the walk says beside what a real packet did. */
function verificationSection({ verification, verdict }: Diagnosis): readonly string[] {
  if (verification === undefined) return [];
  const { agrees, text: words, seen = [] } = verification;
  const judged = agrees === undefined ? "unknown" : agrees ? "reachable" : "blocked";
  const rows = seen.map(({ by, where, text: what }) =>
    `<tr><th>${text(by)}</th><td>${text(`${where}: ${what}`)}</td></tr>`
  );
  return [
    "<h2>Prediction and reality</h2><table>",
    `<tr><th>the walk</th><td class="${verdict}">${text(verdict)}</td></tr>`,
    `<tr><th>a real packet</th><td class="${judged}">${text(words)}</td></tr>`,
    ...rows,
    "</table>",
  ];
}

function opinionTable({ source, destination, intent, enforcers, rulings }: Opinion): string {
  const backends = intent?.backends.map(backendText) ?? [];
  const shown = backends.slice(0, BACKENDS_SHOWN_MAX);
  const more = backends.length - shown.length;
  const rows = [
    ["from", source],
    ["to", destination],
    ...shown.map((each) => ["backend", each]),
    ...(more > 0 ? [["", `and ${more} other backends`]] : []),
    ...rulings.slice(0, BACKENDS_SHOWN_MAX).flatMap(({ to, rulings: { verdict, ...both } }) => [
      ["policies", `${to}: ${verdict}`],
      ["egress", both.egress.because],
      ["ingress", both.ingress.because],
    ]),
    ...(enforcers.length > 0 ? [["enforced by", enforcers.join(", ")]] : []),
  ];
  const lines = rows.map(([name = "", value = ""]) =>
    `<tr><th>${text(name)}</th><td>${text(value)}</td></tr>`
  );
  return `<table>${lines.join("")}</table>`;
}

function article(finding: Finding): string {
  const { id, severity, certainty, direction, message, where, evidence, confirm, fix } = finding;
  const place = [`${where.namespace} on ${where.node}`, where.device, where.hook]
    .filter((each) => each !== undefined).join(", ");
  const rows = [
    row("where", place),
    ...evidence.map((each) => row(each.kind, each.text, "evidence")),
    row("confirm", confirm, "do"),
    row("fix", fix, "fix"),
  ];
  const which = direction === "answer" ? ", on the answer's way" : "";
  return `<article class="${severity}"><h3>${text(message)}</h3>` +
    `<p>${text(`${severity}, ${certainty}${which}: ${id}`)}</p>` +
    `<dl>${rows.join("")}</dl></article>`;
}

/** A row of a finding; `kind` says whether it is text, a machine's words, or a command. */
function row(name: string, value = "", kind: "text" | "evidence" | "do" | "fix" = "text"): string {
  if (value === "") return "";
  const shown = kind === "text" || kind === "fix" ? text(value) : `<code>${text(value)}</code>`;
  return `<dt>${text(name)}</dt><dd class="${kind}">${shown}</dd>`;
}

function wayDetails(title: string, { trail: { steps, chance }, verdict, cause }: End): string {
  const odds = chance < 1 ? `, ${Math.round(chance * 1000) / 10} % of the connections` : "";
  const items = steps.map((step) => {
    const { source, sourcePort, destination, destinationPort } = step.packet;
    const packet = `${endpoint(source, sourcePort)} > ${endpoint(destination, destinationPort)}`;
    return `<li>${text(`${step.namespace.label}: ${step.text}`)} <code>${text(packet)}</code></li>`;
  });
  const last = cause === undefined ? [] : [`<li class="${verdict}">${text(cause.what)}</li>`];
  return `<details><summary>${text(`${title}: ${verdict}${odds}`)}</summary>` +
    `<ol>${[...items, ...last].join("")}</ol></details>`;
}

function text(value: string): string {
  return escaped(printable(value));
}
