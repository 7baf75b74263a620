import assert from "node:assert/strict";
import { AdditionalLabels, parseAdditionalLabel, VALUES_MAX } from "./pod_labels.ts";

Deno.test("an additional label is a name, and texts around pod labels", () => {
  assert.deepEqual(parseAdditionalLabel("app=text_${labels:app.kubernetes.io/name}-${labels:v}"), {
    name: "app",
    texts: ["text_", "-", ""],
    keys: ["app.kubernetes.io/name", "v"],
  });
  for (
    const [entry, why] of [
      ["app", /NAME=TEXT/],
      ["a-b=${labels:a}", /"a-b" is no name/],
      ["pod=${labels:a}", /"pod" has a meaning already/],
      ["k8s_pod=${labels:a}", /"k8s_pod" has a meaning/],
      ["__a=${labels:a}", /"__a" has a meaning/],
      ["app=web", /"web" names no label/],
      ["app=${workload:a}", /"\$\{workload:a\}" names no label of a pod: .* or \$\{workload\}$/],
      ["app=${labels:a}${env:B}", /"\$\{env:B\}" is not understood/],
    ] as const
  ) {
    assert.match(String(parseAdditionalLabel(entry)), why);
  }
});

Deno.test("a label whose pod has none of its keys is left out", () => {
  const labels = new AdditionalLabels(["app=${labels:app}", "both=${labels:app}/${labels:v}"]);
  assert.deepEqual(labels.of({ labels: { app: "web", v: "2" } }), [["app", "web"], [
    "both",
    "web/2",
  ]]);
  assert.deepEqual(labels.of({ labels: { v: "2" } }), [["both", "/2"]]);
  assert.deepEqual(labels.of({ labels: { x: "y" } }), []);
  assert.deepEqual(labels.of({}), []);
  assert.deepEqual(new AdditionalLabels(["a=${labels:constructor}"]).of({}), []);
  const taken = labels.taken(["state", "app"]);
  assert.deepEqual(labels.of({ labels: { app: "web" } }, taken), [["both", "web/"]]);
});

Deno.test("a label has a bounded number of values, and room when some are gone", () => {
  const labels = new AdditionalLabels(["app=${labels:app}"]);
  const of = (app: string) => labels.of({ labels: { app } })[0]?.[1];
  labels.begin();
  for (let index = 0; index < VALUES_MAX; index++) assert.equal(of(`v${index}`), `v${index}`);
  assert.deepEqual([of("more"), of("v7"), labels.refused], ["other", "v7", 1]);
  for (let round = 0; round < 4; round++) {
    labels.begin();
    of("v7");
  }
  assert.deepEqual([of("more"), of("v7"), labels.refused], ["more", "v7", 1]);
});

Deno.test("a label may be what made the pod, which no label of the pod stands for", () => {
  const labels = new AdditionalLabels(["by=${workload}", "app=${labels:app} of ${workload}"]);
  const workload = "Deployment/web";
  assert.deepEqual(labels.of({ workload }), [["by", workload], ["app", ` of ${workload}`]]);
  assert.deepEqual(labels.of({ labels: { app: "web" }, workload }), [
    ["by", workload],
    ["app", `web of ${workload}`],
  ]);
  assert.deepEqual(labels.of({ labels: { workload } }), []);
});
