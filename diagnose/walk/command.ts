/**
 * Commands that findings suggest: people copy them into a shell, so nothing that a device or a
 * chain is called may mean anything there.
 *
 * @module
 */

/** What a shell takes as one word without quotes. */
const PLAIN_WORD = /^[\w@%+:,./-][\w@%+=:,./-]*$/;

/** A text as one word of a shell. */
export function shellWord(text: string): string {
  return PLAIN_WORD.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * A setting as sysctl(8) takes it, by its path below `/proc/sys`: with dots, unless a device's name
 * has one, as that of a VLAN does.
 */
export function settingName(path: string): string {
  return path.includes(".") ? path : path.replaceAll("/", ".");
}
