/**
 * Reads a compiled BPF object: its sections, and the names of its programs and maps.
 *
 * The format is elf(5); clang writes BPF objects as 64-bit and little-endian.
 *
 * @module
 */

const LITTLE_ENDIAN = true;

/** A part of an ELF file. */
export interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
}

/**
 * A BPF program: the name of its function, and the section that says where it attaches, as written
 * in `SEC()`.
 */
export interface ProgramSymbol {
  readonly name: string;
  readonly section: string;
}

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
/** More sections than clang has ever written; a wrong count shall not keep us busy. */
const SECTIONS_MAX = 4_096;

const SECTION_WITHOUT_BYTES = 8; // SHT_NOBITS
const SYMBOL_TABLE = 2; // SHT_SYMTAB
const EXECUTABLE = 4; // SHF_EXECINSTR
const SYMBOL_OBJECT = 1; // STT_OBJECT
const SYMBOL_FUNCTION = 2; // STT_FUNC
const LOCAL = 0; // STB_LOCAL

function broken(why: string): SyntaxError {
  return new SyntaxError(`Cannot read the BPF object as ${why}`);
}

/**
 * The sections of an object, in its order.
 *
 * @throws {SyntaxError} when it is not a whole 64-bit little-endian ELF file.
 */
export function sectionsOf(object: Uint8Array): readonly Section[] {
  const view = new DataView(object.buffer, object.byteOffset, object.byteLength);
  const size = object.byteLength;
  if (size < HEADER_BYTES) throw broken(`it has only ${size} bytes`);
  if (view.getUint32(0) !== 0x7f454c46) throw broken("it does not start as an ELF file does");
  if (object[4] !== 2 || object[5] !== 1) throw broken("it is not 64-bit and little-endian");
  const headers = Number(view.getBigUint64(40, LITTLE_ENDIAN));
  const step = view.getUint16(58, LITTLE_ENDIAN);
  const count = view.getUint16(60, LITTLE_ENDIAN);
  if (step !== SECTION_BYTES || count === 0 || count > SECTIONS_MAX) {
    throw broken(`its section table makes no sense: ${count} entries of ${step} bytes`);
  }
  if (headers + count * step > size) throw broken("it is cut short: its section table is missing");
  const names = sectionAt(view, headers + view.getUint16(62, LITTLE_ENDIAN) * step, () => "");
  const sections: Section[] = [];
  for (let index = 0; index < count; index++) {
    sections.push(
      sectionAt(view, headers + index * step, (offset) => string(object, names, offset)),
    );
  }
  return sections;
}

function sectionAt(view: DataView, at: number, nameOf: (offset: number) => string): Section {
  if (at + SECTION_BYTES > view.byteLength) throw broken(`it has no section header at ${at}`);
  const type = view.getUint32(at + 4, LITTLE_ENDIAN);
  const section = {
    name: nameOf(view.getUint32(at, LITTLE_ENDIAN)),
    type,
    flags: Number(view.getBigUint64(at + 8, LITTLE_ENDIAN)),
    offset: Number(view.getBigUint64(at + 24, LITTLE_ENDIAN)),
    size: Number(view.getBigUint64(at + 32, LITTLE_ENDIAN)),
  };
  if (type !== SECTION_WITHOUT_BYTES && section.offset + section.size > view.byteLength) {
    throw broken(
      `it is cut short: section "${section.name}" ends at ` +
        `${section.offset + section.size} of ${view.byteLength} bytes`,
    );
  }
  return section;
}

const decoder = new TextDecoder();

function string(object: Uint8Array, table: Section, offset: number): string {
  const start = table.offset + offset;
  const end = object.indexOf(0, start);
  if (offset >= table.size || end < 0 || end >= table.offset + table.size) {
    throw broken(`a name lies outside its string table, at ${offset} of ${table.size}`);
  }
  return decoder.decode(object.subarray(start, end));
}

/**
 * The bytes of one section, not copied; undefined when the object has none of that name. Throws
 * SyntaxError.
 */
export function sectionBytes(object: Uint8Array, name: string): Uint8Array | undefined {
  const section = sectionsOf(object).find((section) => section.name === name);
  if (section === undefined || section.type === SECTION_WITHOUT_BYTES) return undefined;
  return object.subarray(section.offset, section.offset + section.size);
}

/**
 * The programs of an object that libbpf would load, and the maps it would make, by name.
 *
 * @throws {SyntaxError} when the object is not whole.
 */
export function contentsOf(
  object: Uint8Array,
): { readonly programs: readonly ProgramSymbol[]; readonly maps: readonly string[] } {
  const sections = sectionsOf(object);
  const table = sections.find(({ type }) => type === SYMBOL_TABLE);
  const strings = sections.find(({ name }) => name === ".strtab");
  if (table === undefined || strings === undefined) throw broken("it has no symbol table");
  const view = new DataView(object.buffer, object.byteOffset, object.byteLength);
  const programs: ProgramSymbol[] = [];
  const maps: string[] = [];
  for (let at = table.offset; at + SYMBOL_BYTES <= table.offset + table.size; at += SYMBOL_BYTES) {
    const section = sections[view.getUint16(at + 6, LITTLE_ENDIAN)];
    const info = view.getUint8(at + 4);
    if (section === undefined) continue;
    const type = info & 0xf;
    if (type === SYMBOL_OBJECT && section.name === ".maps") {
      maps.push(string(object, strings, view.getUint32(at, LITTLE_ENDIAN)));
    }
    // Functions in .text are called by programs; "?" in front of a section keeps libbpf from
    // loading it.
    if (type !== SYMBOL_FUNCTION || info >> 4 === LOCAL || !(section.flags & EXECUTABLE)) continue;
    if (section.name === ".text" || section.name.startsWith("?")) continue;
    programs.push({
      name: string(object, strings, view.getUint32(at, LITTLE_ENDIAN)),
      section: section.name,
    });
  }
  return { programs, maps };
}
