import { deepEqual, ok } from "node:assert/strict";
import { existsSync } from "node:fs";
import {
  columnOf,
  probesOn,
  type Report,
  SERIES,
  supportColumn,
  supportPage,
} from "./vm/report.ts";
import { ROOT } from "./tree.ts";

const page = Deno.readTextFileSync(new URL("docs/support.md", ROOT));

Deno.test("docs/support.md has a row for every probe: 'make test-vm WRITE=1' writes it", () => {
  // What listens on netlink has no hooks that a kernel could lack.
  const hasHooks = (name: string) => existsSync(new URL(`probes/${name}/${name}.bpf.c`, ROOT));
  const probes = [...Deno.readDirSync(new URL("probes/", ROOT))]
    .filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  deepEqual(probesOn(page).filter(hasHooks), probes.filter(hasHooks).sort());
});

Deno.test("docs/support.md names a kernel and a state in each of its cells", () => {
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  for (const row of rows) {
    const cells = row.split("|").slice(2, -1).map((cell) => cell.trim());
    deepEqual(cells.length, 4, row);
    for (const cell of cells) ok(/^(Running|Degraded|Failed|Absent)(, `\w+`)?$/.test(cell), row);
  }
});

Deno.test("the page of support says why hooks were passed over, by kernel and probe", () => {
  const report = (release: string): Report => ({
    release,
    probes: {
      fd: { name: "fd", state: "Running", hooks: "fd" },
      loss: {
        name: "loss",
        state: "Degraded",
        because: "No reasons here",
        hooks: "loss_old",
        passedOver: [{ hooks: "loss", because: "It has 2 arguments, not 3" }],
      },
    },
    listing: "",
    checks: [],
    seconds: { all: 1 },
  });
  const made = supportPage({
    "5.10": report("5.10.0-1"),
    "6.1": report("6.1.0-1"),
    "6.12": report("6.12.1"),
    newest: report("9.9"),
  });
  deepEqual(probesOn(made), ["fd", "loss"]);
  ok(made.includes("- 6.1, `loss`: No reasons here\n"));
  ok(made.includes("- newest, `loss`: passed over `loss`: It has 2 arguments, not 3\n"));
});

Deno.test("the page of support is read back, a kernel's column by itself", () => {
  const report = (hooks: string): Report => ({
    release: hooks,
    probes: {
      fd: { name: "fd", state: "Failed", because: `No ${hooks}` },
      loss: { name: "loss", state: "Running", hooks },
    },
    listing: "",
    checks: [],
    seconds: { all: 1 },
  });
  const reports = {
    "5.10": report("a"),
    "6.1": report("b"),
    "6.12": report("c"),
    newest: report("d"),
  };
  const made = supportPage(reports);
  for (const series of SERIES) {
    deepEqual(columnOf(made, series), supportColumn(series, reports[series]));
  }
  deepEqual(columnOf(made, "6.1"), {
    cells: { fd: "Failed", loss: "Running, `b`" },
    reasons: ["- 6.1, `fd`: No b"],
  });
});
