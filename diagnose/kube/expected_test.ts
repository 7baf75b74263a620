import assert from "node:assert/strict";
import { madeNodes, podAddress } from "../../tests/made_cluster.ts";
import { ip } from "../../tests/made_rules.ts";
import { Network } from "../walk/network.ts";
import { ledTo, roomDifference } from "./expected.ts";

const [HOST = assert.fail()] = new Network(madeNodes("calico ipip")).namespaces;

Deno.test("where a node leads an address is its route, or why there is none", () => {
  const led = ledTo(HOST, ip(podAddress(2)));
  assert.deepEqual(led.hops?.map(({ device }) => device), ["tunl0"]);
  assert.match(led.text, /^10\.244\.2\.0\/26 via 192\.168\.0\.12 dev tunl0/);
  // Of the own range that no pod has yet nothing is led anywhere.
  assert.equal(ledTo(HOST, ip("10.244.1.9")).hops, undefined);
  assert.deepEqual(ledTo(HOST, ip("fd00:9::1")), {
    hops: undefined,
    text: "no route to fd00:9::1",
  });
});

Deno.test("a tunnel has room by its own network's device, if the snapshot has that", () => {
  const tunnel = HOST.device("tunl0") ?? assert.fail();
  const room = (address: string, overhead: number) =>
    roomDifference(HOST, "x-mtu", tunnel, ip(address), overhead)[0]?.expected;
  assert.equal(room("192.168.0.11", 20), undefined);
  assert.equal(room("192.168.0.11", 21), "tunl0 mtu 1479, as eth0 has 1500");
  assert.equal(room("192.168.0.99", 21), undefined);
});
