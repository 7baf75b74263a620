/**
 * The console: a page that asks the other routes. The page itself tells nothing of the node, so
 * everyone may have it; what it shows needs the rights of the routes it asks.
 *
 * @module
 */
import { Hono } from "hono";
import { answer } from "./answer.ts";
import type { Operations } from "./operation.ts";

const FOLDER = new URL("../../console/", import.meta.url);

const TYPES = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
} as const;

/** Paths of the console's files, each with its name in the folder. */
export const CONSOLE_FILES = {
  "/": "index.html",
  "/console.css": "console.css",
  "/console.js": "console.js",
  "/metrics.js": "metrics.js",
  "/icon.svg": "icon.svg",
} as const;

/** What OpenAPI shows; the other files of the console belong to the page. */
export const consoleOperations: Operations = {
  GET: {
    needs: "open",
    summary:
      "The console, a page for a browser; what it shows needs the rights of the routes it asks",
    answers: { 200: { description: "The page", content: { "text/html": undefined } } },
  },
};

/** One file of the console. */
export interface ConsoleFile {
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Reads the console's files, by path. Once at the start: they are part of the executable.
 *
 * @throws {Deno.errors.NotFound} when the executable was built without one
 */
export async function readConsole(): Promise<ReadonlyMap<string, ConsoleFile>> {
  return new Map(
    await Promise.all(
      Object.entries(CONSOLE_FILES).map(async ([path, name]): Promise<[string, ConsoleFile]> => {
        const [, extension] = name.split(".");
        const type = Object.entries(TYPES).find(([known]) => known === extension)?.[1];
        if (type === undefined) throw new TypeError(`Cannot serve "${name}": its type is unknown`);
        return [path, { type, bytes: await Deno.readFile(new URL(name, FOLDER)) }];
      }),
    ),
  );
}

/** `GET /` and the files that the page loads. */
export function consoleRoute(files: ReadonlyMap<string, ConsoleFile>): Hono {
  const app = new Hono();
  for (const [path, { type, bytes }] of files) {
    app.get(path, () => answer(200, type, bytes, { "cache-control": "no-cache" }));
  }
  return app;
}
