/**
 * A network namespace of a snapshot, with what a walk asks of it kept so that it answers fast.
 *
 * @module
 */
import { Netfilter } from "../netfilter/netfilter.ts";
import { type Address, type Family, formatAddress, sameAddress } from "../packet/address.ts";
import type { NamespaceSnapshot } from "../snapshot/format.ts";
import { shellWord } from "./command.ts";
import { attribute, type Device, type DeviceAddress, deviceOf } from "./device.ts";
import { Routes } from "./routes.ts";
import { defaultRules, type Rule, ruleOf } from "./rules.ts";

type Neighbour = NonNullable<NamespaceSnapshot["neighbours"]>[number];

/** A namespace. */
export class Namespace {
  readonly devices: readonly Device[];
  readonly routes: Routes;
  readonly rules: readonly Rule[];
  readonly #byName: ReadonlyMap<string, Device>;
  readonly #byIndex: ReadonlyMap<number, Device>;
  readonly #owners = new Map<string, { device: Device; own: DeviceAddress }>();
  readonly #neighbours = new Map<string, Neighbour>();
  readonly #proxied = new Set<string>();
  #netfilter: Netfilter | undefined;

  /**
   * `node` tells the namespaces of several snapshots apart; `seconds` is when it was taken, since
   * 1970.
   */
  constructor(
    readonly node: string,
    readonly snapshot: NamespaceSnapshot,
    readonly seconds?: number,
  ) {
    this.devices = (snapshot.links ?? []).map(deviceOf);
    this.#byName = new Map(this.devices.map((device) => [device.name, device]));
    this.#byIndex = new Map(this.devices.map((device) => [device.index, device]));
    this.routes = new Routes(snapshot.routes ?? [], snapshot.nexthops ?? []);
    const given = (snapshot.rules ?? []).map(ruleOf);
    this.rules = snapshot.rules === undefined ? [...defaultRules(4), ...defaultRules(6)] : given;
    for (const device of this.devices) {
      for (const own of device.addresses) {
        const key = formatAddress(own.address);
        if (!this.#owners.has(key)) this.#owners.set(key, { device, own });
      }
    }
    for (const neighbour of snapshot.neighbours ?? []) {
      const key = `${neighbour.dev ?? ""} ${neighbour.dst}`;
      if ("proxy" in neighbour) this.#proxied.add(key);
      else this.#neighbours.set(key, neighbour);
    }
  }

  /** What tells it from all others. */
  get key(): string {
    return `${this.node}/${this.snapshot.netns}`;
  }

  /** For people: the node's name for its own namespace, else whose it is. */
  get label(): string {
    const { host, owner: { kind, namespace, name } } = this.snapshot;
    if (host) return `node ${this.node}`;
    if (name === "") return `netns ${this.snapshot.netns}`;
    return kind === "pod" ? `pod ${namespace}/${name}` : `${kind} ${name}`;
  }

  get netfilter(): Netfilter {
    return this.#netfilter ??= new Netfilter(this.snapshot);
  }

  device(name: string | undefined): Device | undefined {
    return name === undefined ? undefined : this.#byName.get(name);
  }

  deviceAt(index: number): Device | undefined {
    return this.#byIndex.get(index);
  }

  /** The first device that has the address. */
  owner(address: Address): { readonly device: Device; readonly own: DeviceAddress } | undefined {
    const found = this.#owners.get(formatAddress(address));
    return found !== undefined && sameAddress(found.own.address, address) ? found : undefined;
  }

  neighbour(device: string, address: Address): Neighbour | undefined {
    return this.#neighbours.get(`${device} ${formatAddress(address)}`);
  }

  /** Whether the device answers for this address of somebody else. */
  proxies(device: string, address: Address): boolean {
    const text = formatAddress(address);
    return this.#proxied.has(`${device} ${text}`) || this.#proxied.has(` ${text}`);
  }

  /**
   * A setting that is a number; `otherwise` where the kernel, or the snapshot, does not have it.
   */
  setting(path: string, otherwise = 0): number {
    const text = this.snapshot.sysctls?.[path];
    return text === undefined || !/^-?\d+$/.test(text) ? otherwise : Number(text);
  }

  /** A device's own setting. */
  own(family: Family, device: string, name: string, otherwise = 0): number {
    return this.setting(`net/${family === 4 ? "ipv4" : "ipv6"}/conf/${device}/${name}`, otherwise);
  }

  /** The larger of `all` and the device's: `IN_DEV_MAXCONF`, or `IN_DEV_ORCONF` of flags. */
  most(family: Family, device: string, name: string): number {
    return Math.max(this.own(family, "all", name), this.own(family, device, name));
  }

  /** Both of `all` and the device's: `IN_DEV_ANDCONF`. */
  both(family: Family, device: string, name: string): boolean {
    return this.own(family, "all", name) > 0 && this.own(family, device, name) > 0;
  }

  /** The VRF that a device is in, or is. */
  vrf(device: Device | undefined): { readonly device: string; readonly table: number } | undefined {
    if (device === undefined) return undefined;
    const vrf = device.kind === "vrf" ? device : this.device(device.link.master);
    if (vrf?.kind !== "vrf") return undefined;
    const table = Number(attribute(vrf, "table"));
    return Number.isFinite(table) ? { device: vrf.name, table } : undefined;
  }

  /** A command line that runs in this namespace. */
  command(line: string): string {
    const { host, owner, pids } = this.snapshot;
    if (host) return line;
    if (owner.kind === "netns" && /^[\w.-]+$/.test(owner.name)) {
      return `ip netns exec ${owner.name} ${line}`;
    }
    if (pids[0] !== undefined) return `nsenter -t ${pids[0]} -n ${line}`;
    return owner.kind === "netns" ? `ip netns exec ${shellWord(owner.name)} ${line}` : line;
  }

  /** Why a part is absent; undefined if it is there. */
  lacks(part: string): string | undefined {
    return this.snapshot.missing.find((each) => each.part === part || each.part === "all")?.because;
  }
}
