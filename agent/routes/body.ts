/**
 * Reads a request's body, bounded in bytes and in time.
 *
 * @module
 */
import { answerError } from "./answer.ts";

/** Largest body that is taken; the largest useful one is a few kilobytes. */
export const BODY_BYTES_MAX = 1024 * 1024;
/**
 * Of a larger body this much is read and thrown away: a client that is still sending when the
 * connection closes sees a broken pipe instead of the answer.
 */
const DRAINED_BYTES_MAX = 8 * BODY_BYTES_MAX;

/** Longest that a client may take to send one. */
export const BODY_MILLISECONDS_MAX = 10_000;

/** The body as text, or the answer to a client that sends none that can be used; `what` it is. */
export async function readBody(
  request: Request,
  what: string,
  millisecondsMax: number = BODY_MILLISECONDS_MAX,
): Promise<string | Response> {
  const stated = Number(request.headers.get("content-length") ?? 0);
  if (stated > DRAINED_BYTES_MAX) return tooLarge(what, `${stated}`);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    void reader?.cancel();
  }, millisecondsMax);
  try {
    for (;;) {
      const { done, value } = await reader?.read() ?? { done: true };
      if (done || value === undefined) break;
      length += value.length;
      if (length > DRAINED_BYTES_MAX) {
        await reader?.cancel();
        return tooLarge(what, `more than ${DRAINED_BYTES_MAX}`);
      }
      if (length <= BODY_BYTES_MAX) chunks.push(new Uint8Array(value));
    }
  } finally {
    clearTimeout(timer);
  }
  if (!late && length > BODY_BYTES_MAX) return tooLarge(what, `${length}`);
  if (late) {
    return answerError(
      408,
      `Cannot read ${what} as it must arrive within ${millisecondsMax} ms: ${length} bytes came`,
      { connection: "close" },
    );
  }
  return decode(what, await new Blob(chunks).arrayBuffer());
}

function tooLarge(what: string, length: string): Response {
  return answerError(
    413,
    `Cannot take ${what} as it must have at most ${BODY_BYTES_MAX} bytes: ` +
      `current length is ${length}`,
    { connection: "close" },
  );
}

function decode(what: string, bytes: ArrayBuffer): string | Response {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return answerError(400, `Cannot read ${what} as it must be UTF-8 text`);
  }
}
