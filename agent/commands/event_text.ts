/**
 * Words an event for a person.
 *
 * @module
 */
import type { Endpoint, Event, Severity } from "../events/event.ts";
import { shownPod } from "../events/text.ts";
import { printable } from "../log.ts";
import { type Colour, paint, type Terminal, wrap } from "./terminal.ts";

const COLOURS: Readonly<Record<Severity, Colour | undefined>> = {
  error: "red",
  warning: "yellow",
  info: undefined,
};

/** From this width on, an event takes one line, if it fits. */
const WIDE = 140;
const TYPE_WIDTH = 18;

/**
 * An event as one line, or where the terminal is narrow as two or three: when and whose, then
 * between whom, and what. Long names take more lines: who the other end is must not be cut away.
 *
 *     11-21 05:24:37.123  TCPRESET_NOSOCK     shop/cart-7f9c
 *       10.0.0.7:80 (shop/cart-7f9c) → 10.0.0.9:49152 (shop/till-0)
 *       Reset sent, as no socket is there for the packet: NO_SOCKET
 */
export function eventText(
  event: Event,
  terminal: Pick<Terminal, "columns" | "colour">,
): string {
  const { columns } = terminal;
  const time = localTime(event.time);
  const type = printable(event.type).padEnd(TYPE_WIDTH);
  const how = COLOURS[event.severity];
  const shown = how === undefined ? type : paint(terminal, how, type);
  const count = event.count > 1 ? `  ×${event.count}` : "";
  const pod = printable(podText(event)) + count;
  const [where, what] = [whereText(event), whatText(event)].map(printable);
  const both = [where, what].filter((part) => part !== "").join("  ");
  const fits = (text: string, room = columns ?? Infinity) => [...text].length <= room;
  if (columns === undefined || columns >= WIDE && fits(`${time}  ${type}  ${pod}  ${both}`)) {
    return `${time}  ${shown}  ${pod}  ${both}\n`;
  }
  const beside = fits(`${time}  ${type}  ${pod}`);
  const ends = fits(`  ${where}`) ? [where] : (where ?? "").split(/ (?=→ )/);
  const lines = [...(beside ? [] : [pod]), ...(fits(`  ${both}`) ? [both] : [...ends, what])];
  return [
    `${time}  ${shown}${beside ? `  ${pod}` : ""}`,
    ...lines.map((line) => `  ${wrap(line ?? "", columns - 2, "    ")}`),
  ]
    .map((line) => `${line.trimEnd()}\n`).join("");
}

function podText(event: Event): string {
  if (event.pod?.kind === "host") return "host";
  const { namespace, name } = shownPod(event);
  return `${namespace}/${name}`;
}

/** Between whom; of an event without addresses, what is known instead. */
function whereText({ source, destination, network, process }: Event): string {
  const ends = [source, destination].flatMap((end) => end === undefined ? [] : [endText(end)]);
  if (ends.length > 0) return ends.join(" → ");
  return [
    network.interface ?? "",
    process === undefined ? "" : `${process.comm}[${process.pid}]`,
  ].filter((part) => part !== "").join("  ");
}

/** What happened, why, and in which function of the kernel. */
function whatText({ attributes: { reason, location }, message }: Event): string {
  const why = reason === undefined || message.includes(String(reason)) ? "" : `: ${reason}`;
  // Where in the function is for the JSON form; an address without a name says nothing.
  const [, name] = /^([^?+]+)\+0x[0-9a-f]+$/i.exec(String(location ?? "")) ?? [];
  return `${message}${why}${name === undefined ? "" : `, in ${name}`}`;
}

/** `10.0.0.9:80`, `[fd00::9]:80`, with who has the address where that is known. */
function endText({ address, port, pod, service, node }: Endpoint): string {
  const shown = port === undefined
    ? address
    : address.includes(":")
    ? `[${address}]:${port}`
    : `${address}:${port}`;
  const owner = service ?? pod;
  const who = owner === undefined ? node : `${owner.namespace}/${owner.name}`;
  return who === undefined ? shown : `${shown} (${who})`;
}

/** `11-21 05:24:37.123`, as the clock on the wall shows it. */
function localTime(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return printable(time);
  const two = (number: number) => String(number).padStart(2, "0");
  const day = `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${day} ${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
