import assert from "node:assert/strict";
import * as v from "valibot";
import { openapi } from "./openapi.ts";
import type { Operations } from "./routes/operation.ts";
import { word } from "./routes/query.ts";

const PATHS = new Map<string, Operations>([["/things", {
  GET: {
    needs: "reader",
    summary: "Things",
    query: v.strictObject({ limit: word(/^\d+$/, "a number", "At most this many") }),
    answers: {
      200: {
        description: "Some",
        content: { "application/json": v.object({ name: v.string() }), "text/plain": undefined },
      },
      400: { description: "Wrong" },
    },
  },
  PUT: {
    needs: "admin",
    summary: "Other things",
    body: { type: "text/yaml", description: "Them" },
    answers: { 200: { description: "Done" } },
  },
}]]);

Deno.test("OpenAPI has parameters, answers, errors and rights as the operations say", () => {
  const error = {
    "application/json": {
      schema: { type: "object", properties: { error: { type: "string" } }, required: ["error"] },
    },
  };
  const refused = (role: string) => ({
    401: { description: "A token is needed, or this one is not valid", content: error },
    403: { description: `The token may not do this: it takes a role of ${role}`, content: error },
  });
  assert.deepEqual(JSON.parse(JSON.stringify(openapi(PATHS, "1.2.3"))).paths, {
    "/things": {
      get: {
        summary: "Things",
        security: [{ token: [] }],
        parameters: [{
          name: "limit",
          in: "query",
          required: false,
          description: "At most this many",
          schema: { type: "string", pattern: "^\\d+$" },
        }],
        responses: {
          200: {
            description: "Some",
            content: {
              "application/json": {
                schema: {
                  type: "object",
                  properties: { name: { type: "string" } },
                  required: ["name"],
                },
              },
              "text/plain": {},
            },
          },
          400: { description: "Wrong", content: error },
          ...refused("reader"),
        },
      },
      put: {
        summary: "Other things",
        security: [{ token: [] }],
        parameters: [],
        requestBody: { required: true, description: "Them", content: { "text/yaml": {} } },
        responses: { 200: { description: "Done", content: {} }, ...refused("admin") },
      },
    },
  });
});
