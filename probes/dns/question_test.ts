import { deepEqual } from "node:assert/strict";
import { questionOf } from "./question.ts";

/** A name as it is on the wire, and then a type and the class IN. */
function wire(labels: readonly string[], type: number): Uint8Array {
  const text = new TextEncoder();
  return Uint8Array.from([
    ...labels.flatMap((label) => [label.length, ...text.encode(label)]),
    ...[0, type >> 8, type & 255, 0, 1],
  ]);
}

function read(labels: readonly string[], type: number, length?: number) {
  const bytes = wire(labels, type);
  return questionOf(bytes, length ?? bytes.length);
}

Deno.test("a question has a name and a type", () => {
  deepEqual(read(["kubernetes", "default", "svc"], 28), {
    name: "kubernetes.default.svc",
    type: "AAAA",
  });
  deepEqual(read([], 2), { name: ".", type: "NS" });
  deepEqual(read(["a"], 257), { name: "a", type: "TYPE257" });
});

Deno.test("a question that was cut short says so", () => {
  deepEqual(read(["web", "example"], 1, 6), { name: "web.e…" });
  deepEqual(read(["web", "example"], 1, 4), { name: "web.…" });
  deepEqual(read(["web"], 1, 5), { name: "web" });
  deepEqual(read(["web"], 1, 6), { name: "web" });
  deepEqual(read(["web"], 1, 7), { name: "web", type: "A" });
  deepEqual(read(["web"], 1, 0), {});
});

Deno.test("what is no name is not taken for one, and nothing in a name can mislead", () => {
  deepEqual(questionOf(Uint8Array.of(0xc0, 0x0c, 0, 1, 0, 1), 6), {});
  deepEqual(read(["a.b", "c\nd", "e f"], 1), { name: "a?b.c?d.e?f", type: "A" });
});
