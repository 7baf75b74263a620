import assert from "node:assert/strict";
import { parseAddress } from "../../diagnose/packet/address.ts";
import { diagnose, type Diagnosis } from "../../diagnose/walk/diagnosis.ts";
import { forwarding, madeSnapshot } from "../../tests/made_network.ts";
import { FORMATTERS, inAllFormats } from "./diagnose_formats.ts";

/** Names that a terminal acts on: by ESC, by a C1 control, by marks that turn text around. */
const EVIL = "b\x1b[31m\x9b2J\x07\u202e\u2066\r\x00\x7fz";
const DEVICE = "\x1b]0;x\x07\u202ev";

/** Text on which no terminal acts, on lines of their own. */
// deno-lint-ignore no-control-regex -- that is what is looked for
const ACTS = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

/** From a namespace over the node into another, with evil names wherever there are names. */
function made(port: number): Diagnosis {
  const pod = (own: number, to: string) => ({
    devices: {
      [DEVICE]: { kind: "veth", to: ["node", to] as const, addresses: [`10.0.${own}.2/24`] },
    },
    routes: [{ gateway: `10.0.${own}.1`, dev: DEVICE }],
    listeners: own === 1 ? ["tcp * 80"] : [],
  });
  const end = (other: string, own: number) => ({
    ...{ kind: "veth", to: [other, DEVICE] as const, addresses: [`10.0.${own}.1/24`] },
  });
  const devices = { va: end("a", 0), [`vb\x1b`]: end(EVIL, 1) };
  const snapshot = madeSnapshot(
    {
      node: { devices, sysctls: forwarding("va", "vb\x1b") },
      ...{ a: pod(0, "va"), [EVIL]: pod(1, "vb\x1b") },
    },
    "node\x1b[0m",
  );
  const [source, destination] = ["10.0.0.2", "10.0.1.2"].map(parseAddress);
  assert.ok(source !== undefined && destination !== undefined);
  return diagnose([snapshot], { source, destination, protocol: "tcp", port });
}

Deno.test("no format has anything in it that a terminal would act on", () => {
  for (const [port, verdict] of [[80, "reachable"], [81, "blocked"]] as const) {
    const diagnosis = made(port);
    assert.equal(diagnosis.verdict, verdict);
    const seen = [{ by: "event", where: EVIL, text: EVIL }] as const;
    const verification = { outcome: "silence", agrees: false, text: EVIL, seen };
    const formats = inAllFormats({ ...diagnosis, verification });
    assert.deepEqual(Object.keys(formats), Object.keys(FORMATTERS));
    for (const [name, text] of Object.entries(formats)) {
      assert.ok(text.length > 100, name);
      const found = ACTS.exec(text);
      assert.equal(found, null, `${name}: ${JSON.stringify(text.slice((found?.index ?? 0) - 60))}`);
    }
  }
});
