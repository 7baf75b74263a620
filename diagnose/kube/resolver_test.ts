import assert from "node:assert/strict";
import { formatAddress } from "../packet/address.ts";
import { candidates, clusterDomain, inHosts, resolverOf } from "./resolver.ts";

const POD = `nameserver 10.96.0.10
search shop.svc.k8s.example svc.k8s.example k8s.example
options ndots:5
`;

Deno.test("a resolv.conf is taken as glibc takes it", () => {
  const read = resolverOf(`; a comment
nameserver fe80::1%eth0
nameserver nonsense
nameserver 192.0.2.1
search a.example
domain b.example.
search c.example d.example.
options ndots:99 timeout:1
options attempts:9 rotate edns0
nameserver 192.0.2.2
nameserver 192.0.2.3
`);
  assert.deepEqual(read.nameservers.map(formatAddress), ["fe80::1", "192.0.2.1", "192.0.2.2"]);
  const { nameservers: _, ...rest } = read;
  assert.deepEqual(rest, {
    ...{ ignored: 1, search: ["c.example", "d.example"], ndots: 15 },
    ...{ timeoutSeconds: 1, attempts: 5 },
  });
  const empty = resolverOf("");
  assert.deepEqual([empty.nameservers.map(formatAddress), empty.ndots], [["127.0.0.1"], 1]);
});

Deno.test("names with fewer dots than ndots are searched first, others last", () => {
  const resolver = resolverOf(POD);
  assert.deepEqual(candidates("web", resolver), [
    ...["web.shop.svc.k8s.example", "web.svc.k8s.example", "web.k8s.example", "web"],
  ]);
  assert.deepEqual(candidates("a.b.c.d.e.f", resolver)[0], "a.b.c.d.e.f");
  assert.equal(candidates("a.b.c.d.e", resolver).at(-1), "a.b.c.d.e");
  assert.deepEqual(candidates("web.shop.", resolver), ["web.shop"]);
  assert.deepEqual(candidates("web", { ...resolver, search: [""] }), ["web"]);
});

Deno.test("hosts has names and aliases, in any case, of both families", () => {
  const text = "127.0.0.1 localhost\n10.0.0.5\tweb-0.web.shop Web-0 # web-1\nfd00::5 web-0\n#x y\n";
  assert.deepEqual(inHosts(text, "web-0.").map(formatAddress), ["10.0.0.5", "fd00::5"]);
  assert.deepEqual(inHosts(text, "WEB-0.web.shop").map(formatAddress), ["10.0.0.5"]);
  assert.deepEqual(inHosts(text, "web-1"), []);
});

Deno.test("the cluster's domain is in the search list", () => {
  assert.equal(clusterDomain(resolverOf(POD)), "k8s.example");
  assert.equal(clusterDomain({ search: ["corp.example"] }), "cluster.local");
});
