import assert from "node:assert/strict";
import { ip } from "../../tests/made_rules.ts";
import { clusterIp, iptablesServices } from "../../tests/made_services.ts";
import type { Asked } from "./kube.ts";
import type { Drift, Intent } from "./service.ts";
import { ofService } from "./service_remarks.ts";

const BACKENDS = ["10.0.0.1", "10.0.0.2"].map((address) => ({
  ...{ address: ip(address), port: 8080, node: "a" },
}));
const INTENT: Intent = {
  ...{ service: "shop/web-3", port: "http 80/TCP", access: "cluster", backends: BACKENDS },
};
const RULES = {
  node: "a",
  iptables: [iptablesServices({ services: 13, endpoints: 2 })],
  ...{ nft: "", ipvs: "" },
};
const ASKED: Asked = {
  ...{
    source: ip("10.0.0.9"),
    destination: ip(clusterIp(3)),
    protocol: "TCP",
    port: 80,
    node: "a",
  },
  ...{ went: [], verdict: "blocked", rules: [RULES] },
};

function remarksOn(intent: Partial<Intent>, asked: Partial<Asked> = {}, drifts: Drift[] = []) {
  return ofService({ intent: { ...INTENT, ...intent }, drifts }, { ...ASKED, ...asked });
}

const ids = (remarks: ReturnType<typeof remarksOn>) =>
  remarks.map(({ id, severity }) => `${id} ${severity}`);

Deno.test("drift names the mode of kube-proxy, and whether it knows the service", () => {
  const drift: Drift = { kind: "unprogrammed", backends: ["10.0.0.1:8080"] };
  const evidence = (service: string) =>
    remarksOn({ service }, {}, [drift])[0]?.evidence[1]?.text ?? "";
  assert.match(evidence("shop/web-3"), /^kube-proxy's mode there is iptables: .*-A KUBE-SERVICES/);
  assert.match(evidence("shop/web-99"), /is iptables: nothing of the service is in its rules$/);
  assert.equal(remarksOn({}, { rules: [] }, [drift])[0]?.evidence.length, 1);
});

Deno.test("affinity that nothing keeps is a hint, where there is a choice", () => {
  assert.deepEqual(ids(remarksOn({ sticky: true })), ["service-affinity hint"]);
  assert.deepEqual(ids(remarksOn({})), []);
  assert.deepEqual(ids(remarksOn({ sticky: true, backends: BACKENDS.slice(1) })), []);
  assert.deepEqual(ids(remarksOn({ sticky: true }, { rules: [] })), []);
});

Deno.test("a health check port that nobody listens on is told, if that is known", () => {
  const listens = (known: boolean | undefined) => ({ listens: () => known });
  assert.deepEqual(ids(remarksOn({ healthPort: 31_000 }, listens(false))), [
    "service-health-port hint",
  ]);
  assert.deepEqual(ids(remarksOn({ healthPort: 31_000 }, listens(true))), []);
  assert.deepEqual(ids(remarksOn({ healthPort: 31_000 }, listens(undefined))), []);
  assert.deepEqual(ids(remarksOn({}, listens(false))), []);
});

Deno.test("a source that a load balancer refuses is no root cause where packets pass", () => {
  const refused = "its ranges do not have it";
  assert.deepEqual(ids(remarksOn({ refused })), ["service-source-range warning"]);
  assert.deepEqual(ids(remarksOn({ refused }, { verdict: "reachable" })), [
    "service-source-range hint",
  ]);
});

Deno.test("a host port's drift is its plugin's, not kube-proxy's", () => {
  const drift: Drift = { kind: "unprogrammed", backends: ["10.0.0.5:8080"] };
  const [first, ...more] = remarksOn({ access: "host-port", service: "shop/p" }, {}, [drift]);
  assert.equal(more.length, 0);
  assert.equal(first?.id, "host-port-unprogrammed");
  assert.match(first?.fix ?? "", /portmap/);
  assert.equal(first?.evidence.length, 1);
});
