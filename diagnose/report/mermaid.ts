/**
 * A diagnosis as Mermaid, for pages of Markdown.
 *
 * Source: mermaid.js.org, "Flowcharts - Basic Syntax", "Entity codes to escape characters".
 *
 * @module
 */
import type { Graph, Place, Standing } from "./graph.ts";

const STYLES: Readonly<Record<Standing, string>> = {
  passed: "fill:#e8f5e9,stroke:#2e7d32,color:#1b1b1b",
  blocked: "fill:#ffebee,stroke:#c62828,color:#1b1b1b",
  unknown: "fill:#fff8e1,stroke:#b26a00,color:#1b1b1b",
};

/** The text of a flowchart; places of one node are a group. */
export function mermaidText({ title, places, hops }: Graph): string {
  const lines = ["---", `title: ${JSON.stringify(title)}`, "---", "flowchart LR"];
  const nodes = [...new Set(places.map(({ node }) => node))];
  for (const [index, node] of nodes.entries()) {
    lines.push(`  subgraph n${index + 1}["node ${escaped(node)}"]`);
    for (const place of places) {
      if (place.node === node) lines.push(`    ${shape(place)}`);
    }
    lines.push("  end");
  }
  for (const { from, to, label, standing, direction } of hops) {
    const arrow = standing !== "passed" ? "--x" : direction === "answer" ? "-.->" : "-->";
    const text = label === "" ? "" : `|"${escaped(label)}"|`;
    lines.push(`  ${from} ${arrow}${text} ${to}`);
  }
  for (const standing of ["passed", "blocked", "unknown"] as const) {
    const ids = places.filter((place) => place.standing === standing).map(({ id }) => id);
    if (ids.length === 0) continue;
    lines.push(
      `  classDef ${standing} ${STYLES[standing]}`,
      `  class ${ids.join(",")} ${standing}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

function shape({ id, label, kind }: Place): string {
  const text = `"${escaped(label)}"`;
  return kind === "end"
    ? `${id}{{${text}}}`
    : kind === "host"
    ? `${id}[${text}]`
    : `${id}(${text})`;
}

/** Characters that mean something to Mermaid, or to the page that it makes, as their numbers. */
function escaped(text: string): string {
  return text.replace(/[#"<>&`\\;{}[\]()|]/g, (each) => `#${each.charCodeAt(0)};`);
}
