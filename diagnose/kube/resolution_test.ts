import assert from "node:assert/strict";
import {
  diagnosedIn,
  madeNodes,
  madeObjects,
  type MadeQuestion,
  podAddress,
} from "../../tests/made_cluster.ts";
import { saved } from "../../tests/made_rules.ts";
import { findingsOf } from "../report/finding.ts";
import { headline } from "../report/headline.ts";
import { diagnosisText } from "../report/text.ts";

const DNS = "10.96.0.10";
const DOMAIN = "shop.svc.cluster.local svc.cluster.local cluster.local";

/** The cluster's DNS is the second node's pod, behind a service; `web` is that pod's, too. */
const OBJECTS = [
  ...madeObjects("flannel vxlan"),
  service("kube-dns", "kube-system", DNS, 53, "UDP"),
  slice("kube-dns", "kube-system", 53, "UDP"),
  service("web", "shop", "None", 8080, "TCP"),
  slice("web", "shop", 8080, "TCP"),
];

function service(name: string, namespace: string, ip: string, port: number, protocol: string) {
  const ports = [{ name: "p", port, protocol }];
  return { kind: "Service", metadata: { name, namespace }, spec: { clusterIP: ip, ports } };
}

function slice(name: string, namespace: string, port: number, protocol: string) {
  return {
    kind: "EndpointSlice",
    metadata: { name: `${name}-x`, namespace, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    endpoints: [{ addresses: [podAddress(2)], nodeName: "node2" }],
    ports: [{ name: "p", port, protocol }],
  };
}

/** kube-proxy's rule for it, as far as it matters. */
const DNAT = ["udp", "tcp"].map((protocol) =>
  `-A PREROUTING -d ${DNS}/32 -p ${protocol} -m ${protocol} --dport 53 ` +
  `-j DNAT --to-destination ${podAddress(2)}:53`
).join("\n");

interface Named extends MadeQuestion {
  readonly nameservers?: readonly string[];
  readonly rules?: string;
  readonly more?: readonly unknown[];
  readonly hosts?: string;
  readonly search?: string;
}

function asked(name: string, { nameservers = [DNS], rules = "", ...made }: Named = {}) {
  const conf = [
    ...nameservers.map((each) => `nameserver ${each}`),
    `search ${made.search ?? DOMAIN}`,
    "options ndots:5 timeout:3",
  ];
  return diagnosedIn("flannel vxlan", {
    ...{ name, objects: OBJECTS },
    both: { iptablesLegacy: saved({ nat: DNAT, filter: rules }) },
    pods: { resolvConf: `${conf.join("\n")}\n`, hosts: made.hosts ?? "" },
    ...made,
  });
}

function ids(name: string, made: Named = {}): readonly string[] {
  const diagnosis = asked(name, made);
  const found = findingsOf(diagnosis);
  return [diagnosis.verdict, ...found.map(({ id, severity }) => `${id} ${severity}`)];
}

Deno.test("a name that leads somewhere is walked to, and its nameserver too", () => {
  const diagnosis = asked("web");
  assert.match(headline(diagnosis), /^reachable: tcp arrives at 10\.244\.2\.2:8080/);
  assert.deepEqual(findingsOf(diagnosis), []);
  const text = diagnosisText(diagnosis);
  assert.match(text, /^name +web as web\.shop\.svc\.cluster\.local: 10\.244\.2\.2$/m);
  const whole = text.replace(/\s+/g, " ");
  assert.match(whole, /nameserver 10\.96\.0\.10 \(service kube-system\/kube-dns p 53\/UDP\): UDP/);
  assert.match(whole, /UDP reachable, TCP reachable/);
});

Deno.test("a nameserver that no packet reaches blocks, and says where packets end", () => {
  const rules = "-A FORWARD -p udp -m udp --dport 53 -j DROP";
  const diagnosis = asked("web", { rules });
  assert.deepEqual(ids("web", { rules }), ["blocked", "dns-unreachable critical"]);
  const [first] = findingsOf(diagnosis);
  assert.match(
    first?.message ?? "",
    /^the nameserver 10\.96\.0\.10 is not reached: rule 1 of filter/,
  );
  assert.match(first?.evidence[0]?.text ?? "", /--dport 53 -j DROP/);
  assert.match(
    headline(diagnosis),
    /^blocked at node node1, .*the nameserver 10\.96\.0\.10 is not/,
  );
});

Deno.test("where another nameserver is reached, one that is not only makes it slow", () => {
  const nameservers = ["10.96.0.99", DNS];
  const [verdict, ...found] = ids("web", {
    nameservers,
    rules: "-A FORWARD -d 10.96.0.99 -j DROP",
  });
  assert.deepEqual([verdict, found], ["reachable", ["dns-unreachable warning"]]);
  const diagnosis = asked("web", { nameservers, rules: "-A FORWARD -d 10.96.0.99 -j DROP" });
  assert.match(findingsOf(diagnosis)[0]?.message ?? "", /; each lookup waits 3 s before the next/);
});

Deno.test("a nameserver that is reached over UDP only is a hint", () => {
  const rules = "-A FORWARD -p tcp -m tcp --dport 53 -j DROP";
  assert.deepEqual(ids("web", { rules }), ["reachable", "dns-tcp hint"]);
});

Deno.test("the cluster's DNS without a ready endpoint is told to be that", () => {
  const objects = OBJECTS.filter((each) => !JSON.stringify(each).includes("kube-dns-x"));
  const nodes = madeNodes("flannel vxlan", {
    both: { iptablesLegacy: saved({ filter: `-A FORWARD -d ${DNS} -j REJECT` }) },
    pods: { resolvConf: `nameserver ${DNS}\nsearch ${DOMAIN}\noptions ndots:5\n` },
  });
  assert.deepEqual(ids("web", { objects, nodes }), ["blocked", "dns-no-endpoints critical"]);
});

Deno.test("a name that hosts has needs no nameserver", () => {
  const rules = "-A FORWARD -p udp -m udp --dport 53 -j DROP";
  const hosts = `${podAddress(2)} web.example\n`;
  assert.deepEqual(ids("web.example", { rules, hosts }), ["reachable"]);
});

Deno.test("a name that nobody here knows is unknown, and its nameservers are walked to", () => {
  assert.deepEqual(ids("db.example.org"), [
    ...["unknown", "dns-name-unknown warning", "dns-search hint"],
  ]);
  const diagnosis = asked("db.example.org");
  assert.match(headline(diagnosis), /^unknown because the name "db\.example\.org" leads nowhere/);
  assert.match(diagnosisText(diagnosis), /^Request: delivered$/m);
  assert.deepEqual(ids("nowhere.shop.svc.cluster.local."), [
    "blocked",
    "dns-no-such-name critical",
  ]);
});

Deno.test("a search list that is long, and nameservers that are never asked, are hints", () => {
  const search = Array.from({ length: 7 }, (_, at) => `d${at}.example`).join(" ");
  assert.deepEqual(ids("web.shop.svc.cluster.local.", { search }).slice(1), [
    "dns-search-long hint",
  ]);
  const nameservers = [DNS, DNS, DNS, DNS];
  assert.deepEqual(ids("web", { nameservers }), ["reachable", "dns-nameservers hint"]);
});

Deno.test("a policy that does not let a pod ask its nameserver is told of the nameserver", () => {
  const policy = {
    kind: "NetworkPolicy",
    metadata: { name: "closed", namespace: "shop" },
    spec: {
      podSelector: {},
      policyTypes: ["Egress"],
      egress: [{ ports: [{ protocol: "TCP", port: 8080 }] }],
    },
  };
  const diagnosis = asked("web", { more: [policy] });
  const found = findingsOf(diagnosis).map(({ id, message }) => `${id}: ${message}`);
  assert.equal(found.length, 1, found.join("\n"));
  assert.match(
    found[0] ?? "",
    /^dns-policy: nameserver 10\.96\.0\.10: egress of shop\/web-1 is not/,
  );
});

Deno.test("a nameserver of the node itself is walked to as any other", () => {
  const local = "169.254.20.10";
  const made = (listeners: readonly string[]): Named => ({
    nameservers: [local],
    change: (node) => ({
      devices: { ...node.devices, nodelocaldns: { kind: "dummy", addresses: [`${local}/32`] } },
      listeners,
    }),
  });
  assert.deepEqual(ids("web", made([`udp ${local} 53`, `tcp ${local} 53`])), ["reachable"]);
  assert.deepEqual(ids("web", made([])), ["blocked", "dns-unreachable critical"]);
});
