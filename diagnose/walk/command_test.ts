import assert from "node:assert/strict";
import { forwarding, madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { findingsOf } from "../report/finding.ts";
import { settingName, shellWord } from "./command.ts";
import { diagnose } from "./diagnosis.ts";

/** What a shell makes of a word. */
function echoed(word: string): string {
  const { stdout } = new Deno.Command("sh", { args: ["-c", `printf %s ${word}`] }).outputSync();
  return new TextDecoder().decode(stdout);
}

Deno.test("a word comes through a shell as it is, whatever it has in it", () => {
  for (const text of ["eth0", "eth0.100", "$(id)", "a;id", "it's", "`id`", "*", "a b", '"', "~"]) {
    assert.equal(echoed(shellWord(text)), text);
  }
  assert.equal(shellWord("cali1234@if3"), "cali1234@if3");
});

Deno.test("a setting has dots, but where a device's name has one", () => {
  assert.equal(settingName("net/ipv4/ip_forward"), "net.ipv4.ip_forward");
  const vlan = "net/ipv4/conf/eth0.100/rp_filter";
  assert.equal(settingName(vlan), vlan);
});

Deno.test("a device whose name is a command is one word of what is suggested", () => {
  const evil = "$(reboot)";
  const snapshot = madeSnapshot({
    node: {
      devices: {
        e0: { addresses: ["10.0.0.1/24"] },
        [evil]: { addresses: ["10.0.1.1/24"], kind: "veth", to: ["b", "eth0"] as const },
      },
      sysctls: forwarding("e0"),
    },
    b: { devices: { eth0: { kind: "veth", to: ["node", evil] as const, down: true } } },
  });
  const [source, destination] = ["10.0.0.1", "10.0.1.2"].map(parseAddress);
  assert.ok(source !== undefined && destination !== undefined);
  const question = { source, destination, protocol: "tcp", port: 80 } as const;
  const [finding] = findingsOf(diagnose([snapshot], question));
  assert.match(finding?.confirm ?? "", / dev '\$\(reboot\)'$/, JSON.stringify(finding));
});

Deno.test("what would mend a namespace is said to run in it, not on the node", () => {
  const rules = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n" +
    "-A INPUT -p tcp -m tcp --dport 80 -j DROP\nCOMMIT\n";
  const fixFor = (name: string, more: Readonly<Record<string, unknown>>, pids: number[] = []) => {
    const devices = {
      e0: { addresses: ["10.0.0.1/24"], kind: "veth", to: [name, "eth0"] as const },
    };
    const snapshot = madeSnapshot({
      node: { devices },
      [name]: {
        devices: {
          eth0: { addresses: ["10.0.0.2/24"], kind: "veth", to: ["node", "e0"] as const, ...more },
        },
        more: { iptablesNft: rules, pids },
      },
    });
    const [source, destination] = ["10.0.0.1", "10.0.0.2"].map(parseAddress);
    assert.ok(source !== undefined && destination !== undefined);
    const question = { source, destination, protocol: "tcp", port: 80 } as const;
    const [finding] = findingsOf(diagnose([snapshot], question));
    return `${finding?.message}; ${finding?.fix}`;
  };
  const deletes = "iptables-nft -t filter -D INPUT 1";
  const drops = "rule 1 of filter INPUT drops it; if it is not meant to be stopped:";
  assert.equal(fixFor("b", {}), `${drops} ip netns exec b ${deletes}`);
  assert.equal(fixFor("b $(id)", {}, [71]), `${drops} nsenter -t 71 -n ${deletes}`);
  assert.equal(fixFor("b $(id)", {}), `${drops} ip netns exec 'b $(id)' ${deletes}`);
  assert.equal(
    fixFor("b", { down: true }),
    'nobody answers for 10.0.0.2: in netns b, the device "eth0" is down; ' +
      "ip netns exec b ip link set dev eth0 up",
  );
});
