/**
 * Finds the node's network namespaces, and chooses those that were asked for.
 *
 * @module
 */
import * as v from "valibot";
import { readLink } from "../../agent/namespaces/libc.ts";
import { NamespaceVisitor } from "../../agent/namespaces/visitor.ts";
import { Identities } from "../../agent/pods/identities.ts";
import { NamespaceTable } from "../../agent/pods/table.ts";
import type { KnownNamespace } from "../../agent/pods/view.ts";
import type { Subject } from "./collect.ts";
import { type Missing, ownerShape } from "./format.ts";
import { EnterError, openPlace, type Place } from "./place.ts";

/** Which namespaces are wanted; nothing is all of them. */
export interface Wanted {
  /** `NAMESPACE/NAME`, or `NAME` alone. */
  readonly pods: readonly string[];
  /** `host`, a name as of `ip netns`, an inode number, or a path that leads to one. */
  readonly netns: readonly string[];
}

/** Whose a namespace is, as someone who knows more than the kernel says it. */
const ownersShape = v.array(v.object({
  ...ownerShape.entries,
  netns: v.number(),
  netnsCookie: v.string(),
}));
type Owners = v.InferOutput<typeof ownersShape>;

/** What an agent tells to the process that collects for it. */
export const knownShape = v.object({ node: v.string(), owners: ownersShape });
export type Known = v.InferOutput<typeof knownShape>;

/** A namespace with the names that it goes by, the pods in the host's among them. */
export interface Found {
  readonly subject: Subject;
  readonly names: readonly { readonly namespace: string; readonly name: string }[];
  readonly paths: readonly string[];
}

/** What the node has. */
export interface Surroundings extends Disposable {
  readonly found: readonly Found[];
  readonly missing: readonly Missing[];
}

const OWN = "/proc/thread-self/ns/net";

/** Looks at the node once; `owners` know better where they know anything. */
export async function lookAround(node: string, owners: Owners): Promise<Surroundings> {
  const visitor = new NamespaceVisitor();
  const table = new NamespaceTable({ visitor });
  const identities = new Identities({ table, sources: [], node });
  try {
    await identities.tick();
    const outcome = table.outcome();
    const all: Owners = [...owners, ...identities.pods()];
    const found = table.alive().map((namespace): Found => {
      const cookie = String(namespace.cookie);
      const names = all.filter((owner) =>
        owner.netns === namespace.inum &&
        (owner.netnsCookie === cookie || owner.netnsCookie === "0" || cookie === "0")
      );
      const [owner = identities.identityOfNamespace(namespace)] = names;
      return {
        subject: subjectOf(namespace, v.parse(ownerShape, plain(owner))),
        names,
        paths: namespace.mounts,
      };
    });
    return {
      found,
      missing: outcome.state === "working"
        ? []
        : [{ part: "namespaces", because: "because" in outcome ? outcome.because : outcome.state }],
      [Symbol.dispose]() {
        for (const { subject: { place } } of found) if (!("because" in place)) place.close();
      },
    };
  } finally {
    identities.close();
    table.close();
    visitor.close();
  }
}

function plain({ kind, namespace, name, uid, labels }: v.InferOutput<typeof ownerShape>) {
  return {
    ...{ kind, namespace, name },
    ...(uid === undefined ? {} : { uid }),
    ...(labels === undefined ? {} : { labels }),
  };
}

function subjectOf(namespace: KnownNamespace, owner: Subject["owner"]): Subject {
  const { inum, cookie, host, pids, containerIds } = namespace;
  return {
    ...{ netns: inum, netnsCookie: String(cookie), host, owner },
    ...{ pids: [...pids], containerIds: [...containerIds], place: placeOf(namespace) },
  };
}

function placeOf({ inum, path, pids }: KnownNamespace): Place | { readonly because: string } {
  // Our own can be opened where the first process's cannot be.
  const paths = readLink(OWN) === `net:[${inum}]`
    ? [OWN]
    : [path, ...pids.slice(0, 3).map((pid) => `/proc/${pid}/ns/net`)];
  let because = "";
  for (const each of new Set(paths)) {
    try {
      return openPlace(inum, each);
    } catch (error) {
      if (!(error instanceof EnterError)) throw error;
      because ||= error.message;
    }
  }
  return { because };
}

/**
 * The namespaces that are wanted.
 *
 * @throws {RangeError} when there is none of one that was named
 */
export function choose(found: readonly Found[], { pods, netns }: Wanted): readonly Subject[] {
  if (pods.length === 0 && netns.length === 0) return found.map(({ subject }) => subject);
  const chosen = new Set<Subject>();
  const take = (what: string, fits: (each: Found) => boolean) => {
    const some = found.filter(fits);
    if (some.length === 0) throw new RangeError(`Cannot find the ${what} on this node`);
    for (const { subject } of some) chosen.add(subject);
  };
  for (const pod of pods) {
    take(
      `pod "${pod}"`,
      ({ names }) =>
        names.some(({ namespace, name }) =>
          name !== "" && (`${namespace}/${name}` === pod || name === pod)
        ),
    );
  }
  for (const each of netns) {
    const link = each.startsWith("/") ? linkOf(each) : undefined;
    take(
      `network namespace "${each}"`,
      ({ subject, paths }) =>
        each === String(subject.netns) || (each === "host" && subject.host) ||
        paths.includes(each) || paths.includes(`/run/netns/${each}`) ||
        paths.includes(`/var/run/netns/${each}`) || link === subject.netns,
    );
  }
  return [...chosen];
}

/** The inode number of the namespace at a path; undefined where there is none. */
function linkOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).ino ?? undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return undefined;
    }
    throw error;
  }
}
