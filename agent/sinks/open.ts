/**
 * The kinds of sinks there are. A new kind is a file beside this one, and a line here.
 *
 * @module
 */
import type { SinkChoice } from "../config/config.ts";
import { FileSink } from "./file.ts";
import type { Sink } from "./sink.ts";
import { StderrSink } from "./stderr.ts";

/**
 * The sink that a choice means. It opens nothing before its first `reopen` or `write`, so it throws
 * nothing.
 */
export function openSink(choice: SinkChoice): Sink {
  switch (choice.kind) {
    case "stderr":
      return new StderrSink(choice);
    case "file":
      return new FileSink(choice);
  }
}
