/** Rules in the forms that cluster networks write: every one is known, and says what it should. */
import assert from "node:assert/strict";
import { CALICO, CALICO_SETS, DOCKER, FLANNEL, ISTIO } from "../../tests/made_cni.ts";
import { endsOf, iptables, only, packetOf } from "../../tests/made_rules.ts";

const POD = "10.244.1.2";
const calico = { ipset: CALICO_SETS };

Deno.test("flannel's rules leave pods to each other, and masquerade to elsewhere", () => {
  const after = (from: string, to: string, mark = 0) =>
    endsOf(only(iptables(FLANNEL, "postrouting", packetOf(from, to, 80, { mark }))).packet);
  assert.equal(after(POD, "10.244.2.2"), `${POD}:40000 > 10.244.2.2:80`);
  assert.equal(after(POD, "192.0.2.1"), "10.0.1.1:40000 > 192.0.2.1:80");
  assert.equal(after(POD, "192.0.2.1", 0x4000), `${POD}:40000 > 192.0.2.1:80`);
  assert.equal(after("192.0.2.1", "10.244.2.2"), "10.0.1.1:40000 > 10.244.2.2:80");
  const forward = (from: string, to: string) =>
    only(iptables(FLANNEL, "forward", packetOf(from, to, 80))).verdict;
  assert.equal(forward(POD, "192.0.2.1"), "accept");
  assert.equal(forward("192.0.2.2", "192.0.2.1"), "drop");
});

Deno.test("Calico's rules let in what the policy's set has, and name what refuses others", () => {
  const into = (from: string, port: number) => {
    const around = { inDevice: "eth0", outDevice: "cali1" };
    return only(iptables(CALICO, "forward", packetOf(from, "10.244.1.9", port), around, calico));
  };
  const allowed = into(POD, 80);
  assert.deepEqual([allowed.verdict, allowed.packet.mark], ["accept", 0x10000]);
  const refused = into("10.244.1.3", 80);
  assert.deepEqual([refused.verdict, refused.by?.chain], ["drop", "cali-tw-cali1"]);
  assert.match(refused.by?.text ?? "", /Drop if no policies passed packet/);
  assert.equal(into(POD, 81).verdict, "drop");
});

Deno.test("Calico's rules let a workload out, but for an interface that nobody knows", () => {
  const from = (inDevice: string, more = {}) => {
    const around = { inDevice, outDevice: "eth0" };
    const packet = packetOf(POD, "192.0.2.1", 80, more);
    return only(iptables(CALICO, "forward", packet, around, calico));
  };
  assert.equal(from("cali1").verdict, "accept");
  assert.match(from("cali2").by?.text ?? "", /Unknown interface/);
  assert.match(from("cali1", { protocol: 4 }).by?.text ?? "", /Drop IPinIP/);
});

Deno.test("Calico's rules ask the way back, and masquerade to elsewhere only", () => {
  const arriving = (way: "pass" | "fail" | "unknown") =>
    only(iptables(CALICO, "prerouting", packetOf(POD, "192.0.2.1", 80), {
      ...{ inDevice: "cali1", reversePath: () => way },
    }, calico));
  assert.equal(arriving("pass").packet.mark, 0x40000);
  assert.match(arriving("fail").by?.text ?? "", /rpfilter/);
  assert.equal(arriving("unknown").verdict, "unknown");
  const after = (to: string) =>
    endsOf(only(iptables(CALICO, "postrouting", packetOf(POD, to, 80), {}, calico)).packet);
  assert.equal(after("192.0.2.1"), "10.0.1.1:40000 > 192.0.2.1:80");
  assert.equal(after("10.244.9.9"), `${POD}:40000 > 10.244.9.9:80`);
});

Deno.test("Docker's rules publish a port, and keep networks apart", () => {
  const published = only(
    iptables(DOCKER, "prerouting", packetOf("192.0.2.1", "10.0.0.1", 8080)),
  );
  assert.equal(endsOf(published.packet), "192.0.2.1:40000 > 172.17.0.2:80");
  const forward = (packet = published.packet, inDevice = "eth0", outDevice = "docker0") =>
    only(iptables(DOCKER, "forward", packet, { inDevice, outDevice }));
  assert.equal(forward().verdict, "accept");
  assert.equal(forward(packetOf("192.0.2.1", "172.17.0.3", 80)).by?.number, 0);
  const out = packetOf("172.17.0.2", "192.0.2.1", 80);
  assert.equal(forward(out, "docker0", "eth0").verdict, "accept");
  assert.equal(forward(out, "docker0", "br-1").by?.chain, "DOCKER-ISOLATION-STAGE-2");
});

Deno.test("Istio's rules send a pod's packets to the proxy, and the proxy's own out", () => {
  const sent = (uid: number, outDevice = "eth0") => {
    const packet = packetOf("10.0.0.1", "192.0.2.1", 80, { uid });
    const outcome = only(iptables(ISTIO, "output", packet, { outDevice, inDevice: undefined }));
    return [endsOf(outcome.packet), outcome.rerouted];
  };
  assert.deepEqual(sent(1_000), ["10.0.0.1:40000 > 127.0.0.1:15001", true]);
  assert.deepEqual(sent(1_337), ["10.0.0.1:40000 > 192.0.2.1:80", undefined]);
  const inbound = only(iptables(ISTIO, "prerouting", packetOf("10.9.9.9", "10.0.0.1", 80)));
  assert.equal(endsOf(inbound.packet), "10.9.9.9:40000 > 10.0.0.1:15006");
  const unknown = only(
    iptables(ISTIO, "output", packetOf("10.0.0.1", "192.0.2.1", 80), { inDevice: undefined }),
  );
  assert.match(unknown.because ?? "", /sender's user is not known/);
});
