/**
 * The namespaces of one or more snapshots, joined into a network.
 *
 * @module
 */
import { type Address, sameAddress } from "../packet/address.ts";
import type { Packet } from "../packet/packet.ts";
import type { Snapshot } from "../snapshot/format.ts";
import type { Device } from "./device.ts";
import { Namespace } from "./namespace.ts";

/** A device, and where it is. */
export interface Place {
  readonly namespace: Namespace;
  readonly device: Device;
}

/** What becomes of a packet between two nodes. */
export type Passage =
  /** Nothing is known about it. */
  | { readonly passes: "unknown" }
  | {
    readonly passes: "yes";
    /** To whom it gets, and the addresses of the interface that it gets to. */
    readonly node: string;
    readonly addresses: readonly Address[];
  }
  | {
    readonly passes: "no";
    readonly id: "cloud-denies" | "cloud-route" | "cloud-source-check";
    readonly what: string;
    readonly evidence: string;
    readonly fix: string;
  };

/** What is between nodes, as far as somebody knows it: a cloud's network. */
export interface Underlay {
  /** What becomes of a packet that a node sends to a next hop. */
  carry(node: string, packet: Packet, nextHop: Address): Passage;
}

/** Namespaces, and which devices of them lead to one another. */
export class Network {
  readonly namespaces: readonly Namespace[];
  readonly #byKey: ReadonlyMap<string, Namespace>;
  readonly #uppers = new Map<string, Place[]>();

  /** `underlay` is what is known of what is between them. */
  constructor(snapshots: readonly Snapshot[], readonly underlay?: Underlay) {
    this.namespaces = snapshots.flatMap((snapshot, at) => {
      const twice = snapshots.some((other, index) => index < at && other.node === snapshot.node);
      const node = twice ? `${snapshot.node}#${at + 1}` : snapshot.node;
      const seconds = Date.parse(snapshot.taken) / 1_000;
      return snapshot.namespaces.map((each) => new Namespace(node, each, seconds));
    });
    this.#byKey = new Map(this.namespaces.map((each) => [each.key, each]));
    for (const namespace of this.namespaces) {
      for (const device of namespace.devices) {
        if (!["macvlan", "ipvlan", "vlan", "macvtap"].includes(device.kind)) continue;
        const lower = this.linked({ namespace, device });
        if (lower === undefined) continue;
        const uppers = this.#uppers.get(keyOf(lower)) ?? [];
        this.#uppers.set(keyOf(lower), [...uppers, { namespace, device }]);
      }
    }
  }

  /** A veth's peer, or the device that a virtual one stands on; undefined where it is not known. */
  linked({ namespace, device }: Place): Place | undefined {
    const { link, link_index: index, link_netnsid: id } = device.link;
    const inum = id === undefined ? namespace.snapshot.netns : namespace.snapshot.netnsIds[id];
    const other = this.#byKey.get(`${namespace.node}/${inum}`);
    const found = other === undefined
      ? undefined
      : index !== undefined
      ? other.deviceAt(index)
      : other.device(link ?? undefined);
    return found === undefined || other === undefined
      ? undefined
      : { namespace: other, device: found };
  }

  /** The macvlan, ipvlan and VLAN devices that stand on a device. */
  uppers(place: Place): readonly Place[] {
    return this.#uppers.get(keyOf(place)) ?? [];
  }

  /** The ports of a bridge or bond. */
  ports({ namespace, device }: Place): readonly Place[] {
    return namespace.devices.filter(({ link: { master } }) => master === device.name)
      .map((port) => ({ namespace, device: port }));
  }

  /**
   * The namespaces that have an address, each with the device it is on; loopback's do not count.
   */
  owners(address: Address): readonly Place[] {
    return this.namespaces.flatMap((namespace) =>
      namespace.devices.filter((device) =>
        device.addresses.some((own) => sameAddress(own.address, address))
      ).slice(0, 1).map((device) => ({ namespace, device }))
    );
  }

  /** Devices of other nodes that frames of this one's physical devices may reach. */
  beyond(node: string): readonly Place[] {
    return this.namespaces.filter((namespace) => namespace.node !== node)
      .flatMap((namespace) =>
        namespace.devices.filter(({ kind, type }) =>
          type === 1 && ["physical", "vlan", "bond", "bridge", "macvlan"].includes(kind)
        ).map((device) => ({ namespace, device }))
      );
  }
}

/** What tells a device from all others. */
export function keyOf({ namespace, device }: Place): string {
  return `${namespace.key} ${device.index}`;
}
