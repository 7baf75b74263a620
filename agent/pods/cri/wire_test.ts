import assert from "node:assert/strict";
import { damaged, randomOf } from "../../../tests/damage.ts";
import { sandbox, status } from "../../../tests/fake_runtime.ts";
import { sandboxesOf, statusOf } from "./messages.ts";
import { bytesField, concat, entry, fields, numberField, stringField, text } from "./wire.ts";

/** Damaged messages that are read; `FUZZ_SEED=N` repeats a failure. */
const INPUTS = 10_000;
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? 20_251_121);

const POD = {
  id: "ab".repeat(32),
  ...{ name: "web", namespace: "shop", uid: "3f1b2c4d", attempt: 3, labels: { app: "web" } },
  ...{ addresses: ["10.0.0.7", "fd00::7"], info: `{"pid": 17}` },
};

Deno.test("wire reads the encodings that the specification's own examples show", () => {
  assert.deepEqual(Array.from(fields(Uint8Array.of(0x08, 0x96, 0x01))), [
    { number: 1, value: 150, bytes: new Uint8Array() },
  ]);
  const testing = Uint8Array.of(0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67);
  assert.deepEqual(Array.from(fields(testing), text), ["testing"]);
  assert.deepEqual(stringField(2, "testing"), testing);
  assert.deepEqual(numberField(1, 150), Uint8Array.of(0x08, 0x96, 0x01));
});

Deno.test("wire steps over fields of fixed length, and keeps numbers up to 2^53", () => {
  const fixed = concat(
    ...[Uint8Array.of(0x09, 1, 2, 3, 4, 5, 6, 7, 8), Uint8Array.of(0x15, 1, 2, 3, 4)],
    numberField(7, Number.MAX_SAFE_INTEGER),
  );
  assert.deepEqual(Array.from(fields(fixed), ({ number, value }) => [number, value]), [
    [7, Number.MAX_SAFE_INTEGER],
  ]);
});

Deno.test("wire reads an entry of a map in either order, and without its value", () => {
  const read = (message: Uint8Array) =>
    Array.from(fields(bytesField(5, message)), (field) => entry(field))[0];
  assert.deepEqual(read(concat(stringField(2, "web"), stringField(1, "app"))), ["app", "web"]);
  assert.deepEqual(read(stringField(1, "app")), ["app", ""]);
});

Deno.test("wire says how a message is damaged", () => {
  const all = (...bytes: number[]) => () => Array.from(fields(Uint8Array.from(bytes)));
  assert.throws(all(0x08, 0x96), /Cannot read a message of 2 bytes: it ends within a number/);
  assert.throws(all(0x12, 0x07, 0x74), /it ends within field 2/);
  assert.throws(all(0x0b), /it has a field of the unknown type 3/);
  assert.throws(all(0x08, ...Array(10).fill(0xff)), /a number of more than 10 bytes/);
});

Deno.test(`wire reads ${INPUTS} damaged messages to their end, or says what is wrong`, () => {
  const random = randomOf(SEED);
  const lists = bytesField(1, sandbox(POD));
  const statuses = status(POD);
  let readWhole = 0;
  for (let input = 0; input < INPUTS; input++) {
    const isList = random(2) === 0;
    const message = (isList ? lists : statuses).slice(0);
    for (let change = random(4); change >= 0; change--) {
      message[random(message.length)] = random(256);
    }
    const cut = message.subarray(0, random(8) === 0 ? random(message.length) : message.length);
    try {
      if (isList) { for (const { name } of sandboxesOf(cut)) assert.equal(typeof name, "string"); }
      else assert.ok(statusOf(cut).addresses.length <= 16);
      readWhole++;
    } catch (error) {
      const said = error instanceof Error && error.message.startsWith("Cannot read a message of ");
      assert.ok(said, `FUZZ_SEED=${SEED}, input ${input}: ${error}`);
    }
  }
  assert.ok(readWhole > INPUTS / 20 && readWhole < INPUTS, `${readWhole}`);
});

Deno.test("wire takes no text for a process, however the verbose part is damaged", () => {
  const random = randomOf(SEED);
  const info = `{"pid":17,"runtimeSpec":{"linux":{"namespaces":[{"type":"network","path":"/a"}]}}}`;
  assert.deepEqual(statusOf(status({ ...POD, info })), {
    ...{ addresses: POD.addresses, hostNetwork: false, pid: 17, netnsPath: "/a" },
  });
  for (let input = 0; input < INPUTS; input++) {
    const { pid, netnsPath } = statusOf(status({ ...POD, info: damaged(info, random) }));
    assert.ok(pid === undefined || (Number.isSafeInteger(pid) && pid > 0), `${pid}`);
    assert.ok(netnsPath === undefined || netnsPath.startsWith("/"), netnsPath);
  }
});
