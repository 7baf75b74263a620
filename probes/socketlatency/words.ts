/** What the numbers in the probe's structs stand for. */
import { oneOf } from "@agent/schema.ts";

export const operation = oneOf({ 1: "read", 2: "write" });

export const protocol = oneOf({ 6: "tcp", 17: "udp" });
