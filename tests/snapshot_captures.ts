/**
 * Real output of the tools, for tests of a snapshot's parsers.
 *
 * @module
 */
const TESTDATA = new URL("../diagnose/snapshot/testdata/", import.meta.url);

/** A capture's text, without its first line, which says where it is from. */
export function capture(name: string): string {
  const text = Deno.readTextFileSync(new URL(`${name}.txt`, TESTDATA));
  return text.slice(text.indexOf("\n") + 1);
}
