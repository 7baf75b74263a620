/**
 * A body as lines, each when it is whole.
 *
 * @module
 */

const LINE_FEED = 10;

/**
 * The lines of a body. What comes after the last line feed is not one: the connection ended within
 * it.
 *
 * @throws {RangeError} when a line is longer than `bytesMax`.
 */
export async function* linesOf(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of body) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, from)) {
      yield decoder.decode(joined([...parts, chunk.subarray(from, at)]));
      parts = [];
      held = 0;
      from = at + 1;
    }
    const rest = chunk.subarray(from);
    held += rest.length;
    if (held > bytesMax) {
      throw new RangeError(`A line has more than ${bytesMax} bytes, which are the most read`);
    }
    if (rest.length > 0) parts.push(rest);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
