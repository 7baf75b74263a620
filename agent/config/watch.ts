/**
 * Watches the configuration's file for changes.
 *
 * By looking once a second, not by inotify: a watch on a path follows the inode, and so is lost at
 * the first swap of a ConfigMap's `..data` link or at the first rename over the file; a watch on
 * the folder sees neither on every file system. A look takes two system calls.
 *
 * @module
 */
import { readBounded } from "../bounded_file.ts";
import { TEXT_MAX } from "./document.ts";

/** What to do with what is seen. */
export interface ConfigWatcher {
  /** The file's text: it has changed, or a signal asks to read it again. */
  changed(text: string, why: "change" | "signal"): void | Promise<void>;
  /** The file cannot be read, which changes nothing; said once until it can be. */
  problem(message: string): void;
}

/** Times that a test may want shorter. */
export interface WatchOptions {
  readonly everyMilliseconds?: number;
  /** Read the file again at SIGHUP; default true. */
  readonly signal?: boolean;
  /** The text that is in use, if the file has been read before. */
  readonly text?: string;
}

const EVERY_MILLISECONDS = 1_000;

/** A watch under way; `using` ends it. */
export interface ConfigWatch extends Disposable {
  /** Looks now, as at SIGHUP: the text is given even if it is the same. */
  reload(): Promise<void>;
}

/** Watches a file that need not exist. */
export function watchConfig(
  path: string,
  watcher: ConfigWatcher,
  options: WatchOptions = {},
): ConfigWatch {
  const watch = new Watch(path, watcher, options.text);
  const timer = setInterval(
    () => void watch.look(),
    options.everyMilliseconds ?? EVERY_MILLISECONDS,
  );
  // The watch alone is no reason for the process to live on.
  Deno.unrefTimer(timer);
  const reload = () => watch.reload();
  const onSignal = () => void reload();
  const signal = options.signal ?? true;
  if (signal) Deno.addSignalListener("SIGHUP", onSignal);
  return {
    reload,
    [Symbol.dispose]() {
      clearInterval(timer);
      if (signal) Deno.removeSignalListener("SIGHUP", onSignal);
      watch.ended = true;
    },
  };
}

class Watch {
  ended = false;
  readonly #path: string;
  readonly #watcher: ConfigWatcher;
  /** What the file looked like at the last look, and when its text was last taken. */
  #seen = "";
  #taken = "";
  #text: string | undefined;
  #said: string | undefined;
  /** Looks run one after the other. */
  #last: Promise<void> = Promise.resolve();
  #waiting = false;

  constructor(path: string, watcher: ConfigWatcher, text: string | undefined) {
    this.#path = path;
    this.#watcher = watcher;
    this.#text = text;
  }

  look(): Promise<void> {
    // A slow change is not looked at twice; the next second has another look.
    if (this.#waiting) return this.#last;
    return this.#then(() => this.#look());
  }

  reload(): Promise<void> {
    return this.#then(() => this.#take("signal"));
  }

  #then(act: () => Promise<void>): Promise<void> {
    this.#waiting = true;
    this.#last = this.#last.then(async () => {
      if (!this.ended) await act();
    }).finally(() => this.#waiting = false);
    return this.#last;
  }

  async #look(): Promise<void> {
    const stamp = await stampOf(this.#path);
    const settled = stamp === this.#seen;
    this.#seen = stamp;
    // An editor or `cp` may be half-way: take the file once it is the same at two looks.
    if (!settled || stamp === this.#taken) return;
    await this.#take("change");
  }

  async #take(why: "change" | "signal"): Promise<void> {
    const stamp = await stampOf(this.#path);
    let text: string;
    try {
      text = await readText(this.#path);
    } catch (error) {
      this.#taken = stamp;
      const message = error instanceof Error ? error.message : String(error);
      // A file that was never there is nothing to be told of.
      const expected = error instanceof Deno.errors.NotFound && this.#text === undefined;
      if (message !== this.#said && (!expected || why === "signal")) {
        this.#watcher.problem(
          `Cannot read the configuration ${JSON.stringify(this.#path)}, the last one stays: ` +
            message,
        );
      }
      this.#said = message;
      return;
    }
    this.#seen = stamp;
    this.#taken = stamp;
    this.#said = undefined;
    if (text === this.#text && why === "change") return;
    this.#text = text;
    try {
      await this.#watcher.changed(text, why);
    } catch (error) {
      // Whoever applies it answers for what is wrong with it; the watch goes on.
      const message = error instanceof Error ? error.message : String(error);
      this.#watcher.problem(
        `Cannot apply the configuration ${JSON.stringify(this.#path)}: ${message}`,
      );
    }
  }
}

/** Differs whenever the file may: another file behind the links, another time, another size. */
async function stampOf(path: string): Promise<string> {
  try {
    const real = await Deno.realPath(path);
    const { ino, dev, size, mtime, ctime } = await Deno.stat(real);
    return [real, dev, ino, size, mtime?.getTime(), ctime?.getTime()].join(" ");
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

/**
 * The text of a configuration's file. Throws for one that is too large to be one, or is not UTF-8.
 */
export async function readText(path: string): Promise<string> {
  const { size, isDirectory } = await Deno.stat(path);
  if (isDirectory) throw new Error(`${JSON.stringify(path)} is a folder`);
  if (size > TEXT_MAX) throw new Error(`It has ${size} bytes, and ${TEXT_MAX} is the most`);
  return new TextDecoder("utf-8", { fatal: true }).decode(await readBounded(path, TEXT_MAX));
}
