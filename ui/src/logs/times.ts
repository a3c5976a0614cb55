// The time of a line as its reader wants it.
import { duration } from '../lib/format';
import { oneOf, Stored } from '../lib/stored';

export const TIMES = ['local', 'utc', 'age', 'none'] as const;
export type Times = (typeof TIMES)[number];
export const times = new Stored<Times>('log.times', 'local', oneOf(...TIMES));
/** On a phone the lines have the room. */
export const narrowTimes = new Stored<Times>('log.times.narrow', 'none', oneOf(...TIMES));
export const wraps = new Stored<'wrap' | 'cut'>('log.wrap', 'wrap', oneOf('wrap', 'cut'));

const two = (n: number) => `${n}`.padStart(2, '0');

/** The time of the day to the millisecond, or how long ago. */
export function clock(ms: number, by: Times, now: number): string {
  if (by === 'age') return duration(now - ms);
  const at = new Date(ms);
  if (by === 'utc') return at.toISOString().slice(11, 23);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${`${at.getMilliseconds()}`.padStart(3, '0')}`;
}

/** A moment for a field that asks for one, and back. */
export function toField(ms: number, utc: boolean): string {
  const shift = utc ? 0 : new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(ms - shift).toISOString().slice(0, 19);
}

export function fromField(text: string, utc: boolean): number | undefined {
  const at = Date.parse(utc ? `${text}Z` : text);
  return Number.isFinite(at) ? at : undefined;
}
