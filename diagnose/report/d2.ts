/**
 * A diagnosis as D2 (d2lang.com).
 *
 * @module
 */
import type { Graph, Standing } from "./graph.ts";

const STROKES: Readonly<Record<Standing, string>> = {
  passed: "#2e7d32",
  blocked: "#c62828",
  unknown: "#b26a00",
};

/** The text of a diagram; places of one node are in a container. */
export function d2Text({ title, places, hops }: Graph): string {
  const lines = ["direction: right", `title: ${quoted(title)} {near: top-center; shape: text}`];
  const nodes = [...new Set(places.map(({ node }) => node))];
  const paths = new Map<string, string>();
  for (const [index, node] of nodes.entries()) {
    lines.push(`n${index + 1}: ${quoted(`node ${node}`)} {`);
    for (const { id, label, kind, standing } of places.filter((place) => place.node === node)) {
      paths.set(id, `n${index + 1}.${id}`);
      const form = kind === "end" ? "; shape: hexagon" : "";
      lines.push(`  ${id}: ${quoted(label)} {style.stroke: ${quoted(STROKES[standing])}${form}}`);
    }
    lines.push("}");
  }
  for (const { from, to, label, standing, direction } of hops) {
    const dashes = direction === "answer" ? "; style.stroke-dash: 4" : "";
    lines.push(
      `${paths.get(from)} -> ${paths.get(to)}: ${quoted(label)} ` +
        `{style.stroke: ${quoted(STROKES[standing])}${dashes}}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

/** A quoted string; `$` would begin a substitution. */
function quoted(text: string): string {
  return `"${text.replace(/["\\$]/g, (each) => `\\${each}`)}"`;
}
