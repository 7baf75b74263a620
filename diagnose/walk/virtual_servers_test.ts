/** IPVS on a packet's way, as `make oracle LINKS=virtual` has kernels judge it. */
import assert from "node:assert/strict";
import { forwarding, type MadeNamespace, madeSnapshot } from "../../tests/made_network.ts";
import { ip, saved } from "../../tests/made_rules.ts";
import { findingsOf } from "../report/finding.ts";
import { diagnose } from "./diagnosis.ts";

const SERVICES = `TCP  0A60000A:0050 rr
  -> 0A000202:1F90      Masq    1      0          0
FWM  00000007 rr
  -> 0A000202:0000      Masq    1      0          0
`;

interface Director {
  readonly rules?: Readonly<Record<string, string>>;
  readonly conntrack?: "0" | "1";
}

/** What is said of a client that asks a virtual service, and from whom the server hears. */
function asked(port: number, { rules = {}, conntrack = "1" }: Director = {}, answers = true) {
  const end = (port: string, net: number, routes: boolean): MadeNamespace => ({
    devices: { eth0: { kind: "veth", to: ["d", port], addresses: [`10.0.${net}.2/24`] } },
    ...(routes ? { routes: [{ dst: "default", gateway: `10.0.${net}.1`, dev: "eth0" }] } : {}),
    listeners: ["tcp * 8080"],
  });
  const snapshot = madeSnapshot({
    c: end("e1", 1, true),
    r: end("e2", 2, answers),
    d: {
      devices: {
        e1: { kind: "veth", to: ["c", "eth0"], addresses: ["10.0.1.1/24"] },
        e2: { kind: "veth", to: ["r", "eth0"], addresses: ["10.0.2.1/24"] },
        "kube-ipvs0": { kind: "dummy", addresses: ["10.96.0.10/32"] },
      },
      sysctls: { ...forwarding("e1", "e2"), "net/ipv4/vs/conntrack": conntrack },
      more: { ipvs: SERVICES, iptablesLegacy: saved(rules) },
    },
  });
  const [source, destination] = [ip("10.0.1.2"), ip("10.96.0.10")];
  const said = diagnose([snapshot], { source, destination, protocol: "tcp", port });
  const [way] = said.ways;
  const [first] = findingsOf(said);
  return {
    verdict: `${said.verdict} ${first?.id ?? ""} ${first?.direction ?? ""}`.trim(),
    heardFrom: way?.request.packet.source.bits,
  };
}

const CLIENT = ip("10.0.1.2").bits;
const DIRECTOR = ip("10.0.2.1").bits;

Deno.test("IPVS leads to a server and back, by the service's address or by a mark", () => {
  const mark = { mangle: "-A PREROUTING -d 10.96.0.10 -j MARK --set-xmark 0x7/0xffffffff" };
  for (const conntrack of ["0", "1"] as const) {
    assert.equal(asked(80, { conntrack }).verdict, "reachable");
    assert.equal(asked(8080, { conntrack, rules: mark }).verdict, "reachable");
    assert.equal(asked(80, { conntrack }).heardFrom, CLIENT);
  }
});

Deno.test("MASQUERADE sees what IPVS sends where it tells conntrack, else not", () => {
  const rules = { nat: "-A POSTROUTING -j MASQUERADE" };
  assert.equal(asked(80, { rules }).heardFrom, DIRECTOR);
  assert.equal(asked(80, { rules, conntrack: "0" }).heardFrom, CLIENT);
  // So it also helps a server that does not answer through the director by itself.
  assert.equal(asked(80, { rules }, false).verdict, "reachable");
  const astray = asked(80, { rules, conntrack: "0" }, false).verdict;
  assert.match(astray, /^blocked .* answer$/);
});

Deno.test("rules see what IPVS sends as the kernel shows it to them", () => {
  const dropped = (rule: string, conntrack: "0" | "1" = "1") =>
    asked(80, { rules: { filter: rule }, conntrack }).verdict;
  const [request, answer] = ["request", "answer"].map((way) => `blocked netfilter-drop ${way}`);
  assert.equal(dropped("-A OUTPUT -d 10.0.2.2 -j DROP"), request);
  assert.equal(dropped("-A FORWARD -d 10.0.2.2 -j DROP"), "reachable");
  assert.equal(dropped("-A FORWARD -s 10.0.2.2 -j DROP"), answer);
  assert.equal(dropped("-A FORWARD -s 10.96.0.10 -j DROP"), "reachable");
  const state = (name: string) => `-A FORWARD -m conntrack --ctstate ${name} -j DROP`;
  assert.equal(dropped(state("ESTABLISHED")), answer);
  assert.equal(dropped(state("ESTABLISHED"), "0"), "reachable");
  assert.equal(dropped(state("INVALID"), "0"), answer);
  const untracked = "-A OUTPUT -m conntrack --ctstate UNTRACKED -j DROP";
  assert.equal(dropped(untracked), "reachable");
  assert.equal(dropped(untracked, "0"), request);
});
