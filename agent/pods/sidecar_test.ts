import assert from "node:assert/strict";
import { hostname } from "node:os";
import { ownIdentity } from "./sidecar.ts";

Deno.test("a sidecar has its name from the downward API, else from what a pod has", async () => {
  const account = await Deno.makeTempFile();
  const of = (values: Readonly<Record<string, string>>, file = account) =>
    ownIdentity({ env: (name) => values[name], account: file });
  assert.deepEqual(of({ POD_NAME: "cart", POD_NAMESPACE: "shop", POD_UID: "u" }), {
    kind: "pod",
    namespace: "shop",
    name: "cart",
    uid: "u",
  });
  const old = { POD_NAME: "", KUBESKOOP_POD_NAME: "web", INSPECTOR_PODNAMESPACE: "old" };
  assert.deepEqual(of(old), { kind: "pod", namespace: "old", name: "web" });
  await Deno.writeTextFile(account, "account\n");
  assert.deepEqual(of({}), { kind: "pod", namespace: "account", name: hostname() });
  await Deno.remove(account);
  assert.equal(of({}).namespace, "default");
});
