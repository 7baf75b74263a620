import assert from "node:assert/strict";
import { FakeRuntime, framed } from "../../../tests/fake_runtime.ts";
import { Runtime, RuntimeError } from "./grpc.ts";
import { sandboxesOf } from "./messages.ts";
import { stringField } from "./wire.ts";

const POD = { id: "a", name: "web", namespace: "shop", uid: "u" };

Deno.test("a runtime answers with a message, which may be empty", async () => {
  await using fake = new FakeRuntime();
  using runtime = new Runtime(fake.path);
  assert.equal((await runtime.call("ListPodSandbox")).length, 0);
  fake.pods = [POD];
  const [sandbox] = sandboxesOf(await runtime.call("ListPodSandbox"));
  assert.deepEqual(sandbox, { ...POD, attempt: 0, ready: true, labels: {} });
});

Deno.test("a message of a megabyte, in many parts, arrives whole", async () => {
  await using fake = new FakeRuntime();
  using runtime = new Runtime(fake.path);
  const bytes = framed(stringField(9, "x".repeat(1_000_003)));
  fake.misbehaviour.set("ListPodSandbox", { kind: "bytes", bytes });
  const answer = await runtime.call("ListPodSandbox");
  assert.equal(answer.length, bytes.length - 5);
  assert.ok(answer.every((byte, index) => byte === bytes[index + 5]));
});

Deno.test("a refusal has the runtime's code and words", async () => {
  await using fake = new FakeRuntime();
  using runtime = new Runtime(fake.path);
  await assert.rejects(
    runtime.call("PodSandboxStatus", stringField(1, "gone")),
    (error) =>
      error instanceof RuntimeError && error.code === 5 &&
      error.message === `Cannot ask "${fake.path}" for PodSandboxStatus: not found: gone`,
  );
});

Deno.test("a runtime that hangs is given up, and says after how long", async () => {
  await using fake = new FakeRuntime();
  fake.misbehaviour.set("ListPodSandbox", { kind: "hang" });
  using runtime = new Runtime(fake.path, 50);
  await assert.rejects(runtime.call("ListPodSandbox"), /it has not answered for 50 ms$/);
});

for (
  const [what, bytes, words] of [
    ["is cut", framed(stringField(1, "a message")).slice(0, 9), /The answer ended after 9 of 16/],
    ["lacks its length", Uint8Array.of(0, 0), /ended after 2 of 5 bytes$/],
    ["is missing", new Uint8Array(), /The connection ended before the answer did$/],
    ["is compressed", Uint8Array.of(1, 0, 0, 0, 1, 0), /The answer is compressed/],
    [
      "claims to be huge",
      Uint8Array.of(0, 255, 255, 255, 255),
      /4294967295 bytes, and at most 1677/,
    ],
  ] as const
) {
  Deno.test(`an answer that ${what} is an error that says so`, async () => {
    await using fake = new FakeRuntime();
    fake.misbehaviour.set("ListPodSandbox", { kind: "bytes", bytes });
    using runtime = new Runtime(fake.path);
    await assert.rejects(runtime.call("ListPodSandbox"), words);
  });
}

Deno.test("a stream gives each message when it comes, until it is closed", async () => {
  await using fake = new FakeRuntime();
  fake.streamEvents();
  const runtime = new Runtime(fake.path);
  const sending = setInterval(() => fake.event(), 10);
  let seen = 0;
  await assert.rejects(async () => {
    for await (const message of runtime.stream("GetContainerEvents")) {
      assert.deepEqual(message, stringField(1, "container"));
      if (++seen === 3) runtime[Symbol.dispose]();
    }
  });
  clearInterval(sending);
  assert.equal(seen, 3);
});
