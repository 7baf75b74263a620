import assert from "node:assert/strict";
import { madeEvent, seeded } from "../../tests/made_events.ts";
import { EncodedEvent } from "../events/encoded.ts";
import { LineWriter } from "./lines.ts";

Deno.test("lines come out whole and once, however writing is interrupted", async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = seeded(seed);
    const out: number[] = [];
    const writer = new LineWriter("text");
    const some = (bytes: Uint8Array): number => {
      if (random() < 0.3) throw new Error("No space left");
      const taken = 1 + Math.floor(random() * bytes.length);
      out.push(...bytes.subarray(0, taken));
      return taken;
    };
    const events = Array.from(
      { length: 40 },
      (_, index) => EncodedEvent.of({ id: String(index), ...madeEvent({ type: `T${index}` }) }),
    );
    let left = events;
    while (left.length > 0) {
      const { written } = await writer.write(left.slice(0, 7), some);
      left = left.slice(written);
    }
    const expected = events.map(({ textLine }) => new TextDecoder().decode(textLine)).join("");
    assert.equal(new TextDecoder().decode(new Uint8Array(out)), expected, `seed ${seed}`);
  }
});

Deno.test("a line whose rest never comes does not become part of the next one", async () => {
  let room = 10;
  let out = "";
  const some = (bytes: Uint8Array): number => {
    if (room === 0) throw new Error("No space left");
    const taken = Math.min(room, bytes.length);
    out += new TextDecoder().decode(bytes.subarray(0, taken));
    room -= taken;
    return taken;
  };
  const writer = new LineWriter("text");
  const [first, second] = ["1", "2"].map((id) => EncodedEvent.of({ id, ...madeEvent() }));
  assert.ok(first !== undefined && second !== undefined);
  assert.equal((await writer.write([first], some)).written, 0);
  room = 1_000;
  assert.equal((await writer.write([second], some)).written, 1);
  assert.equal(out, `type=TCPRE\n${new TextDecoder().decode(second.textLine)}`);
});
