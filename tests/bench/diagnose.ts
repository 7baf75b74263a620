/**
 * What one diagnosis costs on a large node: 100 pods behind a bridge, and 5,000 services as
 * kube-proxy writes them.
 *
 * Usage: deno run -A tests/bench/diagnose.ts
 *
 * @module
 */
import { parseAddress } from "../../diagnose/packet/address.ts";
import type { Snapshot } from "../../diagnose/snapshot/format.ts";
import { diagnose } from "../../diagnose/walk/diagnosis.ts";
import { figure, median, title } from "./figures.ts";
import { forwarding, type MadeDevice, type MadeNamespace, madeSnapshot } from "../made_network.ts";

const PODS = 100;
const SERVICES = 5_000;
const RUNS = 20;
/** Of one pair, the reading of the rules included. */
const TARGET_MILLISECONDS = 300;

/** A node with that many pods and services; each service has one of the pods behind it. */
function largeNode(pods: number, services: number): Snapshot {
  const ports: Record<string, MadeDevice> = {};
  const namespaces: Record<string, MadeNamespace> = {};
  for (let pod = 0; pod < pods; pod++) {
    const name = `pod${pod}`;
    ports[`v${pod}`] = { kind: "veth", to: [name, "eth0"], master: "cni0" };
    namespaces[name] = {
      devices: {
        eth0: { kind: "veth", to: ["node", `v${pod}`], addresses: [`10.244.1.${pod + 2}/24`] },
      },
      routes: [{ gateway: "10.244.1.1", dev: "eth0" }],
      listeners: ["tcp * 8080"],
    };
  }
  return madeSnapshot({
    node: {
      devices: { cni0: { kind: "bridge", addresses: ["10.244.1.1/24"] }, ...ports },
      sysctls: { ...forwarding("cni0"), "net/bridge/bridge-nf-call-iptables": "1" },
      more: { iptablesLegacy: rules(pods, services) },
    },
    ...namespaces,
  });
}

function rules(pods: number, services: number): string {
  const chains: string[] = [];
  const lines: string[] = [];
  for (let service = 0; service < services; service++) {
    const address = `10.96.${service >> 8}.${service & 255}`;
    const [svc, sep] = [`KUBE-SVC-${service}`, `KUBE-SEP-${service}`];
    const pod = `10.244.1.${2 + service % pods}`;
    chains.push(`:${svc} - [0:0]`, `:${sep} - [0:0]`);
    lines.push(
      `-A KUBE-SERVICES -d ${address}/32 -p tcp -m comment --comment "ns/s${service}" ` +
        `-m tcp --dport 80 -j ${svc}`,
      `-A ${svc} -m comment --comment "ns/s${service} -> ${pod}:8080" -j ${sep}`,
      `-A ${sep} -s ${pod}/32 -m comment --comment "ns/s${service}" -j KUBE-MARK-MASQ`,
      `-A ${sep} -p tcp -m comment --comment "ns/s${service}" -m tcp ` +
        `-j DNAT --to-destination ${pod}:8080`,
    );
  }
  return [
    ...["*nat", ":PREROUTING ACCEPT [0:0]", ":INPUT ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"],
    ...[":POSTROUTING ACCEPT [0:0]", ":KUBE-SERVICES - [0:0]", ":KUBE-MARK-MASQ - [0:0]"],
    ...chains,
    ...["-A PREROUTING -j KUBE-SERVICES", "-A OUTPUT -j KUBE-SERVICES"],
    "-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
    "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
    ...lines,
    ...["COMMIT", ""],
  ].join("\n");
}

const snapshot = largeNode(PODS, SERVICES);
const source = parseAddress("10.244.1.2");
const destination = parseAddress("10.96.19.100");
if (source === undefined || destination === undefined) throw new Error("Cannot ask for nothing");
const times: number[] = [];
let verdict = "";
for (let run = 0; run < RUNS; run++) {
  const began = performance.now();
  ({ verdict } = diagnose([snapshot], { source, destination, protocol: "tcp", port: 80 }));
  times.push(performance.now() - began);
}
title(`diagnosis of one pair, ${PODS} pods, ${SERVICES * 4} rules: ${verdict}`);
figure("a snapshot's first pair", median(times), "ms", TARGET_MILLISECONDS);
