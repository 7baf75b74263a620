/**
 * Reads a stream of server-sent events.
 *
 * Source: WHATWG HTML §9.2.6, "Interpreting an event stream".
 *
 * @module
 */

/** One message. */
export interface Message {
  /** `message`, unless the stream says otherwise. */
  readonly type: string;
  readonly data: string;
  /** Of this message, or the last one that had any. */
  readonly id: string;
}

/** A longer line is not one of an agent's events. */
const LINE_CHARACTERS_MAX = 4 * 1024 * 1024;

/** The messages of a stream, until it ends. Throws a SyntaxError for a line without end. */
export async function* readMessages(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<Message> {
  let id = "";
  let type = "message";
  let data: string[] = [];
  for await (const line of lines(body)) {
    if (line === "") {
      if (data.length > 0) yield { type, data: data.join("\n"), id };
      type = "message";
      data = [];
      continue;
    }
    const [, field = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "data") data.push(value);
    else if (field === "event") type = value;
    else if (field === "id" && !value.includes("\0")) id = value;
  }
}

/**
 * Lines end in a carriage return, a line feed or both; what follows the last of them is cut off.
 */
async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    const text = decoder.decode(bytes, { stream: true });
    // A carriage return at the end may be half of a pair.
    const parts = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = parts.pop() ?? "";
    if (rest.length > LINE_CHARACTERS_MAX) {
      throw new SyntaxError(
        `Cannot read an event stream: a line has more than ${LINE_CHARACTERS_MAX} characters`,
      );
    }
    yield* parts;
  }
}
