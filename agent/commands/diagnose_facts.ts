/**
 * What `podskoop diagnose --facts` takes of a cloud's network.
 *
 * @module
 */
import { parse, YAMLError } from "yaml";
import { Cloud } from "../../diagnose/cloud/cloud.ts";
import { readFacts } from "../../diagnose/cloud/facts.ts";
import { readBoundedText } from "../bounded_file.ts";
import { Failure } from "./terminal.ts";

/** Bytes of the file. */
const FACTS_BYTES_MAX = 16 * 1024 * 1024;

/** The cloud that a file tells of; undefined where none is named. */
export async function cloudOf(path: string | undefined): Promise<Cloud | undefined> {
  if (path === undefined) return undefined;
  try {
    return new Cloud(readFacts(valueOf(await readBoundedText(path, FACTS_BYTES_MAX))));
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    throw new Failure(`Cannot use the facts "${path}": ${because}`);
  }
}

/** JSON is YAML; what only YAML has and nobody needs here, anchors, is refused. */
function valueOf(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch (error) {
    if (!(error instanceof YAMLError) && !(error instanceof ReferenceError)) throw error;
    throw new Error(error.message.split("\n")[0] ?? "", { cause: error });
  }
}
