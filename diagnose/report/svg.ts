/**
 * A diagnosis as a drawing: places from top to bottom in the order in which packets came to them,
 * hops to the next place straight, all others around the side.
 *
 * @module
 */
import type { Graph, Hop, Place, Standing } from "./graph.ts";

const COLOURS: Readonly<Record<Standing, { readonly line: string; readonly fill: string }>> = {
  passed: { line: "#2e7d32", fill: "#f1f8f1" },
  blocked: { line: "#c62828", fill: "#fdeeee" },
  unknown: { line: "#b26a00", fill: "#fff8e8" },
};

/** Measures, in pixels. */
const BOX = { left: 24, width: 560, head: 30, line: 17, foot: 10 } as const;
const GAP = 46;
const TOP = 44;
/** How far hops around the side are apart, and the most room they take. */
const LANE = 18;
const LANES_MAX = 24;
/** What fits into a box, and into the line above all boxes. */
const CHARACTERS_MAX = 76;
const LINE_CHARACTERS_MAX = 82;
/** Steps that a box tells. */
const STEPS_SHOWN_MAX = 6;

interface Box {
  readonly place: Place;
  readonly index: number;
  readonly top: number;
  readonly height: number;
  readonly lines: readonly string[];
}

/** The drawing, as a document of its own; `titled` unless its title is around it. */
export function svgText(graph: Graph, titled = true): string {
  const boxes = boxesOf(graph.places, titled ? TOP : GAP / 2);
  const around = graph.hops.filter((hop) => !isNext(boxes, hop));
  const last = boxes.at(-1);
  const height = (last === undefined ? TOP : last.top + last.height) + GAP / 2;
  const width = BOX.left * 2 + BOX.width + Math.min(around.length, LANES_MAX) * LANE + LANE;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 ${width} ${height}" ` +
    `width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="13">`,
    `<title>${escaped(graph.title)}</title>`,
    `<rect class="paper" width="100%" height="100%" fill="#ffffff"/>`,
    markers(),
    ...(titled
      ? [
        `<text x="${BOX.left}" y="24" font-weight="600">${escaped(cut(graph.title))}</text>`,
      ]
      : []),
    ...boxes.map(boxText),
    ...graph.hops.filter((hop) => isNext(boxes, hop)).map((hop, index, all) =>
      straight(boxes, hop, all.findIndex((each) => pair(each) === pair(hop)) !== index)
    ),
    ...around.map((hop, index) => curved(boxes, hop, index % LANES_MAX)),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

function pair({ from, to }: Hop): string {
  return [from, to].sort().join();
}

function boxesOf(places: readonly Place[], first: number): readonly Box[] {
  let top = first;
  return places.map((place, index) => {
    const shown = place.does.slice(0, STEPS_SHOWN_MAX);
    const more = place.does.length - shown.length;
    const lines = more > 0 ? [...shown, `and ${more} more`] : shown;
    const height = BOX.head + lines.length * BOX.line + (lines.length > 0 ? BOX.foot : 0);
    const box = { place, index, top, height, lines };
    top += height + GAP;
    return box;
  });
}

function boxText({ place: { label, node, kind, standing }, top, height, lines }: Box): string {
  const { line, fill } = COLOURS[standing];
  const mark = kind === "end" ? (standing === "blocked" ? "✕ " : "? ") : "";
  const where = kind === "namespace" ? ` on ${node}` : "";
  const dash = kind === "end" ? ` stroke-dasharray="5 3"` : "";
  return [
    `<g><rect class="place ${standing}" x="${BOX.left}" y="${top}" ` +
    `width="${BOX.width}" height="${height}" rx="6" ` +
    `fill="${fill}" stroke="${line}"${dash}/>`,
    `<text x="${BOX.left + 12}" y="${top + 20}" font-weight="600" fill="#1b1b1b">` +
    `${escaped(cut(`${mark}${label}${where}`))}</text>`,
    ...lines.map((text, index) =>
      `<text x="${BOX.left + 12}" y="${top + BOX.head + 12 + index * BOX.line}" ` +
      `class="small" font-size="12" fill="#444444">${
        escaped(cut(text, LINE_CHARACTERS_MAX))
      }</text>`
    ),
    "</g>",
  ].join("\n");
}

function isNext(boxes: readonly Box[], { from, to }: Hop): boolean {
  const [one, other] = [indexOf(boxes, from), indexOf(boxes, to)];
  return Math.abs(one - other) === 1;
}

function indexOf(boxes: readonly Box[], id: string): number {
  return boxes.findIndex(({ place }) => place.id === id);
}

/** A hop between neighbours; requests run on the left, answers beside them. */
function straight(boxes: readonly Box[], hop: Hop, isSecond: boolean): string {
  const from = boxes[indexOf(boxes, hop.from)];
  const to = boxes[indexOf(boxes, hop.to)];
  if (from === undefined || to === undefined) return "";
  const x = BOX.left + (hop.direction === "answer" ? 320 : 60) + (isSecond ? 12 : 0);
  const down = from.index < to.index;
  const [y1, y2] = down ? [from.top + from.height, to.top - 2] : [from.top, to.top + to.height + 2];
  const label = hop.label === ""
    ? ""
    : `<text x="${x + 8}" y="${(y1 + y2) / 2 + 4}" class="small" font-size="11" fill="#666666">` +
      `${escaped(cut(hop.label))}</text>`;
  return `<path d="M ${x} ${y1} L ${x} ${y2}" ${stroke(hop)}/>${label}`;
}

/** A hop to a place further away: around the right side. */
function curved(boxes: readonly Box[], hop: Hop, lane: number): string {
  const from = boxes[indexOf(boxes, hop.from)];
  const to = boxes[indexOf(boxes, hop.to)];
  if (from === undefined || to === undefined) return "";
  const right = BOX.left + BOX.width;
  const x = right + LANE * (lane + 1);
  const [y1, y2] = [from.top + from.height / 2, to.top + to.height / 2];
  const title = `<title>${escaped(hop.label)}</title>`;
  return `<path d="M ${right} ${y1} L ${x} ${y1} L ${x} ${y2} L ${right + 2} ${y2}" ` +
    `${stroke(hop)}>${title}</path>`;
}

function stroke({ standing, direction }: Hop): string {
  const dash = direction === "answer" ? ` stroke-dasharray="6 4"` : "";
  return `class="hop ${standing}" fill="none" stroke="${
    COLOURS[standing].line
  }" stroke-width="1.5"${dash} ` +
    `marker-end="url(#${standing})"`;
}

function markers(): string {
  const all = Object.entries(COLOURS).map(([name, { line }]) =>
    `<marker id="${name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" ` +
    `orient="auto"><path class="tip ${name}" d="M 0 0 L 8 4 L 0 8 z" fill="${line}"/></marker>`
  );
  return `<defs>${all.join("")}</defs>`;
}

function cut(text: string, max: number = CHARACTERS_MAX): string {
  const all = Array.from(text);
  return all.length <= max ? text : `${all.slice(0, max - 1).join("")}…`;
}

/** Text that is markup nowhere, neither here nor in HTML. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}
