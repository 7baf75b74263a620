/**
 * iptables' match `time`, asked of the moment when the snapshot was taken.
 *
 * Source: the kernel's `xt_time.c`.
 *
 * @module
 */
import type { Check } from "./iptables_match.ts";
import type { Option } from "./iptables_text.ts";
import { unknown } from "./truth.ts";

const DAY_SECONDS = 86_400;
const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** What a rule asks; days are listed, or all but those that are listed. */
interface Asked {
  from: number;
  to: number;
  begins: number;
  ends: number;
  contiguous: boolean;
  weekday: (day: string) => boolean;
  monthday: (day: string) => boolean;
}

/** `-m time`. */
export function timeModule(options: readonly Option[]): readonly (Check | undefined)[] {
  const asked: Asked = {
    ...{ from: 0, to: DAY_SECONDS - 1, begins: -Infinity, ends: Infinity, contiguous: false },
    ...{ weekday: () => true, monthday: () => true },
  };
  for (const { name, negated, values: [text = ""] } of options) {
    const days = text.split(",");
    const listed = (day: string) => days.includes(day) !== negated;
    if (name === "--timestart") asked.from = secondsOf(text);
    else if (name === "--timestop") asked.to = secondsOf(text);
    else if (name === "--datestart") asked.begins = Date.parse(`${text}Z`) / 1_000;
    else if (name === "--datestop") asked.ends = Date.parse(`${text}Z`) / 1_000;
    else if (name === "--weekdays") asked.weekday = listed;
    else if (name === "--monthdays") asked.monthday = listed;
    else if (name === "--contiguous") asked.contiguous = true;
    else return [undefined];
  }
  const { from, to, begins, ends } = asked;
  if (Number.isNaN(from + to) || Number.isNaN(begins) || Number.isNaN(ends)) return [undefined];
  return [
    ({ around: { seconds } }) =>
      seconds === undefined ? unknown("the time is not known") : within(asked, seconds),
  ];
}

/** `10:00`, or with seconds. */
function secondsOf(text: string): number {
  const [, hours, minutes, seconds = "0"] = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?$/.exec(text) ?? [];
  return Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
}

function within(asked: Asked, now: number): boolean {
  const { from, to } = asked;
  if (now < asked.begins || now > asked.ends) return false;
  const time = Math.floor(now) % DAY_SECONDS;
  const early = time <= to;
  // What stops before it starts goes over midnight.
  if (from < to ? time < from || !early : time < from && !early) return false;
  const started = from >= to && asked.contiguous && early ? now - DAY_SECONDS : now;
  const date = new Date(started * 1_000);
  return asked.weekday(WEEKDAYS[date.getUTCDay()] ?? "") &&
    asked.monthday(String(date.getUTCDate()));
}
