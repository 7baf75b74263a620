/**
 * Answers whose length is known, so that HEAD tells it and bytes can be counted.
 *
 * @module
 */

const encoder = new TextEncoder();

/** An answer of bytes, or of text as UTF-8. */
export function answer(
  status: number,
  type: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  return new Response(bytes, {
    status,
    headers: { "content-type": type, "content-length": String(bytes.length), ...headers },
  });
}

/** Bytes handed over at a time. */
const CHUNK_BYTES = 1 << 16;

/**
 * Bytes as a stream that gives their memory back at its end. The garbage collector would, too, but
 * only after some megabytes more of them: an agent that is scraped would never be small again.
 */
export function streamOnce(
  bytes: Uint8Array<ArrayBuffer>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const free = () => void bytes.buffer.transfer(0);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) {
        free();
        controller.close();
        return;
      }
      // A copy: whoever sends it may still do so when the rest is gone.
      controller.enqueue(bytes.slice(at, at + CHUNK_BYTES));
      at += CHUNK_BYTES;
    },
    cancel: free,
  });
}

/** A large answer; the bytes cannot be used again. */
export function answerOnce(
  type: string,
  bytes: Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const length = { "content-type": type, "content-length": String(bytes.length) };
  return new Response(streamOnce(bytes), { headers: { ...length, ...headers } });
}

/**
 * JSON on which no terminal acts: JSON leaves DEL, the C1 controls, line separators and the marks
 * that reverse the direction of text as they are, and a process may have any of them in its name.
 */
export function jsonText(value: unknown, indent = 0): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A JSON answer, indented: people read it with curl. */
export function answerJson(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return answer(status, "application/json", jsonText(value, 2) + "\n", headers);
}

/** `{"error": …}`, as every failure is told. */
export function answerError(
  status: number,
  error: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return answerJson(status, { error }, headers);
}

/**
 * `{"error": …, "errors": […]}`: the first is what a person reads, the list is all that is wrong.
 */
export function answerErrors(status: number, errors: readonly string[]): Response {
  return answerJson(status, { error: errors[0] ?? "Cannot use the request", errors });
}
