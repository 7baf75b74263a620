/**
 * nftables' rules as `nft` writes them, from their JSON; what is not known stays JSON.
 *
 * @module
 */
import { bare, kindOf, listOf, objectOf, textOf } from "./nft_json.ts";

/** Of a rule's text that is kept. */
const TEXT_MAX = 400;
/** Elements of a set that are written out. */
const ELEMENTS_MAX = 8;
/** Expressions in each other. */
const DEPTH_MAX = 12;

/** A rule, and the comment by which people know whose it is. */
export function ruleText(expressions: readonly unknown[], comment?: string): string {
  const said = comment === undefined ? "" : `comment ${JSON.stringify(comment)}`;
  const parts = [...expressions.map((each) => statement(each)), said];
  const text = parts.filter((part) => part !== "").join(" ");
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}

function statement(json: unknown): string {
  const [kind, inner] = kindOf(json) ?? [];
  const object = objectOf(inner);
  switch (kind) {
    case undefined:
      return JSON.stringify(json) ?? "";
    case "match": {
      const op = textOf(object?.op) ?? "==";
      const right = value(object?.right, 0);
      const left = value(object?.left, 0);
      return op === "==" || op === "in" ? `${left} ${right}` : `${left} ${op} ${right}`;
    }
    case "counter":
      return typeof inner === "string" ? `counter name "${inner}"` : "counter";
    case "mangle":
      return `${value(object?.key, 0)} set ${value(object?.value, 0)}`;
    case "vmap":
      return `${value(object?.key, 0)} vmap ${value(object?.data, 0)}`;
    case "jump":
    case "goto":
      return `${kind} ${textOf(object?.target) ?? ""}`;
    case "limit":
      return typeof inner === "string"
        ? `limit name "${inner}"`
        : `limit rate ${object?.inv === true ? "over " : ""}${object?.rate}/${object?.per}`;
    case "log":
      return object?.prefix === undefined ? "log" : `log prefix ${JSON.stringify(object.prefix)}`;
    case "reject":
      return object?.type === undefined
        ? "reject"
        : ["reject with", object.type, object.expr].filter((each) => each !== undefined).join(" ");
    case "set":
      return `${object?.op} ${object?.set} { ${value(object?.elem, 0)} }`;
    case "snat":
    case "dnat":
    case "masquerade":
    case "redirect":
    case "tproxy":
      return translation(kind, object);
    default:
      return inner === null ? kind : `${kind} ${JSON.stringify(inner)}`;
  }
}

function translation(kind: string, object: ReturnType<typeof objectOf>): string {
  const address = object?.addr === undefined ? "" : value(object.addr, 0);
  const port = object?.port === undefined ? "" : `:${value(object.port, 0)}`;
  const family = textOf(object?.family);
  const flags = [object?.flags].flat().filter((flag) => flag !== undefined).join(",");
  const to = address + port === "" ? "" : `to ${address}${port}`;
  return [kind, family, to, flags].filter((part) => part).join(" ");
}

function value(json: unknown, depth: number): string {
  if (depth > DEPTH_MAX) return "…";
  const list = listOf(json);
  if (list !== undefined) return list.map((each) => value(each, depth + 1)).join(",");
  const [kind, inner] = kindOf(json) ?? [];
  if (kind === undefined) return typeof json === "boolean" ? existence(json) : `${json}`;
  const object = objectOf(inner);
  const parts = (listOf(inner) ?? []).map((each) => value(each, depth + 1));
  switch (kind) {
    case "payload":
      return object?.base === undefined
        ? `${object?.protocol} ${object?.field}`
        : `@${object.base},${object.offset},${object.len}`;
    case "meta":
      return bareMeta(textOf(object?.key) ?? "");
    case "ct":
      return ["ct", object?.dir, object?.key].filter((part) => part !== undefined).join(" ");
    case "fib":
      return `fib ${[object?.flags].flat().join(" . ")} ${object?.result}`;
    case "prefix":
      return `${value(object?.addr, depth + 1)}/${object?.len}`;
    case "range":
      return parts.join("-");
    case "concat":
      return parts.join(" . ");
    case "set":
      return elements(listOf(inner) ?? [], depth);
    case "elem":
      return value(bare(json), depth + 1);
    case "map":
      return `${value(object?.key, depth + 1)} map ${value(object?.data, depth + 1)}`;
    case "numgen":
      return `numgen ${object?.mode} mod ${object?.mod}`;
    case "jhash":
      return `jhash ${value(object?.expr, depth + 1)} mod ${object?.mod}`;
    case "jump":
    case "goto":
      return `${kind} ${textOf(object?.target) ?? ""}`;
    case "|":
      return parts.join(" | ");
    case "&":
    case "^":
    case "<<":
    case ">>":
      return `(${parts.join(` ${kind} `)})`;
    default:
      return inner === null ? kind : `${kind} ${JSON.stringify(inner)}`;
  }
}

function existence(exists: boolean): string {
  return exists ? "exists" : "missing";
}

/** Keys that are written without `meta`. */
const BARE = ["iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup", "iiftype", "oiftype"];

function bareMeta(key: string): string {
  return BARE.includes(key) ? key : `meta ${key}`;
}

function elements(list: readonly unknown[], depth: number): string {
  const written = list.slice(0, ELEMENTS_MAX).map((each) => {
    const pair = listOf(each);
    return pair?.length === 2
      ? `${value(pair[0], depth + 1)} : ${value(pair[1], depth + 1)}`
      : value(each, depth + 1);
  });
  const rest = list.length > ELEMENTS_MAX ? [`… ${list.length - ELEMENTS_MAX} more`] : [];
  return `{ ${[...written, ...rest].join(", ")} }`;
}
