/**
 * How a diagnosis is written.
 *
 * @module
 */
import { d2Text } from "../../diagnose/report/d2.ts";
import { graphOf } from "../../diagnose/report/graph.ts";
import { htmlText } from "../../diagnose/report/html.ts";
import { documentOf } from "../../diagnose/report/json.ts";
import { mermaidText } from "../../diagnose/report/mermaid.ts";
import { predecessorDocument } from "../../diagnose/report/predecessor.ts";
import { svgText } from "../../diagnose/report/svg.ts";
import { diagnosisText } from "../../diagnose/report/text.ts";
import type { Diagnosis } from "../../diagnose/walk/diagnosis.ts";
import { jsonText } from "../routes/answer.ts";

/** A text's width, where nothing is narrower. */
export const TEXT_COLUMNS = 80;

/** Every format, by its name. */
export const FORMATTERS = {
  text: (diagnosis, columns) => diagnosisText(diagnosis, columns),
  json: (diagnosis) => `${jsonText(documentOf(diagnosis), 2)}\n`,
  svg: (diagnosis) => svgText(graphOf(diagnosis)),
  d2: (diagnosis) => d2Text(graphOf(diagnosis)),
  mermaid: (diagnosis) => mermaidText(graphOf(diagnosis)),
  html: (diagnosis) => htmlText(diagnosis),
  "kubeskoop-json": (diagnosis) => `${jsonText(predecessorDocument(diagnosis), 2)}\n`,
} as const satisfies Readonly<Record<string, (diagnosis: Diagnosis, columns: number) => string>>;

/** A diagnosis in every format. */
export function inAllFormats(diagnosis: Diagnosis): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(FORMATTERS).map(([name, format]) => [name, format(diagnosis, TEXT_COLUMNS)]),
  );
}
