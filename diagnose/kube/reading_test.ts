import assert from "node:assert/strict";
import { ApiError } from "@agent/kubernetes/client.ts";
import { madeSlice } from "../../tests/made_kubernetes.ts";
import { nameOf } from "./objects.ts";
import { clusterObjects } from "./reading.ts";

/** An API that has these lists, in pages of two; of all else it has none. */
function api(lists: Readonly<Record<string, readonly unknown[] | number>>) {
  const asked: string[] = [];
  const read = ({ path, parameters }: {
    readonly path: string;
    readonly parameters: Readonly<Record<string, string>>;
  }) => {
    asked.push(path);
    const list = lists[path] ?? 404;
    if (path === "/apis") return Promise.resolve({ groups: versions(lists) });
    if (typeof list === "number") throw new ApiError(list, `Cannot ask for ${path}: HTTP ${list}`);
    const from = Number(parameters["continue"] ?? 0);
    const more = from + 2 < list.length ? { continue: `${from + 2}` } : {};
    return Promise.resolve({ metadata: more, items: list.slice(from, from + 2) });
  };
  return { asked, read };
}

/** The groups that the lists are of. */
function versions(lists: Readonly<Record<string, unknown>>) {
  return Object.keys(lists).flatMap((path) => {
    const [, groupVersion] = /^\/apis\/(.+)\/\w+$/.exec(path) ?? [];
    return groupVersion === undefined ? [] : [{ versions: [{ groupVersion }] }];
  });
}

const PODS = "/api/v1/pods";
const pods = ["a", "b", "c"].map((name) => ({
  metadata: { name, namespace: "n" },
  spec: { containers: [] },
}));

Deno.test("a cluster's objects are read page by page, without those it does not have", async () => {
  const node = { metadata: { name: "x" } };
  const fake = api({ [PODS]: pods, "/api/v1/nodes": [node, { metadata: 7 }] });
  const { objects, mistakes } = await clusterObjects(fake);
  assert.deepEqual(objects.map((each) => `${each.kind} ${nameOf(each)}`), [
    ...["Pod n/a", "Pod n/b", "Pod n/c", "Node x"],
  ]);
  assert.equal(mistakes.length, 1);
  assert.equal(fake.asked.filter((path) => path === PODS).length, 2);
  assert.equal(fake.asked.length, 11);
});

Deno.test("what may not be read is told; without pods there is nothing to say", async () => {
  const { objects, mistakes } = await clusterObjects(api({ [PODS]: pods, "/api/v1/nodes": 403 }));
  assert.deepEqual([objects.length, mistakes], [3, ["Cannot ask for /api/v1/nodes: HTTP 403"]]);
  await assert.rejects(clusterObjects(api({ [PODS]: 403 })), /HTTP 403/);
  await assert.rejects(clusterObjects(api({ [PODS]: pods, "/api/v1/nodes": 500 })), /HTTP 500/);
});

Deno.test("kinds that only some networks have are asked for where their group is", async () => {
  const calico = "/apis/crd.projectcalico.org/v1";
  const policy = { metadata: { name: "p", namespace: "n" }, spec: { selector: "all()" } };
  const fake = api({
    [PODS]: pods,
    [`${calico}/networkpolicies`]: [policy],
    [`${calico}/ippools`]: [{ metadata: { name: "q" }, spec: { cidr: "10.244.0.0/16" } }],
    [`${calico}/globalnetworkpolicies`]: 403,
  });
  const { objects, mistakes } = await clusterObjects(fake);
  assert.deepEqual(objects.slice(3).map((each) => `${each.kind} ${nameOf(each)}`), [
    "IPPool q",
    "UnreadPolicy n/p",
  ]);
  assert.deepEqual(mistakes, [`Cannot ask for ${calico}/globalnetworkpolicies: HTTP 403`]);
  assert.equal(fake.asked.some((path) => path.includes("cilium")), false);
});

Deno.test("endpoint slices are those of the newest version that the API has, once", async () => {
  const slice = madeSlice("web", "10.244.0.7");
  const path = (version: string) => `/apis/discovery.k8s.io/${version}/endpointslices`;
  for (const versions of [["v1"], ["v1beta1"], ["v1", "v1beta1"]]) {
    const lists = Object.fromEntries(versions.map((each) => [path(each), [slice]]));
    const { objects } = await clusterObjects(api({ [PODS]: pods, ...lists }));
    const slices = objects.filter(({ kind }) => kind === "EndpointSlice");
    assert.equal(slices.length, 1, versions.join());
  }
});
