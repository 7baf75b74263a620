import assert from "node:assert/strict";
import { madeEvent } from "../../tests/made_events.ts";
import type { EventFilter } from "../surface.ts";
import type { Event } from "./event.ts";
import { matcherOf, millisecondsOf } from "./filter.ts";

const reset: Event = { id: "23", ...madeEvent() };
const passes = (filter: EventFilter, event = reset) => matcherOf(filter)(event);

Deno.test("a filter compares each of its parts, and all of them have to fit", () => {
  const at = millisecondsOf(reset.time);
  const cases: readonly [EventFilter, boolean][] = [
    [{}, true],
    [{ type: [] }, true],
    [{ type: ["PACKETLOSS", "TCPRESET_NOSOCK"] }, true],
    [{ type: ["PACKETLOSS"] }, false],
    [{ namespace: "shop", pod: "cart-7f9c", node: "node-a" }, true],
    [{ namespace: "shop", pod: "cart" }, false],
    [{ namespace: "default", pod: "cart-7f9c" }, false],
    [{ node: "node-b" }, false],
    [{ since: at, until: at + 1 }, true],
    [{ since: at + 1 }, false],
    [{ until: at }, false],
    [{ after: "22" }, true],
    [{ after: "23" }, false],
    [{ after: "3" }, true],
  ];
  for (const [filter, expected] of cases) {
    assert.equal(passes(filter), expected, JSON.stringify(filter));
  }
});

Deno.test("hostNetwork finds the host's events, as the text line calls it", () => {
  const host = { ...reset, pod: { kind: "host", namespace: "", name: "" } };
  assert.equal(passes({ namespace: "hostNetwork" }, host), true);
  assert.equal(passes({ pod: "hostNetwork" }, host), true);
  assert.equal(passes({ namespace: "hostNetwork" }), false);
});

Deno.test("a time with nanoseconds is read, and one that is none is refused", () => {
  assert.equal(millisecondsOf("2025-03-01T12:00:00.123456789Z"), 1740830400123);
  assert.throws(() => millisecondsOf("noon"), {
    name: "SyntaxError",
    message: 'Cannot read the time "noon" as RFC 3339',
  });
});
