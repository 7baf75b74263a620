/**
 * Compiles the objects that the tests of `bpf/` load.
 *
 * @module
 */

const folder = import.meta.dirname ?? ".";
const compiled = new Map<string, Uint8Array<ArrayBuffer>>();

/**
 * The object of `testdata/NAME.bpf.c`, as clang and llvm-strip leave it; made once a run for each
 * set of macros.
 */
export function compile(name: string, macros: readonly string[] = []): Uint8Array<ArrayBuffer> {
  const key = [name, ...macros].join(" ");
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const directory = Deno.makeTempDirSync();
  try {
    const object = `${directory}/${name}.bpf.o`;
    const arch = Deno.build.arch === "aarch64" ? "arm64" : "x86";
    run("clang-19", [
      ...["-O2", "-g", "-target", "bpf", "-Wall", "-Werror", `-D__TARGET_ARCH_${arch}`],
      `-I/usr/include/${Deno.build.arch}-linux-gnu`,
      ...macros.map((macro) => `-D${macro}`),
      ...["-c", `${folder}/${name}.bpf.c`, "-o", object],
    ]);
    run("llvm-strip-19", ["-g", object]);
    const bytes = Deno.readFileSync(object);
    compiled.set(key, bytes);
    return bytes;
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function run(tool: string, args: string[]): void {
  const { success, stderr } = new Deno.Command(tool, { args }).outputSync();
  if (!success) throw new Error(`Cannot compile: ${new TextDecoder().decode(stderr)}`);
}
