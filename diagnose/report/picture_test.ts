import assert from "node:assert/strict";
import { forwarding, madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { diagnose } from "../walk/diagnosis.ts";
import { graphOf } from "./graph.ts";
import { svgText } from "./svg.ts";

const PICTURE = new URL("../../docs/diagnosis.svg", import.meta.url);

const RULES = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n" +
  "-A INPUT -p tcp -m tcp --dport 5432 -j DROP\nCOMMIT\n";

/** A shop that asks a database over their node, whose rule drops it. */
function drawn(): string {
  const pod = (own: number, port: string) => ({
    devices: {
      eth0: { kind: "veth", to: ["node", port] as const, addresses: [`10.244.${own}.2/24`] },
    },
    routes: [{ gateway: `10.244.${own}.1`, dev: "eth0" }],
    listeners: own === 1 ? ["tcp * 5432"] : [],
    ...(own === 1 ? { more: { iptablesNft: RULES } } : {}),
  });
  const port = (other: string, own: number) => ({
    ...{ kind: "veth", to: [other, "eth0"] as const, addresses: [`10.244.${own}.1/24`] },
  });
  const devices = { veth1: port("shop", 0), veth2: port("database", 1) };
  const snapshot = madeSnapshot({
    node: { devices, sysctls: forwarding("veth1", "veth2") },
    ...{ shop: pod(0, "veth1"), database: pod(1, "veth2") },
  });
  const [source, destination] = ["10.244.0.2", "10.244.1.2"].map(parseAddress);
  assert.ok(source !== undefined && destination !== undefined);
  const question = { source, destination, protocol: "tcp", port: 5432 } as const;
  return svgText(graphOf(diagnose([snapshot], question)));
}

Deno.test("the picture in the documentation is what is drawn", async () => {
  const svg = drawn();
  assert.match(svg, /<title>blocked at netns database, input, eth0: rule 1 of filter INPUT/);
  if (Deno.env.get("PODSKOOP_GOLDEN") === "write") await Deno.writeTextFile(PICTURE, svg);
  assert.equal(svg, await Deno.readTextFile(PICTURE));
});
