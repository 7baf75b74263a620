import assert from "node:assert/strict";
import { UNREAD_KINDS, unreadPolicy } from "./unread.ts";

Deno.test("policies of others are told from Kubernetes' own by their API group", () => {
  assert.equal(unreadPolicy("NetworkPolicy", "networking.k8s.io"), undefined);
  assert.equal(unreadPolicy("NetworkPolicy", undefined), undefined);
  assert.equal(unreadPolicy("GlobalNetworkPolicy", "example.org"), undefined);
  for (const { kind, group, whose } of UNREAD_KINDS) {
    assert.deepEqual(unreadPolicy(kind, group), { kind: "UnreadPolicy", of: kind, whose });
  }
  assert.equal(unreadPolicy("NetworkPolicy", "projectcalico.org")?.whose, "Calico");
});
