/**
 * What a route says of itself: who may use it, and what OpenAPI shows. Rights, `Allow`, the list in
 * a 404 and `/openapi.json` all come from here.
 *
 * @module
 */
import type { GenericSchema } from "valibot";
import type { Role } from "../access.ts";

/** `open` is for everyone who reaches the listener. */
export type Needs = "open" | Role;

/** An object of optional parameters, each a text or a list of texts, with a description. */
export type Parameters = GenericSchema;

/**
 * One kind of answer: a description, and for each media type the schema of its body, if it has one.
 */
export interface Answer {
  readonly description: string;
  readonly content?: Readonly<Record<string, GenericSchema | undefined>>;
}

/** One method of one path; a part of the path in braces is any text without a slash. */
export interface Operation {
  readonly needs: Needs;
  readonly summary: string;
  readonly query?: Parameters;
  readonly headers?: Parameters;
  readonly body?: {
    readonly type: string;
    readonly description: string;
    readonly shape?: GenericSchema;
  };
  /** By status; 401, 403 and 500 go without saying. */
  readonly answers: Readonly<Record<number, Answer>>;
}

/** Methods of one path. HEAD goes wherever GET goes. */
export interface Operations {
  readonly GET?: Operation;
  readonly PUT?: Operation;
  readonly POST?: Operation;
}
