/**
 * What a key's value may be, each with the words that say so.
 *
 * @module
 */
import * as v from "valibot";
import { isMapping, type Mapping, type Path, quoted } from "./document.ts";
import { ADDITIONAL_LABELS_MAX, parseAdditionalLabel } from "../pod_labels.ts";
import { suggestion } from "./nearest.ts";

/** The path of a unix socket, unix(7) `sun_path`, has at most 108 bytes with its NUL. */
const SOCKET_BYTES_MAX = 107;
const PATH_BYTES_MAX = 4_095;

const ENDPOINT_ALLOWED = "a unix socket: unix:///PATH, or an absolute path of at most 107 bytes";

/** The words of a wrong value, after "Cannot use KEY as". */
export function allowed(what: string) {
  return (issue: { readonly input: unknown }) =>
    `it must be ${what}: current value is ${quoted(issue.input)}`;
}

/** A mapping with these keys and no other. */
export function mapping<const E extends v.ObjectEntries>(entries: E) {
  const known = v.strictObject(entries, (issue) => {
    const key = issue.path?.at(-1)?.key;
    if (issue.expected !== "never") return `"${key}" is needed here`;
    return `there is no such key: ${suggestion(`${key}`, Object.keys(entries))}`;
  });
  // To valibot alone a list is an object, with keys 0, 1, 2.
  const any = v.custom<v.InferInput<typeof known>>(
    isMapping,
    allowed("a mapping of keys to values"),
  );
  return v.pipe(any, known);
}

/** A mapping with any keys. */
export function mappingOf(what: string) {
  return v.custom<Mapping>(isMapping, allowed(what));
}

/** One of a few words. */
export function oneOf<const W extends readonly [string, ...string[]]>(words: W) {
  return v.picklist(words, (issue) => {
    const { input } = issue;
    return allowed(words.length === 1 ? words[0] : `one of ${words.join(", ")}`)({ input });
  });
}

/** A whole number from `min` to `max`. */
export function whole(min: number, max: number) {
  const message = allowed(`a whole number from ${min} to ${max}`);
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

/** A node's name, which is part of every metric and event. */
export const NODE_NAME = /^[\w.-]{1,253}$/;

/** The same in words. */
export const NODE_NAME_ALLOWED = "letters, digits, '.', '-' and '_', at most 253";

/** `true` or `false`. */
export const flag = v.boolean(allowed("true or false"));

function pathOf(bytesMax: number) {
  return v.pipe(
    v.string(allowed("an absolute path")),
    v.check(
      (text) => text.startsWith("/") && !text.includes("\0") && byteLength(text) <= bytesMax,
      allowed(`an absolute path of at most ${bytesMax} bytes`),
    ),
  );
}

/** An absolute path. */
export const path = pathOf(PATH_BYTES_MAX);

/** The path of a unix socket. */
export const socket = pathOf(SOCKET_BYTES_MAX);

/** Labels of metrics from labels of pods, each name once. */
export const additionalLabels = v.pipe(
  v.array(
    v.pipe(
      v.string(allowed("a text, such as app=${labels:app}")),
      v.rawCheck(({ dataset, addIssue }) => {
        if (!dataset.typed) return;
        const label = parseAdditionalLabel(dataset.value);
        if (typeof label === "string") addIssue({ message: label });
      }),
    ),
    allowed("a list of texts, such as app=${labels:app}"),
  ),
  v.maxLength(ADDITIONAL_LABELS_MAX, allowed(`a list of at most ${ADDITIONAL_LABELS_MAX}`)),
  v.check((entries) => {
    const names = entries.map((entry) => entry.split("=")[0]);
    return new Set(names).size === names.length;
  }, allowed("a list with each name once")),
);

/** Where a container runtime listens: `unix:///PATH`, or the path alone. */
export const runtimeEndpoint = v.pipe(
  v.string(allowed(ENDPOINT_ALLOWED)),
  v.check(
    (text) => v.is(socket, text.replace(/^unix:\/\//, "")),
    allowed(ENDPOINT_ALLOWED),
  ),
);

/** Whether a text can be a container runtime's endpoint. */
export function isRuntimeEndpoint(text: string): boolean {
  return v.is(runtimeEndpoint, text);
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Where to listen. */
export interface Address {
  readonly hostname: string;
  readonly port: number;
}

const LISTEN_ALLOWED = "HOST:PORT, [IPv6]:PORT, :PORT or PORT, with a port from 0 to 65535";

/**
 * `127.0.0.1:9102`, `[::]:9102`, `:9102`, `9102`; without a host, all IPv4 addresses of the node.
 * Undefined for any other text.
 */
export function parseAddress(value: unknown): Address | undefined {
  const text = typeof value === "number" ? `${value}` : value;
  if (typeof text !== "string") return undefined;
  const pattern = /^(?:(\[[0-9a-fA-F:.]+\]|[\w.-]*):)?(\d{1,5})$/;
  const [whole, host = "", port = ""] = pattern.exec(text) ?? [];
  if (whole === undefined || Number(port) > 65_535) return undefined;
  const hostname = host.replace(/^\[(.*)\]$/, "$1");
  return { hostname: hostname === "" ? "0.0.0.0" : hostname, port: Number(port) };
}

/** Where to listen, as a text or a port. */
export const listen = v.pipe(
  v.union([v.string(), v.number()], allowed(LISTEN_ALLOWED)),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const address = parseAddress(dataset.value);
    if (address !== undefined) return address;
    addIssue({ message: allowed(LISTEN_ALLOWED)({ input: dataset.value }) });
    return NEVER;
  }),
);

/** Passes valibot's findings on, each with the path of the key that it is about. */
export function report(
  issues: readonly v.BaseIssue<unknown>[],
  at: Path,
  to: (path: Path, why: string) => void,
): void {
  for (const issue of issues) {
    const steps = (issue.path ?? []).map(({ key }) => typeof key === "number" ? key : `${key}`);
    to([...at, ...steps], issue.message);
  }
}
