/**
 * What a guest reports, and the page that is made of all guests' reports.
 *
 * @module
 */
import type { UnitStatus } from "../../agent/surface.ts";

/** For what takes no time: an emulated machine is some twenty times slower than its host. */
export const WAIT_MS = 20_000;

/** One figure that must be what it was made to be. */
export interface Check {
  readonly name: string;
  readonly found: string;
  readonly wanted: string;
}

/** What one kernel has shown. */
export interface Report {
  /** As `uname -r` prints it. */
  readonly release: string;
  readonly probes: Readonly<Record<string, UnitStatus>>;
  /** What `podskoop probes` printed. */
  readonly listing: string;
  readonly checks: readonly Check[];
  /** How long each part took in the guest, and `all`. */
  readonly seconds: Readonly<Record<string, number>>;
}

/** The kernels of the matrix, oldest first; tests/vm/kernel.sh knows where each comes from. */
export const SERIES = ["5.10", "6.1", "6.12", "newest"] as const;

/** A kernel of the matrix. */
export type Series = typeof SERIES[number];

/** The page `docs/support.md`. */
export function supportPage(reports: Readonly<Record<Series, Report>>): string {
  const probes = [...new Set(SERIES.flatMap((series) => Object.keys(reports[series].probes)))];
  const rows = probes.sort().map((probe) => [
    `\`${probe}\``,
    ...SERIES.map((series) => cell(reports[series].probes[probe])),
  ]);
  const reasons = SERIES.flatMap((series) => reasonsOf(series, reports[series]));
  return `<!-- Written by 'make test-vm' from what the agent says on each kernel. -->

# Kernels

Each probe on Debian's kernels: its state, and the set of hooks that it uses there. The matrix
compares every figure of ${named("biolatency", "dns", "fd", "packetloss", "socketlatency")},
${named("tcpreset", "tcpsummary", "virtcmdlatency")}, and the events of
${named("kernellatency", "netiftxlat")}, with the number of faults made, or with what the kernel's
own tools say; of other probes, that they load and run. \`make test\` has one of these kernels, 6.1,
do most of it, and compares its column.

${table(["Probe", ...SERIES.map((series) => `${series} (\`${reports[series].release}\`)`)], rows)}

## What is missing, and which hooks were passed over

${reasons.join("\n")}

All of these publish their types (\`/sys/kernel/btf/vmlinux\`, CONFIG_DEBUG_INFO_BTF=y). For a
kernel that does not, \`--btf\` names a copy: docs/configuration.md says which probes it is enough
for. The kernel itself takes no program on \`tp_btf\`, \`fentry\` or an iterator without its own
types.

# Container runtimes and clusters

- containerd 1.6: with real pods, two of them talking (\`make test-e2e\`), and by recorded
  messages. The same tests passed with 1.7 and 2.1.
- k3s, rke2, k0s, microk8s: containerd, whose socket is looked for where each of them has it.
- CRI-O and cri-dockerd: the same interface at their own sockets; neither was run. Their messages in
  the tests are constructed as their sources make them, not recorded.
- Docker 20.10 and Podman 4.3, Debian's: with containers, Docker's also renamed, of one command, and
  outliving it (\`make test-e2e\`).
- Kubernetes 1.20: a kubelet that runs the agent as the DaemonSet's pod, and an API server whose
  objects, watches, roles and tokens it is given (\`make test-cluster\`; not in CI, and no other
  version was run).
- Kubernetes API: a stand-in that lists and watches objects in their real form, forgets, breaks off,
  truncates, refuses and hangs, with 15,000 pods; events on this machine's kernel named by it.
`;
}

/** The probes that the page has a row for. */
export function probesOn(page: string): readonly string[] {
  return [...page.matchAll(/^\| `([a-z0-9_]+)` +\|/gm)].map(([, name = ""]) => name);
}

/** What the page says of one kernel. */
export interface SupportColumn {
  /** By probe: its state, and its hooks. */
  readonly cells: Readonly<Record<string, string>>;
  /** What is missing, and what was passed over. */
  readonly reasons: readonly string[];
}

/** What a page says of one kernel. */
export function columnOf(page: string, series: Series): SupportColumn {
  const lines = page.split("\n");
  const cells = lines.filter((line) => /^\| `\w+` /.test(line)).map((line) => {
    const [, probe = "", ...states] = line.split("|").map((cell) => cell.trim());
    return [probe.replaceAll("`", ""), states[SERIES.indexOf(series)] ?? ""];
  });
  const reasons = lines.filter((line) => line.startsWith(`- ${series}, `));
  return { cells: Object.fromEntries(cells), reasons };
}

/** What the page should say of one kernel. */
export function supportColumn(series: Series, report: Report): SupportColumn {
  const cells = Object.entries(report.probes).map(([probe, unit]) => [probe, cell(unit)]);
  return { cells: Object.fromEntries(cells), reasons: reasonsOf(series, report) };
}

function named(...probes: readonly string[]): string {
  return probes.map((probe) => `\`${probe}\``).join(", ");
}

function cell(unit: UnitStatus | undefined): string {
  if (unit === undefined) return "Absent";
  return unit.hooks === undefined ? unit.state : `${unit.state}, \`${unit.hooks}\``;
}

function reasonsOf(series: Series, { probes }: Report): readonly string[] {
  return Object.entries(probes).sort().flatMap(([name, { because, passedOver }]) => [
    ...because === undefined ? [] : [`- ${series}, \`${name}\`: ${because}`],
    ...(passedOver ?? []).map((set) =>
      `- ${series}, \`${name}\`: passed over \`${set.hooks}\`: ${set.because}`
    ),
  ]);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((text, column) =>
    Math.max(text.length, ...rows.map((row) => row[column]?.length ?? 0))
  );
  const line = (cells: readonly string[], fill = " ") =>
    `| ${cells.map((text, column) => text.padEnd(widths[column] ?? 0, fill)).join(" | ")} |`;
  return [line(head), line(head.map(() => ""), "-"), ...rows.map((row) => line(row))].join("\n");
}
