/**
 * Reads query parameters, and says of each mistake which parameter it is, what it holds and what it
 * may hold.
 *
 * @module
 */
import * as v from "valibot";

/** A mistake in a request; the message is for whoever sent it. */
export class QueryError extends Error {
  override readonly name = "QueryError";
}

/** Values that one list parameter may have; a longer list is a mistake. */
const LIST_MAX = 64;

/** Text of the form that `pattern` gives; `allowed` says it in words. */
export function word(pattern: RegExp, allowed: string, description: string) {
  return v.exactOptional(v.pipe(
    v.string(`one value: ${allowed}`),
    v.regex(pattern, allowed),
    v.description(description),
  ));
}

/** Like `word`, any number of times: repeated or separated by commas. */
export function words(pattern: RegExp, allowed: string, description: string) {
  return v.exactOptional(v.pipe(
    v.array(v.pipe(v.string(), v.regex(pattern, allowed))),
    v.maxLength(LIST_MAX, `at most ${LIST_MAX} values`),
    v.description(description),
  ));
}

/** One of a few words, any number of times. */
export function choices<const W extends readonly string[]>(allowed: W, description: string) {
  return v.exactOptional(v.pipe(
    v.array(v.picklist(allowed, allowed.join(", "))),
    v.maxLength(LIST_MAX, `at most ${LIST_MAX} values`),
    v.description(description),
  ));
}

/** One of a few words. */
export function choice<const W extends readonly string[]>(allowed: W, description: string) {
  return v.exactOptional(
    v.pipe(v.picklist(allowed, allowed.join(", ")), v.description(description)),
  );
}

/**
 * Reads what was sent (each parameter's values, in order) by the schema. A parameter sent empty is
 * as one not sent.
 *
 * @throws {QueryError} naming the parameter, its value and what is allowed
 */
export function readQuery<const E extends v.ObjectEntries>(
  parameters: v.StrictObjectSchema<E, undefined>,
  sent: Readonly<Record<string, readonly string[]>>,
): v.InferOutput<v.StrictObjectSchema<E, undefined>> {
  const input: Record<string, unknown> = {};
  for (const [name, values] of Object.entries(sent)) {
    if (!Object.hasOwn(parameters.entries, name)) {
      const known = Object.keys(parameters.entries).join(", ") || "none";
      throw new QueryError(
        `Cannot use the parameter ${shown(name)}: allowed parameters are ${known}`,
      );
    }
    const list = isList(parameters.entries[name]);
    const filled = (list ? values.flatMap((value) => value.split(",")) : values)
      .filter((value) => value !== "");
    // One value sent several times stays a list, which its schema refuses.
    if (filled.length > 0) input[name] = list || filled.length > 1 ? filled : filled[0];
  }
  const result = v.safeParse(parameters, input);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const name = v.getDotPath(issue)?.split(".")[0] ?? "";
  throw new QueryError(`Cannot use ${name}=${shown(issue.input)}: allowed is ${issue.message}`);
}

/** Optional parameters stand in a wrapper. */
function isList(schema: unknown): boolean {
  const { wrapped } = v.parse(v.object({ wrapped: v.object({ type: v.string() }) }), schema);
  return wrapped.type === "array";
}

/** A value as it was sent, cut to what a message can hold. */
function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "").slice(0, 200);
}
