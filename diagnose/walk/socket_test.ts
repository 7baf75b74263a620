import assert from "node:assert/strict";
import { madeSnapshot } from "../../tests/made_network.ts";
import { parseAddress } from "../packet/address.ts";
import { firstPacket } from "../packet/packet.ts";
import type { Listener } from "../snapshot/parts.ts";
import { Namespace } from "./namespace.ts";
import { listenerFor } from "./socket.ts";

/** Which socket hears a packet, or why none does. */
function heard(listeners: readonly Partial<Listener>[], to: string, device = "e0"): string {
  const made = madeSnapshot({ n: { devices: { e0: {}, e1: {} } } }).namespaces[0];
  assert.ok(made !== undefined);
  const plain = { protocol: "tcp" as const, state: "LISTEN", port: 80, queued: 0, queueMax: 13 };
  const all = listeners.map((each) => ({ ...plain, address: "*", ...each }));
  const destination = parseAddress(to);
  const source = parseAddress(to.includes(":") ? "fd00::9" : "10.0.0.9");
  assert.ok(destination !== undefined && source !== undefined);
  const packet = firstPacket({ source, destination, protocol: 6, destinationPort: 80 });
  const result = listenerFor(new Namespace("n1", { ...made, listeners: all }), device, packet);
  return result.heard ? result.text : result.cause.id;
}

Deno.test("listenerFor takes a socket of both families for both, unless for IPv6 only", () => {
  assert.equal(heard([{ v6only: false }], "10.0.0.1"), "tcp *:80");
  assert.equal(heard([{ v6only: false }], "fd00::1"), "tcp *:80");
  assert.equal(heard([{ address: "::", v6only: true }], "10.0.0.1"), "no-listener");
  assert.equal(heard([{ address: "::", v6only: true }], "fd00::1"), "tcp [::]:80");
  assert.equal(heard([{ address: "0.0.0.0" }], "fd00::1"), "no-listener");
});

Deno.test("listenerFor takes the socket that fits best", () => {
  const sockets = [{ address: "0.0.0.0" }, { address: "10.0.0.1" }, { address: "10.0.0.2" }];
  assert.equal(heard(sockets, "10.0.0.1"), "tcp 10.0.0.1:80");
  assert.equal(heard(sockets, "10.0.0.3"), "tcp 0.0.0.0:80");
  assert.equal(heard([{ address: "127.0.0.1" }], "10.0.0.1"), "no-listener");
  assert.equal(heard([{ port: 81 }], "10.0.0.1"), "no-listener");
  assert.equal(heard([{ protocol: "udp" }], "10.0.0.1"), "no-listener");
});

Deno.test("listenerFor asks which device a socket is bound to", () => {
  const bound = [{ address: "0.0.0.0", device: "e1" }];
  assert.equal(heard(bound, "10.0.0.1", "e1"), "tcp 0.0.0.0%e1:80");
  assert.equal(heard(bound, "10.0.0.1", "e0"), "no-listener");
});

Deno.test("listenerFor sees a queue that is full", () => {
  assert.equal(heard([{ queued: 13 }], "10.0.0.1"), "tcp *:80");
  assert.equal(heard([{ queued: 14 }], "10.0.0.1"), "backlog-full");
});

Deno.test("listenerFor has a VRF heard by its own sockets, by others if that is set", () => {
  const bound = { device: "red" };
  const heardBy = (listener: Partial<Listener>, sysctls: Readonly<Record<string, string>>) => {
    const [made] = madeSnapshot({
      n: {
        devices: { e0: { master: "red" }, red: { kind: "vrf", data: { table: 10 } } },
        sysctls,
      },
    }).namespaces;
    const [source, destination] = ["10.0.0.9", "10.0.0.1"].map(parseAddress);
    assert.ok(made !== undefined && source !== undefined && destination !== undefined);
    const own = { protocol: "tcp", state: "LISTEN", address: "*", port: 80 } as const;
    const listeners = [{ ...own, queued: 0, queueMax: 13, ...listener }];
    const packet = firstPacket({ source, destination, protocol: 6, destinationPort: 80 });
    return listenerFor(new Namespace("n1", { ...made, listeners }), "e0", packet).heard;
  };
  assert.equal(heardBy({}, {}), false);
  assert.equal(heardBy({}, { "net/ipv4/tcp_l3mdev_accept": "1" }), true);
  assert.equal(heardBy(bound, {}), true);
});
