import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { buffer } from "./libc.ts";
import { loadObject } from "./object.ts";
import { preparePinDir, removeStale } from "./pins.ts";
import { compile } from "./testdata/compile.ts";
import { onKernel } from "./testdata/lab.ts";
import { UnavailableError } from "./unavailable.ts";

const root = Deno.uid() === 0;

onKernel("two agents never share a pin directory", (pinDir) => {
  throws(() => preparePinDir(pinDir), (error) => {
    ok(error instanceof UnavailableError);
    strictEqual(
      error.message,
      `Cannot use the pin directory "${pinDir}" as another agent uses it (process ${Deno.pid}): ` +
        "stop that one, or give this one a directory of its own with --pin-dir",
    );
    return true;
  });
  using other = preparePinDir(`${pinDir}_other`);
  deepStrictEqual(other.units(), []);
});

onKernel("removeStale removes the pins of units that are not kept", async (pinDir, pins) => {
  const bytes = compile("half");
  for (const name of ["kept", "gone"]) await loadObject({ name, bytes, pinDir });
  deepStrictEqual(await removeStale(pins, new Set(["kept"])), ["gone"]);
  deepStrictEqual([...Deno.readDirSync(pinDir)].map(({ name }) => name), ["kept"]);
  deepStrictEqual(await removeStale(pins, new Set(["gone"])), ["kept"]);
  deepStrictEqual([...Deno.readDirSync(pinDir)], []);
});

Deno.test({
  name: "a directory that is on no BPF file system is refused, with what to do",
  ignore: !root,
  fn() {
    throws(() => preparePinDir("/tmp/podskoop-pins"), (error) => {
      ok(error instanceof UnavailableError);
      strictEqual(error.what, "bpffs");
      ok(error.message.startsWith(
        'Cannot pin below "/tmp/podskoop-pins" as it is on no BPF file system: choose a directory',
      ));
      return true;
    });
    throws(() => preparePinDir("pins"), /below a relative path: current value is "pins"/);
  },
});

/** Runs `preparePinDir` by `command` in a process of its own, and prints what comes of it. */
function prepareElsewhere(path: string, command: readonly [string, ...string[]]): string {
  const script = `
    import { preparePinDir } from "${new URL("./pins.ts", import.meta.url)}";
    try {
      using pins = preparePinDir("${path}");
      console.log(pins.path, Deno.readTextFileSync("/proc/self/mountinfo")
        .split("\\n").filter((line) => line.includes(" - bpf ")).length);
    } catch (error) {
      console.log(error.name, error.message);
    }`;
  const file = Deno.makeTempFileSync({ suffix: ".ts" });
  try {
    Deno.writeTextFileSync(file, script);
    const [tool, ...args] = command;
    const { stdout } = new Deno.Command(tool, {
      args: [...args, Deno.execPath(), "run", "-A", "--no-config", file],
    }).outputSync();
    return new TextDecoder().decode(stdout).trim();
  } finally {
    Deno.removeSync(file);
  }
}

/** Runs what follows in a mount namespace of its own, without a BPF file system. */
const WITHOUT_BPFFS = [
  ...["--mount", "sh", "-c", 'umount -l /sys/fs/bpf && exec "$@"', "sh"],
];

Deno.test({
  name: "the BPF file system is mounted where it belongs, if it is not there",
  ignore: !root,
  fn() {
    const path = "/sys/fs/bpf/podskoop_test_mounted";
    strictEqual(prepareElsewhere(path, ["unshare", ...WITHOUT_BPFFS]), `${path} 1`);
  },
});

Deno.test({
  name: "without the right to mount, the error says what to run",
  ignore: !root,
  fn() {
    const path = "/sys/fs/bpf/podskoop_test_mounted";
    const weak = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all"];
    strictEqual(
      prepareElsewhere(path, ["unshare", ...WITHOUT_BPFFS, ...weak]),
      `UnavailableError Cannot pin below "${path}" as no BPF file ` +
        'system is mounted there, and: Cannot mount "bpf" on "/sys/fs/bpf": ' +
        "EPERM (Operation not permitted): run 'mount -t bpf bpf /sys/fs/bpf' as root; " +
        'in a container, mount the node\'s "/sys/fs/bpf"',
    );
  },
});

onKernel("without the right to make the directory, the error says what it takes", (pinDir) => {
  const path = `${pinDir}/closed/below`;
  Deno.mkdirSync(`${pinDir}/closed`, { mode: 0o555 });
  try {
    strictEqual(
      prepareElsewhere(path, ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]),
      `UnavailableError Cannot make the pin directory "${path}" as uid 0: ` +
        "run the agent as root, or with CAP_BPF and CAP_PERFMON in a directory of its own",
    );
  } finally {
    Deno.removeSync(`${pinDir}/closed`);
  }
});

Deno.test("buffers are zeroed and have their bytes to themselves", () => {
  const bytes = buffer(24);
  deepStrictEqual([...bytes], new Array(24).fill(0));
  strictEqual(bytes.buffer.byteLength, 24);
});
