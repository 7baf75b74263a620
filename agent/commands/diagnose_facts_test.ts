import assert from "node:assert/strict";
import { packetOf } from "../../tests/made_rules.ts";
import { parseAddress } from "../../diagnose/packet/address.ts";
import { cloudOf } from "./diagnose_facts.ts";
import { Failure } from "./terminal.ts";

/** The example of the documentation. */
function example(): string {
  const page = Deno.readTextFileSync(new URL("../../docs/diagnose.md", import.meta.url));
  return /^```yaml\n(format: podskoop-facts.*?)^```$/ms.exec(page)?.[1] ?? assert.fail();
}

async function withFile<T>(text: string, work: (path: string) => Promise<T>): Promise<T> {
  const path = await Deno.makeTempFile({ prefix: "podskoop-facts-" });
  try {
    await Deno.writeTextFile(path, text);
    return await work(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("the documented example is read, and says what its text says", async () => {
  const cloud = await withFile(example(), cloudOf) ?? assert.fail();
  const hop = parseAddress("192.168.0.12") ?? assert.fail();
  const becomes = (port: number, protocol: number, from = "192.168.0.11") => {
    const packet = packetOf(from, "192.168.0.12", port, { protocol });
    const passage = cloud.carry("node1", packet, hop);
    return passage.passes === "no" ? passage.id : passage.passes;
  };
  assert.equal(becomes(8472, 17), "yes");
  assert.equal(becomes(31_000, 6), "yes");
  assert.equal(becomes(80, 6), "cloud-denies");
  assert.equal(becomes(8472, 17, "10.9.9.9"), "cloud-source-check");
});

Deno.test("a file of facts that cannot be used says which it is, and why", async () => {
  assert.equal(await cloudOf(undefined), undefined);
  await assert.rejects(cloudOf("/nowhere/facts"), /Cannot use the facts "\/nowhere\/facts": /);
  const refused = (text: string, why: RegExp) =>
    withFile(text, (path) =>
      assert.rejects(cloudOf(path), (error) => {
        assert.ok(error instanceof Failure);
        assert.match(error.message, why);
        // 2 would be a verdict.
        return error.exitCode === 1;
      }));
  await refused("{", /Cannot use the facts ".*": /);
  await refused("a: &x [1]\nb: *x\n", /Cannot use the facts/);
  await refused("format: other\n", /: Cannot read the facts: at "format"/);
});
