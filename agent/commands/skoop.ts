/**
 * The predecessor's diagnosis, for a link called `skoop`.
 *
 * @module
 */
import { Command } from "commander";
import { Failure } from "./terminal.ts";

/** `skoop`: understood, and refused until this build can diagnose. */
export function skoopProgram(): Command {
  return new Command("skoop")
    .description("where a packet goes and what stops it; not in this build")
    .option("-s, --src <address>", "where the packet comes from")
    .option("-d, --dst <address>", "where it is to go")
    .option("-p, --port <port>", "to which port")
    .option("--http", "show the result on a page")
    .option("--http-address <address>", "where that page is")
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      throw new Failure(
        "Cannot diagnose a connection: diagnosis is not in this build. `podskoop events` shows " +
          "drops and resets as they happen, `podskoop top` whose they are",
      );
    });
}
