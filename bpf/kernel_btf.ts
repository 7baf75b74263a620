/**
 * Where the running kernel's BTF is: published by the kernel itself, or a copy in a file, for a
 * kernel that was built without.
 *
 * @module
 */
import { Btf, btfOf } from "./btf.ts";

/** More than the largest kernel's BTF; a `vmlinux` with all its debug information is no copy. */
const BTF_BYTES_MAX = 64 << 20;

/** Where the BTF is to be read. */
export interface BtfPlace {
  readonly path: string;
  /** It is a copy, which bpftool has to be shown, and the kernel itself does not have. */
  readonly isCopy: boolean;
}

/** What a copy is called in a directory, the first that is there counts: by `uname -r`. */
export function namesOfCopies(release: string): readonly string[] {
  return [`${release}.btf`, `vmlinux-${release}`, `${release}/vmlinux`];
}

/**
 * The kernel's own BTF, else the copy that was given: a file, or a directory of copies by release.
 *
 * @throws {Deno.errors.NotFound} when there is neither; its message says what to do
 */
export function findKernelBtf(sys: string, release: string, given: string | undefined): BtfPlace {
  const own = `${sys}/kernel/btf/vmlinux`;
  if (statOf(own) !== undefined) return { path: own, isCopy: false };
  const why = `The kernel publishes no BTF: "${own}" is not there`;
  if (given === undefined) {
    throw new Deno.errors.NotFound(
      `${why} (it takes a kernel built with CONFIG_DEBUG_INFO_BTF=y, or a copy: --btf FILE)`,
    );
  }
  const stat = statOf(given);
  if (stat === undefined) throw new Deno.errors.NotFound(`${why}, and no copy "${given}" either`);
  if (!stat.isDirectory) return { path: given, isCopy: true };
  const names = namesOfCopies(release);
  const found = names.find((name) => statOf(`${given}/${name}`)?.isFile);
  if (found !== undefined) return { path: `${given}/${found}`, isCopy: true };
  throw new Deno.errors.NotFound(
    `${why}, and "${given}" has no copy for this kernel: ${names.join(", ")}`,
  );
}

/**
 * Reads BTF, raw or as an ELF file with a section `.BTF`.
 *
 * @throws {SyntaxError} when it makes no sense
 * @throws {RangeError} when it is too large
 */
export function readKernelBtf(path: string = "/sys/kernel/btf/vmlinux"): Btf {
  const { size } = Deno.statSync(path);
  if (size > BTF_BYTES_MAX) {
    throw new RangeError(
      `it has ${size} bytes, more than ${BTF_BYTES_MAX} ` +
        "('pahole --btf_encode_detached=FILE vmlinux' makes a copy of the types alone)",
    );
  }
  const bytes = Deno.readFileSync(path);
  const isElf = bytes[0] === 0x7f && bytes[1] === 0x45;
  return isElf ? btfOf(bytes) : new Btf(bytes, `"${path}"`);
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
