import assert from "node:assert/strict";
import { madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { diagnose, type Question } from "../walk/diagnosis.ts";
import { verify } from "./verify.ts";

/** What a real packet of a namespace that is only made up does: nothing. */
async function verified(source: string, protocol: Question["protocol"]): Promise<string> {
  const snapshot = madeSnapshot({ nosuch: { devices: { e0: { addresses: ["10.0.0.1/24"] } } } });
  const [from, to] = [source, "10.0.0.1"].map(parseAddress);
  assert.ok(from !== undefined && to !== undefined);
  const diagnosis = diagnose([snapshot], { source: from, destination: to, protocol, port: 80 });
  const { outcome, agrees, text } = await verify(diagnosis);
  assert.deepEqual([outcome, agrees], ["not sent", undefined]);
  return text;
}

Deno.test("verify says why it sends nothing", async () => {
  assert.match(await verified("10.9.9.9", "tcp"), /the sender's namespace is not known/);
  assert.match(await verified("10.0.0.1", "icmp"), /Cannot open the network namespace 1000/);
  assert.match(
    await verified("10.0.0.1", "tcp"),
    /Cannot open the network namespace 1000 at "\/run\/netns\/nosuch": ENOENT/,
  );
});
