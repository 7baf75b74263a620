import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import * as v from "valibot";
import { unitCards } from "../agent/config/cards.ts";
import { readConfig } from "../agent/config/read.ts";
import { discoverCollectors, discoverProbes } from "../agent/discover.ts";
import { KubernetesSource } from "../agent/pods/kubernetes/kubernetes.ts";
import { clusterObjects } from "../diagnose/kube/reading.ts";
import { UNREAD_KINDS } from "../diagnose/kube/unread.ts";
import { FakeKubernetes } from "./fake_kubernetes.ts";

const ROOT = new URL("../", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));

function documents(path: string): unknown[] {
  return parseAllDocuments(read(path)).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS();
  });
}

const role = v.object({
  kind: v.literal("ClusterRole"),
  rules: v.array(v.strictObject({
    apiGroups: v.array(v.string()),
    resources: v.array(v.string()),
    verbs: v.array(v.string()),
  })),
});

/** What the roles of a manifest allow, as the paths that are asked for: `list /api/v1/pods`. */
function allowed(path: string): string[] {
  const roles = documents(path).flatMap((each) => {
    const parsed = v.safeParse(role, each);
    return parsed.success ? [parsed.output] : [];
  });
  return roles.flatMap(({ rules }) => rules).flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.map((verb) => `${verb} ${group === "" ? "/api" : `/apis/${group}`}/v1/${resource}`)
      )
    )
  );
}

/** What the agent asks an API server for. */
async function asked(scope: "node" | "cluster"): Promise<Set<string>> {
  await using fake = new FakeKubernetes();
  const source = new KubernetesSource({ scope, node: "a", kubeconfig: fake.kubeconfig() });
  const wanted = scope === "node" ? 1 : 5;
  while (fake.watching < wanted) await new Promise((resolve) => setTimeout(resolve, 10));
  source.close();
  return new Set(fake.asked);
}

Deno.test("the manifests' roles allow exactly what the agent asks for", async () => {
  const [own, wider] = [
    allowed("deploy/kubernetes/podskoop.yaml"),
    allowed("deploy/kubernetes/cluster_scope.yaml"),
  ];
  assert.deepEqual(new Set(own), await asked("node"));
  assert.deepEqual(new Set([...own, ...wider]), await asked("cluster"));
});

Deno.test("the role of who diagnoses allows exactly what a diagnosis asks for", async () => {
  const path = "deploy/kubernetes/diagnosis.yaml";
  const found = documents(path).flatMap((each) => v.is(role, each) ? [each] : []);
  const given = found.flatMap(({ rules }) => rules).flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.map((resource) => `${verbs.join()} ${group}/${resource}`)
    )
  );
  const groups = UNREAD_KINDS.map(({ group, version }) => ({
    versions: [{ groupVersion: `${group}/${version}` }],
  }));
  const wanted = new Set<string>();
  await clusterObjects({
    read: ({ path }) => {
      const [, group = "", resource] = /^\/(?:api|apis\/([^/]+))\/[^/]+\/(.*)$/.exec(path) ?? [];
      if (resource !== undefined) wanted.add(`list ${group}/${resource}`);
      return Promise.resolve({ groups, metadata: {}, items: [] });
    },
  });
  assert.deepEqual(new Set(given), wanted);
});

Deno.test("the systemd unit lets a sink write where the documentation has one", () => {
  const example = /^ +- kind: file\n +path: (\S+)$/m.exec(read("docs/configuration.md"))?.[1] ?? "";
  const unit = read("deploy/systemd/podskoop.service");
  const writable = /^LogsDirectory=(\S+)$/m.exec(unit)?.[1];
  assert.match(unit, /^ProtectSystem=strict$/m);
  assert(example.startsWith(`/var/log/${writable}/`), example);
});

Deno.test("the DaemonSet has the systemd unit's capabilities, and a configuration", async () => {
  const all = documents("deploy/kubernetes/podskoop.yaml");
  const text = JSON.stringify(all);
  const add = /"capabilities":\{"drop":\["ALL"\],"add":\[([^\]]*)\]/.exec(text)?.[1] ?? "";
  const given = Array.from(add.matchAll(/"(\w+)"/g), ([, name]) => `CAP_${name}`);
  const unit = /^CapabilityBoundingSet=(.*)$/m.exec(read("deploy/systemd/podskoop.service"))?.[1];
  assert.deepEqual(given.sort(), unit?.split(" ").sort());
  const shape = v.object({ kind: v.literal("ConfigMap"), data: v.record(v.string(), v.string()) });
  const map = all.find((each) => v.is(shape, each));
  const config = v.parse(shape, map).data["config.yaml"] ?? "";
  const units = unitCards(await discoverProbes(), await discoverCollectors());
  const result = readConfig(config, "config.yaml", units);
  assert.ok("config" in result && result.warnings.length === 0);
});
