/**
 * `/openapi.json`: what the routes say of themselves, as OpenAPI 3.1.
 *
 * Source: OpenAPI Specification 3.1.0, whose schemas are JSON Schema.
 *
 * @module
 */
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import type { Operation, Operations, Parameters } from "./routes/operation.ts";
import { errorShape } from "./routes/shapes.ts";

/** The document for these paths. */
export function openapi(
  paths: ReadonlyMap<string, Operations>,
  version: string,
): Readonly<Record<string, unknown>> {
  return {
    openapi: "3.1.0",
    info: {
      title: "podskoop agent",
      version,
      description: "What one node knows of its network. Over the unix socket every operation is " +
        "allowed; over TCP, those of readers and admins need a bearer token.",
    },
    paths: Object.fromEntries(
      [...paths].map(([path, operations]) => [
        path,
        Object.fromEntries(
          Object.entries(operations).map(([method, operation]) => [
            method.toLowerCase(),
            described(path, operation),
          ]),
        ),
      ]),
    ),
    components: {
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description:
            "A token of the token file, or of a Kubernetes service account that may use this path",
        },
      },
    },
  };
}

function described(
  path: string,
  operation: Operation,
): Readonly<Record<string, unknown>> {
  const answers: Record<string, unknown> = {};
  for (const [status, { description, content }] of Object.entries(operation.answers)) {
    const known = content ?? (Number(status) >= 400 ? { "application/json": errorShape } : {});
    answers[status] = {
      description,
      content: Object.fromEntries(
        Object.entries(known).map(([type, schema]) => [
          type,
          schema === undefined ? {} : { schema: schemaOf(schema) },
        ]),
      ),
    };
  }
  if (operation.needs !== "open") {
    const content = { "application/json": { schema: schemaOf(errorShape) } };
    answers["401"] = { description: "A token is needed, or this one is not valid", content };
    answers["403"] = {
      description: `The token may not do this: it takes a role of ${operation.needs}`,
      content,
    };
  }
  return {
    summary: operation.summary,
    ...operation.needs === "open" ? {} : { security: [{ token: [] }] },
    parameters: [
      ...pathParameters(path),
      ...parametersOf("query", operation.query),
      ...parametersOf("header", operation.headers),
    ],
    ...operation.body === undefined ? {} : {
      requestBody: {
        required: true,
        description: operation.body.description,
        content: {
          [operation.body.type]: operation.body.shape === undefined
            ? {}
            : { schema: schemaOf(operation.body.shape) },
        },
      },
    },
    responses: answers,
  };
}

function pathParameters(path: string): readonly unknown[] {
  return Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => ({
    ...{ name, in: "path", required: true, schema: { type: "string" } },
  }));
}

function* parametersOf(place: "query" | "header", parameters?: Parameters): Iterable<unknown> {
  if (parameters === undefined) return;
  const { properties } = v.parse(
    v.object({ properties: v.record(v.string(), v.looseObject({ description: v.string() })) }),
    schemaOf(parameters),
  );
  for (const [name, { description, ...schema }] of Object.entries(properties)) {
    yield { name, in: place, required: false, description, schema };
  }
}

function schemaOf(schema: v.GenericSchema): unknown {
  const { $schema: _, ...rest } = toJsonSchema(schema, { typeMode: "input" });
  return rest;
}
