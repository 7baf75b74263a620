import assert from "node:assert/strict";
import { parseAddress } from "../../diagnose/packet/address.ts";
import { diagnose } from "../../diagnose/walk/diagnosis.ts";
import { fakeEvent } from "../../tests/fake_agent.ts";
import { madeSnapshot } from "../../tests/made_network.ts";
import { ofPacket } from "./diagnose_verify.ts";

Deno.test("of a packet are the events with both of its ends, in either direction", () => {
  const snapshot = madeSnapshot({ n: { devices: { e0: { addresses: ["10.0.0.1/24"] } } } });
  const source = parseAddress("10.0.0.1") ?? assert.fail("It is no address");
  const question = { source, destination: source, protocol: "tcp", port: 80 } as const;
  const diagnosis = {
    ...diagnose([snapshot], question),
    question: { ...question, destination: parseAddress("10.0.0.9") ?? source },
  };
  const [from, to] = [{ address: "10.0.0.1", port: 50_000 }, { address: "10.0.0.9", port: 80 }];
  const events = [
    fakeEvent(1, { source: from, destination: to, message: "there" }),
    fakeEvent(2, { source: to, destination: from, message: "back" }),
    fakeEvent(3, { source: from, destination: { address: "10.0.0.8" } }),
    fakeEvent(4, { source: { address: "10.0.0.2" } }),
  ];
  assert.deepEqual(ofPacket(events, diagnosis), [
    { by: "event", where: "shop/cart-7f9c", text: "TCPRESET_NOSOCK: there" },
    { by: "event", where: "shop/cart-7f9c", text: "TCPRESET_NOSOCK: back" },
  ]);
});
