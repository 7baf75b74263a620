import { ok, strictEqual } from "node:assert/strict";
import { readKernel } from "./kernel.ts";

const kernel = readKernel();

Deno.test("a tracepoint counts as there when it hands over enough arguments", () => {
  strictEqual(kernel.btf, true, kernel.whyNoBtf);
  strictEqual(kernel.lacks({ tracepoint: "kfree_skb", arguments: 3 }), undefined);
  ok(/has \d arguments, not 9/.test(kernel.lacks({ tracepoint: "kfree_skb", arguments: 9 }) ?? ""));
  strictEqual(
    kernel.lacks({ tracepoint: "no_such", arguments: 1 }),
    'The kernel has no tracepoint "no_such"',
  );
});

Deno.test("an iterator counts as there when the kernel's BTF has its function", () => {
  strictEqual(kernel.lacks({ iterator: "task_file" }), undefined);
  strictEqual(kernel.lacks({ iterator: "no_such" }), 'The kernel has no BPF iterator "no_such"');
});

Deno.test("a function is looked for in BTF, and fexit is judged like fentry", () => {
  strictEqual(kernel.lacks({ function: "bpf_sk_storage_get_tracing" }), undefined);
  strictEqual(
    kernel.lacks({ function: "no_such_function" }),
    'The kernel has no function "no_such_function"',
  );
  strictEqual(
    kernel.lacks({ fexit: "no_such_function" }),
    kernel.lacks({ fentry: "no_such_function" }),
  );
});

Deno.test("a function that BTF does not know has no fentry", () => {
  strictEqual(
    kernel.lacks({ fentry: "no_such_function" }),
    'The kernel\'s BTF has no function "no_such_function"',
  );
});

Deno.test({
  name: "fentry is judged by a trial, because a kernel may have it and refuse it",
  ignore: Deno.uid() !== 0,
  fn() {
    // bpftool asks the same question in its own way: it loads and attaches an object.
    const lacks = kernel.lacks({ fentry: "tcp_v4_rcv" });
    const refused = bpftoolRefusesTracing();
    strictEqual(lacks !== undefined, refused, lacks);
    if (lacks !== undefined) ok(lacks.startsWith('The kernel refuses fentry on "tcp_v4_rcv": '));
  },
});

function bpftoolRefusesTracing(): boolean {
  const directory = Deno.makeTempDirSync();
  const pins = `/sys/fs/bpf/podskoop_test_fentry_${Deno.pid}`;
  try {
    const source = '__attribute__((section("fentry/tcp_v4_rcv"), used)) int f(void *c) ' +
      '{ return 0; } char LICENSE[] __attribute__((section("license"))) = "GPL";';
    Deno.writeTextFileSync(`${directory}/f.c`, source);
    const args = [
      "-O2",
      "-g",
      "-target",
      "bpf",
      "-c",
      `${directory}/f.c`,
      "-o",
      `${directory}/f.o`,
    ];
    ok(new Deno.Command("clang-19", { args }).outputSync().success);
    Deno.mkdirSync(pins);
    const load = ["prog", "loadall", `${directory}/f.o`, pins, "autoattach"];
    return !new Deno.Command("bpftool", { args: load }).outputSync().success;
  } finally {
    Deno.removeSync(directory, { recursive: true });
    for (const { name } of Deno.readDirSync(pins)) Deno.removeSync(`${pins}/${name}`);
    Deno.removeSync(pins);
  }
}

Deno.test("kprobes are there when the kernel has their perf device", () => {
  const device = "/sys/bus/event_source/devices/kprobe/type";
  const there = new Deno.Command("test", { args: ["-e", device] }).outputSync().success;
  const lacks = kernel.lacks({ kprobe: "tcp_v4_rcv" });
  strictEqual(lacks, there ? undefined : `The kernel has no kprobes: "${device}" is not there`);
});

Deno.test("without BTF every need is lacking, and the reason says what kernel it takes", () => {
  const bare = readKernel({ sys: "/nonexistent" });
  strictEqual(bare.btf, false);
  ok(
    /"\/nonexistent\/kernel\/btf\/vmlinux" is not there .*CONFIG_DEBUG_INFO_BTF=y.*--btf FILE/
      .test(bare.whyNoBtf ?? ""),
    bare.whyNoBtf,
  );
  strictEqual(bare.lacks({ iterator: "task_file" }), bare.whyNoBtf);
  strictEqual(bare.words("skb_drop_reason").size, 0);
});

Deno.test("BTF that makes no sense is a reason, not a crash", () => {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(path, "not BTF at all, but long enough for a header");
    const odd = readKernel({ btf: path, sys: "/nonexistent" });
    strictEqual(odd.btf, false);
    ok(/as it starts with 0x6f6e, not 0xeb9f$/.test(odd.whyNoBtf ?? ""), odd.whyNoBtf);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("lockdown is the word in brackets, and part of why fentry is refused", () => {
  const sys = Deno.makeTempDirSync();
  try {
    Deno.mkdirSync(`${sys}/kernel/security`, { recursive: true });
    Deno.writeTextFileSync(`${sys}/kernel/security/lockdown`, "none [integrity] confidentiality\n");
    const locked = readKernel({ btf: "/sys/kernel/btf/vmlinux", sys });
    strictEqual(locked.lockdown, "integrity");
    strictEqual(
      locked.lacks({ kprobe: "tcp_v4_rcv" }),
      `The kernel has no kprobes: "${sys}/bus/event_source/devices/kprobe/type" is not there`,
    );
  } finally {
    Deno.removeSync(sys, { recursive: true });
  }
});

Deno.test("a function that only a module has is looked for in the modules' BTF", () => {
  const sys = Deno.makeTempDirSync();
  try {
    Deno.mkdirSync(`${sys}/kernel/btf`, { recursive: true });
    Deno.writeTextFileSync(`${sys}/kernel/btf/some_module`, "\0first\0some_module_function\0");
    Deno.symlinkSync("/sys/kernel/btf/vmlinux", `${sys}/kernel/btf/vmlinux`);
    const modular = readKernel({ sys });
    const lacks = modular.lacks({ fentry: "some_module_function" });
    // What remains is whether this kernel takes fentry at all.
    ok(lacks === undefined || lacks.includes('fentry on "bpf_fentry_test1"'), lacks);
    strictEqual(
      modular.lacks({ fentry: "module_function" }),
      'The kernel\'s BTF has no function "module_function"',
    );
  } finally {
    Deno.removeSync(sys, { recursive: true });
  }
});

Deno.test("a copy of BTF tells what the kernel has, and that it lacks what is typed", () => {
  const copied = readKernel({ btf: "/sys/kernel/btf/vmlinux", sys: "/nonexistent" });
  strictEqual(copied.btfCopy, "/sys/kernel/btf/vmlinux");
  strictEqual(copied.lacks({ tracepoint: "kfree_skb", arguments: 3 }), undefined);
  for (const need of [{ iterator: "task_file" }, { fentry: "ip_rcv" }, { fexit: "ip_rcv" }]) {
    const [[what, name] = []] = Object.entries(need);
    const wanted = `The kernel has no BTF of its own, which the ${what} "${name}" takes`;
    strictEqual(copied.lacks(need), wanted);
  }
  strictEqual(
    copied.refuses("tp_btf/kfree_skb"),
    'The kernel takes no program on "tp_btf/kfree_skb" as it has no BTF of its own',
  );
  strictEqual(copied.refuses("raw_tp/kfree_skb"), undefined);
  strictEqual(kernel.refuses("tp_btf/kfree_skb"), undefined);
  strictEqual(kernel.btfCopy, undefined);
});
