/**
 * What the running kernel can do, by evidence: its BTF, what it has in `/sys`, and programs it is
 * asked to take.
 *
 * Nothing here looks at version numbers: distributions backport, and policies refuse what a version
 * has.
 *
 * @module
 */
import type { Btf } from "./btf.ts";
import { rootCgroup } from "./cgroup.ts";
import { Attributes, BPF, bpf, buffer, close, cString, Errno, lockAnyMemory } from "./libc.ts";
import { type BtfPlace, findKernelBtf, readKernelBtf } from "./kernel_btf.ts";
import type { Need } from "./need.ts";

/** Where to look; a test gives other places. */
export interface KernelOptions {
  /** A copy of the kernel's BTF, if it publishes none: a file, or a directory of them. */
  readonly btf?: string;
  readonly sys?: string;
  readonly proc?: string;
}

/** The running kernel. Answers are kept; the BTF they come from is not. */
export interface Kernel {
  /** As `uname -r` prints it. */
  readonly release: string;
  /** Its types are known, without which no object can be loaded. */
  readonly btf: boolean;
  /** The copy of its types that stands for its own; undefined when it publishes them itself. */
  readonly btfCopy?: string;
  /** Why there is no BTF, and what to do; undefined when there is. */
  readonly whyNoBtf?: string;
  /**
   * `none`, `integrity` or `confidentiality`, as kernel_lockdown(7); undefined when that is not
   * shown.
   */
  readonly lockdown?: string;
  /** The names of an enum's values; empty when the kernel has no such enum. */
  words(name: string): ReadonlyMap<number, string>;
  /** A sentence on what is missing for a hook, undefined when nothing is. */
  lacks(need: Need): string | undefined;
  /** A sentence on why it takes no program in a section such as `tp_btf/kfree_skb`, likewise. */
  refuses(section: string): string | undefined;
}

/** Reads what is needed of the running kernel, when it is needed. */
export function readKernel(options: KernelOptions = {}): Kernel {
  return new RunningKernel(options);
}

/** Sections of programs whose arguments have the types of the kernel's own BTF. */
const TYPED = /^(tp_btf|fentry|fexit|fmod_ret|lsm|iter)(\.s)?\//;

class RunningKernel implements Kernel {
  readonly release = Deno.osRelease();
  readonly btf: boolean;
  readonly btfCopy?: string;
  readonly whyNoBtf?: string;
  readonly lockdown?: string;
  readonly #given: string | undefined;
  readonly #sys: string;
  readonly #proc: string;
  readonly #words = new Map<string, ReadonlyMap<number, string>>();
  readonly #lacks = new Map<string, string | undefined>();
  /** Weak, as it is 10 MB: questions come in a burst at the start, and rarely after. */
  #parsed: WeakRef<Btf> | undefined;

  constructor({ btf, sys = "/sys", proc = "/proc" }: KernelOptions) {
    this.#given = btf;
    this.#sys = sys;
    this.#proc = proc;
    const lockdown = lockdownOf(`${sys}/kernel/security/lockdown`);
    if (lockdown !== undefined) this.lockdown = lockdown;
    const tried = this.#tryBtf();
    this.btf = typeof tried !== "string";
    if (typeof tried === "string") this.whyNoBtf = tried;
    else if (tried.isCopy) this.btfCopy = tried.path;
  }

  words(name: string): ReadonlyMap<number, string> {
    const known = this.#words.get(name);
    if (known !== undefined) return known;
    const words = (this.btf ? this.#types().words(name) : undefined) ?? new Map<number, string>();
    this.#words.set(name, words);
    return words;
  }

  lacks(need: Need): string | undefined {
    if (this.whyNoBtf !== undefined) return this.whyNoBtf;
    const key = JSON.stringify(need);
    if (!this.#lacks.has(key)) this.#lacks.set(key, this.#look(need));
    return this.#lacks.get(key);
  }

  refuses(section: string): string | undefined {
    if (this.btfCopy === undefined || !TYPED.test(section)) return undefined;
    return `The kernel takes no program on "${section}" as it has no BTF of its own`;
  }

  /** Where the BTF is, or why there is none. */
  #tryBtf(): BtfPlace | string {
    try {
      const place = findKernelBtf(this.#sys, this.release, this.#given);
      try {
        this.#parsed = new WeakRef(readKernelBtf(place.path));
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        return `Cannot read the kernel's BTF "${place.path}": ${error.message}`;
      }
      return place;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return error.message;
      throw error;
    }
  }

  #types(): Btf {
    const held = this.#parsed?.deref();
    if (held !== undefined) return held;
    const parsed = readKernelBtf(this.btfCopy ?? `${this.#sys}/kernel/btf/vmlinux`);
    this.#parsed = new WeakRef(parsed);
    return parsed;
  }

  #look(need: Need): string | undefined {
    if ("tracepoint" in need) return this.#lacksTracepoint(need.tracepoint, need.arguments);
    if ("kprobe" in need) return this.#lacksKprobe(need.kprobe);
    if ("cgroup" in need) return this.#lacksCgroup();
    if (this.btfCopy !== undefined) {
      const [[what, name] = []] = Object.entries(need);
      return `The kernel has no BTF of its own, which the ${what} "${name}" takes`;
    }
    if ("fentry" in need) return this.#lacksFentry(need.fentry);
    if ("fexit" in need) return this.#lacksFentry(need.fexit);
    if ("function" in need) return this.#lacksFunction(need.function);
    if (this.#types().has("func", `bpf_iter_${need.iterator}`)) return undefined;
    return `The kernel has no BPF iterator "${need.iterator}"`;
  }

  #lacksTracepoint(name: string, least: number): string | undefined {
    const has = this.#types().tracepointArguments(name);
    if (has === undefined) return `The kernel has no tracepoint "${name}"`;
    if (has >= least) return undefined;
    return `The kernel's tracepoint "${name}" has ${has} arguments, not ${least}`;
  }

  #lacksFunction(name: string): string | undefined {
    if (this.#types().has("func", name)) return undefined;
    return `The kernel has no function "${name}"`;
  }

  #lacksFentry(name: string): string | undefined {
    const id = this.#types().idOf("func", name);
    if (id !== undefined) return this.#refusesFentry(name, id);
    const module = this.#moduleWith(name);
    if (module === undefined) return `The kernel's BTF has no function "${name}"`;
    // A trial in a module would take its BTF's descriptor; that fentry works at all is most of the
    // question.
    const stand = this.#types().idOf("func", STAND_IN);
    return stand === undefined ? undefined : this.#refusesFentry(STAND_IN, stand);
  }

  /**
   * The best evidence for fentry is a trial: an empty program, attached and taken away again at
   * once.
   */
  #refusesFentry(name: string, id: number): string | undefined {
    try {
      tryFentry(name, id);
      return undefined;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      const policy = this.lockdown === undefined || this.lockdown === "none"
        ? ""
        : `; it is locked down for ${this.lockdown}`;
      return `The kernel refuses fentry on "${name}": ${error.message}${policy}`;
    }
  }

  #lacksCgroup(): string | undefined {
    const links = [...this.words("bpf_link_type").values()];
    if (!links.includes("BPF_LINK_TYPE_CGROUP")) return "The kernel has no BPF links of cgroups";
    if (rootCgroup(this.#proc) !== undefined) return undefined;
    return "No cgroup v2 hierarchy is mounted ('mount -t cgroup2 cgroup2 DIR' does it)";
  }

  #lacksKprobe(name: string): string | undefined {
    const pmu = `${this.#sys}/bus/event_source/devices/kprobe/type`;
    if (!exists(pmu)) return `The kernel has no kprobes: "${pmu}" is not there`;
    const links = [...this.words("bpf_link_type").values()];
    if (!links.includes("BPF_LINK_TYPE_PERF_EVENT")) {
      return "The kernel cannot pin a kprobe: it has no BPF links of perf events";
    }
    if (this.#types().has("func", name) || this.#isText(name)) return undefined;
    return `The kernel has no function "${name}" to probe`;
  }

  /**
   * Whether kallsyms has a function of that name; the file is 5 MB of text, so only after BTF did
   * not know it.
   */
  #isText(name: string): boolean {
    const symbols = Deno.readTextFileSync(`${this.#proc}/kallsyms`);
    for (const type of ["t", "T", "w", "W"]) {
      if (symbols.includes(` ${type} ${name}\n`) || symbols.includes(` ${type} ${name}\t`)) {
        return true;
      }
    }
    return false;
  }

  /**
   * The module whose BTF has that name; modules' BTF adds to the kernel's, so only its strings are
   * its own.
   */
  #moduleWith(name: string): string | undefined {
    const decoder = new TextDecoder("latin1");
    const directory = `${this.#sys}/kernel/btf`;
    if (!exists(directory)) return undefined;
    for (const { name: module } of Deno.readDirSync(directory)) {
      if (module === "vmlinux") continue;
      const text = decoder.decode(Deno.readFileSync(`${directory}/${module}`));
      if (text.includes(`\0${name}\0`)) return module;
    }
    return undefined;
  }
}

/** A function that the kernel has for such trials, `net/bpf/test_run.c`. */
const STAND_IN = "bpf_fentry_test1";

const PROGRAM_TRACING = 26; // BPF_PROG_TYPE_TRACING
const ATTACH_FENTRY = 24; // BPF_TRACE_FENTRY

/**
 * Attaches a program that returns 0 to the entry of a function, and takes it away. Throws Errno.
 */
function tryFentry(name: string, btfId: number): void {
  lockAnyMemory();
  // r0 = 0; exit
  const instructions = buffer(16);
  instructions[0] = 0xb7;
  instructions[8] = 0x95;
  const attributes = new Attributes(128)
    .u32(0, PROGRAM_TRACING).u32(4, 2).pointer(8, instructions).pointer(16, cString("GPL"))
    .u32(68, ATTACH_FENTRY).u32(108, btfId);
  const program = bpf(BPF.PROG_LOAD, attributes, `load a trial program for "${name}"`);
  try {
    const link = new Attributes(16).u32(8, program);
    close(bpf(BPF.RAW_TRACEPOINT_OPEN, link, `attach a trial program to "${name}"`));
  } finally {
    close(program);
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The word in brackets: `none [integrity] confidentiality`. */
function lockdownOf(path: string): string | undefined {
  try {
    return /\[(\w+)\]/.exec(Deno.readTextFileSync(path))?.[1];
  } catch (error) {
    // Not built in, or securityfs is not mounted, as in containers: then nothing is said of it.
    if (error instanceof Error) return undefined;
    throw error;
  }
}
