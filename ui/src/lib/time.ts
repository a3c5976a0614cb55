// Points in time as the reader wants them: how long ago, by his own clock, or by UTC.
import { currentLanguage } from '../words';
import { duration } from './format';
import { oneOf, Stored } from './stored';

export type Clock = 'relative' | 'local' | 'utc';
const CLOCKS: Clock[] = ['relative', 'local', 'utc'];
export const clock = new Stored<Clock>('clock', 'relative', oneOf(...CLOCKS));

/** From now on times are shown by the next clock, which is told. */
export function turn(): Clock {
  const next = CLOCKS[(CLOCKS.indexOf(clock.get()) + 1) % CLOCKS.length] ?? 'relative';
  clock.put(next);
  return next;
}

/** Making one takes as long as a hundred uses of it; there are a few of them. */
const formats = new Map<string, Intl.DateTimeFormat>();

function written(at: number, zone: 'local' | 'utc', options: Intl.DateTimeFormatOptions): string {
  if (Number.isNaN(at)) return '–';
  const language = currentLanguage();
  const key = `${language} ${zone} ${JSON.stringify(options)}`;
  let format = formats.get(key);
  if (!format) {
    const inZone = zone === 'utc' ? { ...options, timeZone: 'UTC', hourCycle: 'h23' as const } : options;
    format = new Intl.DateTimeFormat(language, inZone);
    formats.set(key, format);
  }
  return format.format(at);
}

/** Date and time to the second, by both clocks. */
export function fullTime(iso: string): string {
  const at = Date.parse(iso);
  const options = { dateStyle: 'medium', timeStyle: 'medium' } as const;
  return `${written(at, 'local', options)} (${written(at, 'utc', options)} UTC)`;
}

/** As short as a list has room for: the time of today, the day of another one. */
export function shortTime(at: number, now: number, zone: 'local' | 'utc'): string {
  const day = { dateStyle: 'short' } as const;
  const today = written(at, zone, day) === written(now, zone, day);
  return written(at, zone, today ? { timeStyle: 'short' } : { month: 'short', day: 'numeric' });
}

/** `at` for a cell of a list. */
export function timeText(at: number, now: number, by: Clock): string {
  return by === 'relative' ? duration(now - at) : shortTime(at, now, by);
}
