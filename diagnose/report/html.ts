/**
 * A diagnosis as one page that needs nothing beside itself: no script, no font, no request.
 *
 * @module
 */
import { printable } from "../../agent/log.ts";
import { type Diagnosis, endpoint } from "../walk/diagnosis.ts";
import type { End } from "../walk/trail.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { graphOf, WAYS_DRAWN_MAX } from "./graph.ts";
import { escaped, svgText } from "./svg.ts";

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; margin: 0 auto;
  max-width: 60rem; padding: 1.5rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.reachable { color: #2e7d32; } .blocked { color: #c62828; } .unknown { color: #b26a00; }
article { border-left: 4px solid #999; padding: .2rem 1rem; margin: 1rem 0; background: #fafafa; }
.critical { border-color: #c62828; } .warning { border-color: #b26a00; }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .5rem 0; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 0; overflow-x: auto; } svg { max-width: 100%; height: auto; }
details { margin: .5rem 0; } li { overflow-wrap: anywhere; }
`;

/** The page. */
export function htmlText(diagnosis: Diagnosis): string {
  const graph = graphOf(diagnosis);
  const { question: { source, destination, port, protocol }, opinion, ways } = diagnosis;
  const from = opinion?.source ?? endpoint(source);
  const to = opinion?.destination ?? endpoint(destination, port);
  const findings = findingsOf(diagnosis);
  const parts = [
    "<!DOCTYPE html>",
    `<html lang="en"><head><meta charset="utf-8">`,
    // Even if a name were markup, nothing in it could run or be fetched.
    `<meta http-equiv="Content-Security-Policy" ` +
    `content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<title>${text(graph.title)}</title><style>${STYLE}</style></head><body>`,
    `<h1 class="${diagnosis.verdict}">${text(graph.title)}</h1>`,
    `<p>${text(`${protocol} from ${from} to ${to}`)}</p>`,
    ...(findings.length === 0 ? [] : ["<h2>Findings</h2>", ...findings.map(article)]),
    "<h2>The way</h2>",
    `<figure>${svgText(graph)}</figure>`,
    ...(graph.more === 0 ? [] : [`<p>${graph.more} more ways are not drawn</p>`]),
    ...ways.slice(0, WAYS_DRAWN_MAX).flatMap(({ request, answers }) => [
      wayDetails("Request", request),
      ...answers.slice(0, WAYS_DRAWN_MAX).map((answer) => wayDetails("Answer", answer)),
    ]),
    "</body></html>",
  ];
  return `${parts.join("\n")}\n`;
}

function article(finding: Finding): string {
  const { id, severity, certainty, message, where, evidence, confirm, fix } = finding;
  const place = [`${where.namespace} on ${where.node}`, where.device, where.hook]
    .filter((each) => each !== undefined).join(", ");
  const rows: readonly (readonly [string, string | undefined, boolean])[] = [
    ["where", place, false],
    ...evidence.map((each) => [each.kind, each.text, true] as const),
    ["confirm", confirm, true],
    ["fix", fix, false],
  ];
  const list = rows.filter(([, value]) => value !== undefined && value !== "").map((row) => {
    const [name, value = "", isCode] = row;
    const shown = isCode ? `<code>${text(value)}</code>` : text(value);
    return `<dt>${text(name)}</dt><dd>${shown}</dd>`;
  });
  return `<article class="${severity}"><strong>${text(message)}</strong>` +
    `<dl><dt>${text(severity)}</dt><dd>${text(`${certainty}, ${id}`)}</dd>${list.join("")}</dl>` +
    "</article>";
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
