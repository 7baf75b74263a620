/**
 * The compiled binary on a cluster's objects that take more memory than an agent ever does.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { madePod } from "../made_kubernetes.ts";
import { madeSnapshot } from "../made_network.ts";
import { BINARY } from "./lab.ts";

/** As much as some 15,000 pods have, as `kubectl get -o json` writes them. */
const OBJECTS_CHARACTERS = 128 * 1024 * 1024;

Deno.test("diagnose reads the objects of a large cluster", async () => {
  const dir = await Deno.makeTempDir({ prefix: "podskoop-large-" });
  try {
    const annotations = { text: "x".repeat(OBJECTS_CHARACTERS) };
    const pod = madePod({ name: "web", addresses: ["10.0.0.1"], annotations });
    const [objects, snapshot] = [join(dir, "objects.json"), join(dir, "node.json")];
    const owner = { kind: "pod", namespace: "shop", name: "web" } as const;
    const taken = madeSnapshot({
      pod: { devices: { e0: { addresses: ["10.0.0.1/24"] } }, more: { owner } },
    });
    await Deno.writeTextFile(objects, JSON.stringify({ apiVersion: "v1", kind: "Pod", ...pod }));
    await Deno.writeTextFile(snapshot, JSON.stringify(taken));
    const { code, signal, stdout, stderr } = await new Deno.Command(BINARY, {
      args: [
        ...["diagnose", "--snapshot", snapshot, "--objects", objects],
        ...["-s", "pod/shop/web", "-d", "10.0.0.1", "-p", "7919"],
      ],
    }).output();
    const said = new TextDecoder().decode(stderr).slice(0, 2_000);
    assert.deepEqual([signal, code, said], [null, 2, ""]);
    assert.match(
      new TextDecoder().decode(stdout),
      /^blocked at .*nothing listens on tcp port 7919/,
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
