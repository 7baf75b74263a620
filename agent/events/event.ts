/**
 * What an event is: one abnormal occurrence, with who, where and why.
 *
 * @module
 */

/** How bad it is for the traffic concerned. */
export type Severity = "info" | "warning" | "error";

/**
 * One end of the traffic. `address` is as `inet_ntop` prints it, IPv4 plainly; port 0 is left out.
 */
export interface Endpoint {
  readonly address: string;
  readonly port?: number;
  /** Who has that address, when known. */
  readonly pod?: {
    readonly namespace: string;
    readonly name: string;
    /** `Deployment/web`: what made the pod. */
    readonly workload?: string;
  };
  readonly service?: { readonly namespace: string; readonly name: string };
  readonly node?: string;
}

/** A value in `attributes`; keys are lower-case words joined by `_`, with the unit last. */
export type Attribute = string | number | boolean;

/** What a probe says of one record, before the agent adds who it was. */
export interface Occurrence {
  readonly type: string;
  readonly severity: Severity;
  /** Nanoseconds since boot (`CLOCK_BOOTTIME`), as the kernel side read them. */
  readonly at: bigint;
  /** Whose traffic it was: what `net` of the socket, the packet or its device says. */
  readonly netns: NetnsKey;
  /** The cgroup (v2 id) of the process in whose context it happened, where that says anything. */
  readonly cgroup?: bigint;
  /**
   * The process whose doing it was: its cgroups of version 1 say whose it is, while it is there.
   */
  readonly owner?: number;
  readonly source?: Endpoint;
  readonly destination?: Endpoint;
  readonly transport?: string;
  /** Index of the network device, in the namespace of `netns`; 0 or absent when there is none. */
  readonly ifindex?: number;
  readonly interface?: string;
  readonly process?: { readonly pid: number; readonly comm: string };
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /**
   * Further ends, such as those of the replies where addresses are translated. Each becomes
   * attributes that begin with its key: `KEY`, the address, `KEY_port`, and `KEY_pod`,
   * `KEY_service` or `KEY_node`, if it is known who has it.
   */
  readonly ends?: Readonly<Record<string, Endpoint>>;
  /** Kernel addresses, innermost first; the agent turns them into `symbol+0xOFFSET`. */
  readonly stack?: readonly bigint[];
  /** A kernel address that the agent turns into the attribute `location`. */
  readonly location?: bigint;
  /** One sentence for a person, without the endpoints; no full stop. */
  readonly message: string;
}

/**
 * A network namespace as BPF sees it: its inode number, and `net_cookie`, which is never reused (0
 * if unknown).
 */
export interface NetnsKey {
  readonly inum: number;
  readonly cookie: bigint;
}

/** An event, as stored, sent and shown. JSON values only. Absent is absent: there are no nulls. */
export interface Event {
  /** Ordered as the events are: the store's sequence number, in decimal. */
  readonly id: string;
  /** RFC 3339 with nanoseconds, in UTC: the kernel's time of the first occurrence. */
  readonly time: string;
  readonly node: string;
  readonly probe: string;
  readonly type: string;
  readonly severity: Severity;
  /** Whose traffic it was. `kind` says what the name is: see `Identity`. */
  readonly pod?: {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid?: string;
    readonly workload?: string;
  };
  readonly source?: Endpoint;
  readonly destination?: Endpoint;
  readonly network: {
    readonly transport?: string;
    readonly type?: "ipv4" | "ipv6";
    readonly interface?: string;
    readonly netns: number;
  };
  readonly process?: { readonly pid: number; readonly comm: string };
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** `symbol+0xOFFSET`, innermost first. */
  readonly stack?: readonly string[];
  /** Occurrences that this event stands for. */
  readonly count: number;
  readonly message: string;
}

/** An event before the store has numbered it. */
export type NewEvent = Omit<Event, "id">;
