/**
 * The snapshot's format: one JSON document, which reads back on any machine. docs/snapshot.md has
 * it in words.
 *
 * @module
 */
import { gunzipSync } from "node:zlib";
import * as v from "valibot";
import { type Part, partShapes } from "./parts.ts";

/** Of the document; a reader refuses any other. It goes up when a field changes its meaning. */
export const VERSION = 1 as const;

/** What a snapshot may have, unpacked. */
export const SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024;

const missingShape = v.strictObject({
  part: v.string(),
  because: v.string(),
  remedy: v.exactOptional(v.string()),
});

/** A part that could not be had, and why. */
export type Missing = v.InferOutput<typeof missingShape>;

/** Whose a namespace is, as `/pods` says it. */
export const ownerShape = v.strictObject({
  kind: v.picklist(["host", "pod", "pod-uid", "container", "netns", "process", "unknown"]),
  namespace: v.string(),
  name: v.string(),
  uid: v.exactOptional(v.string()),
  labels: v.exactOptional(v.record(v.string(), v.string())),
});

const partEntries = v.partial(v.strictObject(partShapes)).entries;

/** One namespace. */
export const namespaceShape = v.strictObject({
  netns: v.pipe(v.number(), v.integer(), v.description("Inode number")),
  netnsCookie: v.pipe(v.string(), v.description("Decimal; 0 where the kernel has none")),
  host: v.boolean(),
  owner: ownerShape,
  pids: v.array(v.number()),
  containerIds: v.array(v.string()),
  netnsIds: v.pipe(
    v.record(v.string(), v.number()),
    v.description("Inode numbers of the namespaces that link_netnsid stands for"),
  ),
  ...partEntries,
  missing: v.array(missingShape),
});

/** The whole. */
export const snapshotShape = v.strictObject({
  format: v.literal("podskoop-snapshot"),
  version: v.literal(VERSION),
  producer: v.string(),
  node: v.string(),
  kernel: v.string(),
  taken: v.pipe(v.string(), v.isoTimestamp()),
  namespaces: v.array(namespaceShape),
  missing: v.pipe(
    v.array(missingShape),
    v.description("What the snapshot as a whole lacks; namespaces have their own lists"),
  ),
});

/** One namespace of a snapshot. */
export type NamespaceSnapshot = v.InferOutput<typeof namespaceShape>;
/** A snapshot. */
export type Snapshot = v.InferOutput<typeof snapshotShape>;
/** A snapshot without its namespaces and what it lacks, which come while it is being taken. */
export type Head = Omit<Snapshot, "namespaces" | "missing">;
export type { Part };

/** How a file holds a snapshot, by its name. */
export type Packing = "json" | "gzip" | "zstd";

/**
 * How a file is packed.
 *
 * @throws {RangeError} for a name that says none
 */
export function packingOf(path: string): Packing {
  if (path.endsWith(".gz")) return "gzip";
  if (path.endsWith(".json")) return "json";
  if (path.endsWith(".zst")) return "zstd";
  const names = ".json, .json.gz or .json.zst";
  throw new RangeError(`Cannot tell the packing of "${path}": its name must end in ${names}`);
}

/**
 * Reads a snapshot from the bytes of a file, packed with gzip or not.
 *
 * @throws {Error} that says what is wrong with it, and where
 */
export function readSnapshot(bytes: Uint8Array): Snapshot {
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const unpacked = packed ? unpack(bytes) : bytes;
  if (unpacked.length > SNAPSHOT_BYTES_MAX) throw tooLarge();
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(unpacked));
  } catch (error) {
    throw new Error("Cannot read the snapshot: it is no JSON, or was cut short", { cause: error });
  }
  const head = v.safeParse(v.object({ format: v.string(), version: v.number() }), value);
  if (!head.success || head.output.format !== "podskoop-snapshot") {
    throw new Error("Cannot read the snapshot: it is not one that `podskoop collect` wrote");
  }
  if (head.output.version !== VERSION) {
    throw new Error(
      `Cannot read the snapshot: its version is ${head.output.version}, ` +
        `and this podskoop reads version ${VERSION}`,
    );
  }
  const parsed = v.safeParse(snapshotShape, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new Error(
    `Cannot read the snapshot: "${v.getDotPath(issue) ?? ""}" is not as expected: ${issue.message}`,
  );
}

function unpack(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: SNAPSHOT_BYTES_MAX });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge();
    throw new Error("Cannot unpack the snapshot: it is damaged, or was cut short", {
      cause: error,
    });
  }
}

function tooLarge(): Error {
  return new Error(
    `Cannot read the snapshot: it has more than ${SNAPSHOT_BYTES_MAX} bytes unpacked`,
  );
}
