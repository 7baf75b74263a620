/**
 * Shows a diagnosis as a page, until someone stops it: `--http`.
 *
 * @module
 */
import { addressText } from "../config/render.ts";
import { PAGE_POLICY } from "../routes/diagnoses.ts";
import { Failure, type Terminal } from "./terminal.ts";

/** Where the page is shown when nothing else is said: to this machine alone. */
export const PAGE_ADDRESS = "127.0.0.1:8080";

/** As the page itself says, for browsers that look here first. */
const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": PAGE_POLICY,
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
} as const;

/** Serves the one page until SIGINT or SIGTERM. */
export async function servePage(
  html: string,
  address: { readonly hostname: string; readonly port: number },
  terminal: Pick<Terminal, "err">,
): Promise<void> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  try {
    const onListen = ({ hostname, port }: Deno.NetAddr) =>
      terminal.err(`podskoop: the page is at http://${addressText({ hostname, port })}/\n`);
    const server = Deno.serve({ ...address, onListen }, (request) => answer(request, html));
    await stopped;
    await server.shutdown();
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    throw new Failure(`Cannot show the page at ${addressText(address)}: ${because}`);
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
  }
}

function answer(request: Request, html: string): Response {
  if (new URL(request.url).pathname !== "/") return new Response("Not found\n", { status: 404 });
  if (request.method === "GET" || request.method === "HEAD") {
    return new Response(request.method === "GET" ? html : null, { headers: HEADERS });
  }
  return new Response("Only GET\n", { status: 405, headers: { allow: "GET, HEAD" } });
}
