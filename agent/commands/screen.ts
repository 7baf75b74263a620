/**
 * Shows text that changes, in place, and leaves the terminal as it was.
 *
 * Source: xterm control sequences, "Alternate Screen Buffer" (1049), "Show Cursor" (25).
 *
 * @module
 */
import { type Terminal, terminalSize } from "./terminal.ts";

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/** What is shown. */
export interface Scene {
  readonly everyMilliseconds: number;
  /** Finds out what is to be shown next. */
  refresh(): Promise<void>;
  /** The text, of at most `lines` lines. */
  draw(lines: number): string;
  /** A key was pressed; true to end. */
  key(letter: string): boolean;
}

/**
 * A text over the whole screen, without flicker: each line is overwritten, and the rest of it
 * cleared.
 */
export function frame(text: string, lines: number): string {
  const shown = text.trimEnd().split("\n").slice(0, lines);
  return HOME + shown.map((line) => line + CLEAR_LINE).join("\r\n") + CLEAR_BELOW;
}

/** Shows a scene until a key or a signal ends it. */
export async function runScreen(scene: Scene, terminal: Terminal): Promise<void> {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const lines = () => terminalSize().rows;
  const draw = () => terminal.out(frame(scene.draw(lines()), lines()));
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const keys = Deno.stdin.isTerminal() ? Deno.stdin : undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;
  const step = async () => {
    await scene.refresh();
    if (over) return;
    draw();
    timer = setTimeout(() => void step(), scene.everyMilliseconds);
  };
  for (const signal of signals) Deno.addSignalListener(signal, end);
  Deno.addSignalListener("SIGWINCH", draw);
  keys?.setRaw(true, { cbreak: true });
  terminal.out(ENTER);
  try {
    draw();
    if (keys !== undefined) {
      void readKeys(keys, (letter) => {
        if (over) return;
        if (scene.key(letter)) end();
        else draw();
      });
    }
    timer = setTimeout(() => void step(), scene.everyMilliseconds);
    await ended;
  } finally {
    over = true;
    clearTimeout(timer);
    terminal.out(LEAVE);
    keys?.setRaw(false);
    for (const signal of signals) Deno.removeSignalListener(signal, end);
    Deno.removeSignalListener("SIGWINCH", draw);
  }
}

/** Gives each key that is pressed, until the process ends or the terminal does. */
async function readKeys(from: typeof Deno.stdin, key: (letter: string) => void): Promise<void> {
  const bytes = new Uint8Array(64);
  for (;;) {
    const length = await from.read(bytes);
    if (length === null) return;
    for (const letter of new TextDecoder().decode(bytes.subarray(0, length))) key(letter);
  }
}
