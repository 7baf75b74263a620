/** What the numbers in the probe's structs stand for. */
import { oneOf } from "@agent/schema.ts";

/** What a request asks of the disk. */
export const operation = oneOf({ 1: "read", 2: "write", 3: "flush", 4: "discard", 5: "other" });
