import assert from "node:assert/strict";
import { madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { diagnose } from "../walk/diagnosis.ts";
import { findingsOf } from "./finding.ts";
import { headline } from "./headline.ts";
import { documentOf } from "./json.ts";
import { diagnosisText } from "./text.ts";

/** A diagnosis in one namespace, whose name a terminal would act on. */
function made(name: string, listeners: readonly string[]) {
  const snapshot = madeSnapshot({
    [name]: { devices: { e0: { addresses: ["10.0.0.1/24"] } }, listeners },
  });
  const source = parseAddress("10.0.0.1");
  assert.ok(source !== undefined);
  return diagnose([snapshot], { source, destination: source, protocol: "tcp", port: 80 });
}

Deno.test("the text has the verdict, the findings with what to do, and both ways", () => {
  const text = diagnosisText(made("n", []));
  const lines = text.split("\n");
  assert.match(lines[0] ?? "", /^blocked at netns n: nothing listens on tcp port 80/);
  assert.match(text, /^critical \(certain\) no-listener: /m);
  assert.match(text, /^ {2}confirm {4}ip netns exec n ss -Hlnt sport = :80$/m);
  assert.match(text, /^ {2}fix {8}start what is to listen on tcp port 80$/m);
  assert.match(text, /^Request: blocked$/m);
  const open = diagnosisText(made("n", ["tcp * 80"]));
  assert.match(open, /^Request: delivered$/m);
  assert.match(open, /^Answer: delivered$/m);
});

Deno.test("the text shows nothing that a terminal would act on", () => {
  const diagnosis = made("evil\x1b[31m", []);
  assert.ok(headline(diagnosis).includes("evil"));
  assert.ok(!diagnosisText(diagnosis).includes("\x1b"));
});

Deno.test("findings are ordered by what they do, and say where", () => {
  const [first] = findingsOf(made("n", []));
  assert.equal(first?.severity, "critical");
  assert.deepEqual(first?.where, {
    node: "node1",
    namespace: "netns n",
    netns: 1000,
  });
});

Deno.test("the document has each step with the packet as it is there", () => {
  const document = documentOf(made("n", ["tcp * 80"]));
  const [way] = document.ways;
  assert.deepEqual(way?.request.steps.map(({ does }) => does), ["send", "route", "deliver"]);
  assert.equal(way?.answers[0]?.steps[0]?.packet.sourcePort, 80);
  assert.deepEqual(document.findings, []);
});
