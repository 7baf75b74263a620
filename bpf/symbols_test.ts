import { ok, strictEqual } from "node:assert/strict";
import { Symbols } from "./symbols.ts";

const KALLSYMS = `ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000400 t skb_release_data
ffffffff81000500 d some_data
ffffffff81000600 T tcp_v4_rcv
ffffffff81000700 W weak_one
0000000000000000 A fixed_percpu_data
ffffffffc0203000 t nf_hook_slow\t[nf_tables]
ffffffffc0201000 t nf_conntrack_in\t[nf_conntrack]
`;

function withFiles(files: { kallsyms: string; modules?: string }, use: (symbols: Symbols) => void) {
  const directory = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${directory}/kallsyms`, files.kallsyms);
    Deno.writeTextFileSync(`${directory}/modules`, files.modules ?? "");
    Deno.writeTextFileSync(`${directory}/kptr_restrict`, "2\n");
    using symbols = new Symbols({
      kallsyms: `${directory}/kallsyms`,
      modules: `${directory}/modules`,
      kptrRestrict: `${directory}/kptr_restrict`,
    });
    use(symbols);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("an address is named by its function and the offset in upper-case hex", () => {
  withFiles({ kallsyms: KALLSYMS }, (symbols) => {
    strictEqual(symbols.name(0xffffffff810004a3n), "skb_release_data+0xA3");
    strictEqual(symbols.location(0xffffffff810004a3n), "skb_release_data");
    strictEqual(symbols.name(0xffffffff81000701n), "weak_one+0x1");
    strictEqual(symbols.why(), undefined);
  });
});

Deno.test("a table that is prepared answers alike, and held up nobody", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const lines = Array.from(
      { length: 60_000 },
      (_, index) => `ffffffff82${index.toString(16).padStart(6, "0")} t f${index}\n`,
    );
    await Deno.writeTextFile(`${directory}/kallsyms`, KALLSYMS + lines.join(""));
    using symbols = new Symbols({ kallsyms: `${directory}/kallsyms`, modules: "/dev/null" });
    strictEqual(symbols.isRead, false);
    let turns = 0;
    const others = setInterval(() => turns++, 0);
    await symbols.prepare();
    clearInterval(others);
    ok(turns > 2, `${turns} turns`);
    strictEqual(symbols.isRead, true);
    strictEqual(symbols.name(0xffffffff810004a3n), "skb_release_data+0xA3");
    strictEqual(symbols.name(0xffffffff8200ea5fn), "f59999+0x0");
    strictEqual(symbols.why(), undefined);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a table that cannot be prepared says why", async () => {
  using symbols = new Symbols({ kallsyms: "/nowhere" });
  await symbols.prepare();
  strictEqual(symbols.isRead, true);
  ok(symbols.why()?.startsWith("Cannot name kernel addresses: "), symbols.why());
});

Deno.test("of two names for one address the first counts, as in the kernel's own traces", () => {
  withFiles({ kallsyms: KALLSYMS }, (symbols) => {
    strictEqual(symbols.name(0xffffffff81000000n), "_text+0x0");
    strictEqual(symbols.name(0xffffffff81000001n), "_text+0x1");
  });
});

Deno.test("a module's function carries the module's name, whatever the order of the file", () => {
  withFiles({ kallsyms: KALLSYMS }, (symbols) => {
    strictEqual(symbols.name(0xffffffffc0201010n), "nf_conntrack:nf_conntrack_in+0x10");
    strictEqual(symbols.location(0xffffffffc0203fffn), "nf_tables:nf_hook_slow");
  });
});

Deno.test("an address in no function stays a number", () => {
  withFiles({ kallsyms: KALLSYMS }, (symbols) => {
    strictEqual(symbols.name(0xfffffffff0000000n), "0xFFFFFFFFF0000000");
    strictEqual(symbols.name(0xffffffff80ffffffn), "0xFFFFFFFF80FFFFFF");
    strictEqual(symbols.name(0x1234n), "0x1234");
  });
});

Deno.test("addresses that the kernel hides are not named, and the reason says what to set", () => {
  const hidden = KALLSYMS.replace(/^[0-9a-f]{16}/gm, "0".repeat(16));
  withFiles({ kallsyms: hidden }, (symbols) => {
    strictEqual(symbols.name(0xffffffff810004a3n), "?");
    strictEqual(symbols.location(0xffffffff810004a3n), "?");
    ok(
      /shows none: set kernel.kptr_restrict to 1 \(current value is 2\) and give .* CAP_SYSLOG$/
        .test(symbols.why() ?? ""),
      symbols.why(),
    );
  });
});

Deno.test("a kernel without kallsyms gives a reason instead of names", () => {
  using symbols = new Symbols({ kallsyms: "/nonexistent/kallsyms" });
  strictEqual(symbols.name(0xffffffff810004a3n), "?");
  ok(/^Cannot name kernel addresses: No such file/.test(symbols.why() ?? ""), symbols.why());
});

Deno.test("lines that are none of the kernel's are passed over", () => {
  const odd = "\n\n" + "x".repeat(200_000) + "\nffffffff81000400 t\nffffffff81000400 t whole\n" +
    "ffffffff81000800 t unfinished";
  withFiles({ kallsyms: odd }, (symbols) => {
    strictEqual(symbols.name(0xffffffff81000401n), "whole+0x1");
    strictEqual(symbols.name(0xffffffff81000801n), "unfinished+0x1");
  });
});

Deno.test({
  name: "every function that kallsyms shows is found under its own address",
  ignore: Deno.uid() !== 0,
  fn() {
    using symbols = new Symbols();
    strictEqual(symbols.why(), undefined);
    const rows = Deno.readTextFileSync("/proc/kallsyms").trimEnd().split("\n")
      .map((line) => line.split(/\s+/)).filter(([, type]) => /^[tw]$/i.test(type ?? ""))
      // Another agent's programs come and go meanwhile, and leave their addresses to the next.
      .filter(([, , , module]) => module !== "[bpf]");
    const first = new Map<string, string>();
    for (const [address = "", , name = "", module] of rows) {
      const whole = module === undefined ? name : `${module.slice(1, -1)}:${name}`;
      if (!first.has(address)) first.set(address, whole);
    }
    ok(first.size > 10_007);
    for (const [address, name] of first) {
      if (address.startsWith("ffff")) strictEqual(symbols.location(BigInt(`0x${address}`)), name);
    }
  },
});
