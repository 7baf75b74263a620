/**
 * An event as one line of text, in the form that the predecessors documented.
 *
 * @module
 */
import type { Event } from "./event.ts";

/** Characters of one value; a pod's name has at most 253. */
const VALUE_LENGTH_MAX = 512;

/**
 * The line of an event, without a line feed:
 *
 *     type=PACKETLOSS pod=hostNetwork namespace=hostNetwork protocol=TCP saddr=10.1.17.172 \
 *     sport=6443 daddr=10.1.17.176 dport=43018
 *
 * The host is `pod=hostNetwork namespace=hostNetwork`; a port that is unknown is 0. An event that
 * stands for several occurrences has ` count=N` after the other fields, and a stack follows last,
 * after two spaces, so that what reads `stacktrace:` to the end of the line finds frames and
 * nothing else:
 *
 *     … daddr=10.1.17.176 dport=43018 count=5  stacktrace:skb_release_data+0xA3 __kfree_skb+0xE
 *
 * An event without addresses has its interface, process and attributes in their place. Values hold
 * no space, no `=` and no control character, so none of them can pass for another field; the JSON
 * form has them exactly.
 */
export function lineOf(event: Event): string {
  const { source, destination } = event;
  const fields = [`type=${word(event.type)}`, ...whose(event)];
  if (event.network.transport !== undefined) {
    fields.push(`protocol=${word(event.network.transport.toUpperCase())}`);
  }
  if (source !== undefined) {
    fields.push(`saddr=${word(source.address)}`, `sport=${source.port ?? 0}`);
  }
  if (destination !== undefined) {
    fields.push(`daddr=${word(destination.address)}`, `dport=${destination.port ?? 0}`);
  }
  if (source === undefined && destination === undefined) fields.push(...withoutAddresses(event));
  if (event.count > 1) fields.push(`count=${event.count}`);
  const line = fields.join(" ");
  if (event.stack === undefined || event.stack.length === 0) return line;
  return `${line}  stacktrace:${event.stack.map(frame).join(" ")}`;
}

/**
 * The pod and namespace that the line names; the filters of `/events` understand the same words.
 */
export function shownPod(event: Pick<Event, "pod">): { namespace: string; name: string } {
  if (event.pod === undefined) return { namespace: "unknown", name: "unknown" };
  if (event.pod.kind === "host") return { namespace: HOST_WORD, name: HOST_WORD };
  return {
    namespace: event.pod.namespace || "unknown",
    name: event.pod.name || "unknown",
  };
}

/** What the predecessors' lines call the host, and every pod on its network. */
const HOST_WORD = "hostNetwork";

function whose(event: Event): string[] {
  const { namespace, name } = shownPod(event);
  return [`pod=${word(name)}`, `namespace=${word(namespace)}`];
}

function withoutAddresses(event: Event): string[] {
  const fields: string[] = [];
  if (event.network.interface !== undefined) {
    fields.push(`interface=${word(event.network.interface)}`);
  }
  if (event.process !== undefined) {
    fields.push(`pid=${event.process.pid}`, `comm=${word(event.process.comm)}`);
  }
  for (const [name, value] of Object.entries(event.attributes)) {
    fields.push(`${word(name)}=${word(String(value))}`);
  }
  return fields;
}

/** `symbol+0xOFFSET`, with upper-case digits as the predecessors write them, and no space. */
function frame(text: string): string {
  const upper = text.replace(/\+0x([0-9a-f]+)/, (_, digits) => `+0x${digits.toUpperCase()}`);
  return word(upper.replace(" [", "["));
}

/** Replaces what could end a value, or look like another field to someone who searches the line. */
function word(value: string): string {
  const whole = value.length <= VALUE_LENGTH_MAX ? value : value.slice(0, VALUE_LENGTH_MAX);
  // Nearly every value is plain; the long expression is for the others.
  if (/^[\w./+-]*$/.test(whole)) return whole;
  return whole.replace(/[\p{C}\p{Z}\s="\\]/gu, "?").replaceAll("stacktrace:", "stacktrace?");
}
