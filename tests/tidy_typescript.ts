/// <reference lib="deno.unstable" />
/**
 * The house rules for TypeScript, on its syntax tree.
 *
 * `deno lint` runs its plugins on any text inside a test (`Deno.lint.runPlugin`), which spares the
 * project a parser.
 *
 * @module
 */
import { emptyWordMessage, FUNCTION_LINES_MAX, functionMessage } from "./tidy.ts";
import { type Finding, isTest, lineAt, type TextFile } from "./tree.ts";

/** Says of a node what is wrong with it. */
type Report = (node: { readonly range: Deno.lint.Range }, message: string) => void;

/** All that is wrong with one TypeScript file, as far as its syntax tells. */
export function typescriptFindings(file: TextFile): Finding[] {
  const { path, text } = file;
  const visitors = [everywhere];
  if (!isTest(path)) visitors.push(inProduct);
  if (/^(probes|collectors)\//.test(path) && !isTest(path)) visitors.push(inUnits);
  const rules = Object.fromEntries(visitors.map((visitor) => [
    visitor.name.toLowerCase(),
    {
      create(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
        return visitor(file, (node, message) => context.report({ range: node.range, message }));
      },
    },
  ]));
  const diagnostics = Deno.lint.runPlugin({ name: "tidy", rules }, path, text);
  return diagnostics.map(({ range, message }) => ({ path, line: lineAt(text, range[0]), message }));
}

function everywhere({ text }: TextFile, report: Report): Deno.lint.LintVisitor {
  function measure(node: { readonly range: Deno.lint.Range }): void {
    const length = text.slice(...node.range).split("\n").length;
    if (length > FUNCTION_LINES_MAX) report(node, functionMessage(length));
  }
  function checkKey(node: Parameters<typeof declaredNames>[0]): void {
    for (const name of declaredNames(node)) {
      const message = emptyWordMessage(name.name);
      if (message !== undefined) report(name, message);
    }
  }
  function checkName(node: Parameters<typeof declaredNames>[0]): void {
    checkKey(node);
    // Not keys, and not what is taken out of an object by its key: C's fields, metrics and the
    // predecessors' JSON keep their own names.
    if (node?.type === "Identifier" && /[a-z0-9]_[a-z]/.test(node.name)) {
      report(node, `"${node.name}" is not camelCase: only names from elsewhere keep their own`);
    }
  }
  return {
    FunctionDeclaration(node) {
      measure(node);
      checkName(node.id);
      node.params.forEach(checkName);
    },
    FunctionExpression(node) {
      measure(node);
      node.params.forEach(checkName);
    },
    ArrowFunctionExpression(node) {
      measure(node);
      node.params.forEach(checkName);
    },
    VariableDeclarator: (node) => checkName(node.id),
    ClassDeclaration: (node) => checkName(node.id),
    PropertyDefinition: (node) => checkKey(node.key),
    MethodDefinition: (node) => checkKey(node.key),
    TSInterfaceDeclaration: (node) => checkName(node.id),
    TSTypeAliasDeclaration: (node) => checkName(node.id),
    TSPropertySignature: (node) => checkKey(node.key),
    TSMethodSignature: (node) => checkKey(node.key),
    CatchClause(node) {
      if (node.body.body.length > 0) return;
      report(node, "has an empty catch: name the error that is expected, and throw on any other");
    },
    CallExpression(node) {
      const [first] = node.arguments;
      if (propertyOf(node.callee) !== "catch" || first?.type !== "ArrowFunctionExpression") return;
      if (first.body?.type !== "BlockStatement" || first.body.body.length > 0) return;
      report(node, "has an empty catch: name the error that is expected, and throw on any other");
    },
  };
}

/** Places where bytes get their meaning. */
const READS_BYTES = /^(agent\/schema\.ts|bpf\/|agent\/namespaces\/)/;

function inProduct({ path, text }: TextFile, report: Report): Deno.lint.LintVisitor {
  const lines = text.split("\n");
  /** Whether the line, or the one above, has a comment that can say why. */
  function explained(node: { readonly range: Deno.lint.Range }): boolean {
    const line = lineAt(text, node.range[0]);
    const last = lineAt(text, node.range[1]);
    return lines.slice(Math.max(0, line - 2), last).some((each) => /\/\/|^\s*\*|\/\*/.test(each));
  }
  function mustExplain(node: { readonly range: Deno.lint.Range }, message: string): void {
    if (path !== "bpf/btf.ts" && !explained(node)) report(node, message);
  }
  return {
    TSAsExpression(node) {
      const type = node.typeAnnotation;
      const name = type.type === "TSTypeReference" ? type.typeName : undefined;
      if (name?.type === "Identifier" && name.name === "const") return;
      mustExplain(node, 'uses "as": let a check narrow the type, or say why in a comment');
    },
    TSAnyKeyword(node) {
      mustExplain(node, 'uses "any": write "unknown" and check it, or say why in a comment');
    },
    TSNonNullExpression(node) {
      mustExplain(node, 'uses "!": handle undefined, or say in a comment why it cannot be');
    },
    MemberExpression(node) {
      if (node.object.type === "Identifier" && node.object.name === "console") {
        report(node, "uses console: write through agent/log.ts, or to Deno.stdout in a command");
      }
      if (/^get(Big)?(Ui|I)nt\d+$/.test(propertyOf(node) ?? "") && !READS_BYTES.test(path)) {
        report(node, "reads bytes by offset: say what they mean in a schema of agent/schema.ts");
      }
    },
    NewExpression(node) {
      if (node.callee.type !== "Identifier" || !node.callee.name.endsWith("Error")) return;
      const [first] = node.arguments;
      const message = first === undefined ? undefined : literalEnds(first);
      if (message === undefined) return;
      if (/^[a-z]/.test(message.start)) {
        report(node, "has an error that begins in lower case: begin with what was being done");
      }
      if (message.end.endsWith(".")) report(node, "has an error with a full stop: leave it out");
    },
  };
}

/** What a unit must not touch, as it is given all it needs. */
const WORLD = ["Deno", "performance", "crypto", "globalThis", "process", "navigator"];
const WORLD_CALLS = ["fetch", "setTimeout", "setInterval", "queueMicrotask"];

function inUnits(_file: TextFile, report: Report): Deno.lint.LintVisitor {
  const instead = "a unit is data and pure functions; the agent gives it what it needs";
  return {
    VariableDeclaration(node) {
      const top = node.parent.type === "Program" || node.parent.type === "ExportNamedDeclaration";
      if (top && node.kind !== "const") report(node, `has a top-level ${node.kind}: ${instead}`);
    },
    MemberExpression(node) {
      if (node.object.type !== "Identifier") return;
      const call = `${node.object.name}.${propertyOf(node)}`;
      if (WORLD.includes(node.object.name) || ["Date.now", "Math.random"].includes(call)) {
        report(node, `uses ${call}: ${instead}`);
      }
    },
    CallExpression(node) {
      if (node.callee.type !== "Identifier" || !WORLD_CALLS.includes(node.callee.name)) return;
      report(node, `uses ${node.callee.name}: ${instead}`);
    },
    NewExpression(node) {
      if (node.callee.type !== "Identifier" || node.callee.name !== "Date") return;
      if (node.arguments.length === 0) report(node, `uses new Date(): ${instead}`);
    },
  };
}

/** The name after the dot, or in the brackets. */
function propertyOf(node: Deno.lint.Node): string | undefined {
  if (node.type !== "MemberExpression") return undefined;
  const { property } = node;
  if (property.type === "Identifier") return property.name;
  return property.type === "Literal" ? String(property.value) : undefined;
}

/** How a message that is written out begins and ends; undefined for any other. */
function literalEnds(node: Deno.lint.Node): { start: string; end: string } | undefined {
  if (node.type === "Literal" && typeof node.value === "string") {
    return { start: node.value, end: node.value };
  }
  if (node.type !== "TemplateLiteral") return undefined;
  return { start: node.quasis[0]?.raw ?? "", end: node.quasis.at(-1)?.raw ?? "" };
}

type Named = Deno.lint.Identifier | Deno.lint.PrivateIdentifier;

/** The names that a declaration binds, patterns taken apart. */
function declaredNames(
  node: Deno.lint.Node | Deno.lint.TSParameterProperty | null | undefined,
): Named[] {
  switch (node?.type) {
    case "Identifier":
    case "PrivateIdentifier":
      return [node];
    case "ObjectPattern":
      return node.properties.flatMap((each) => declaredNames(each));
    case "Property":
      return declaredNames(node.value);
    case "ArrayPattern":
      return node.elements.flatMap((each) => declaredNames(each));
    case "AssignmentPattern":
      return declaredNames(node.left);
    case "RestElement":
      return declaredNames(node.argument);
    case "TSParameterProperty":
      return declaredNames(node.parameter);
    default:
      return [];
  }
}
