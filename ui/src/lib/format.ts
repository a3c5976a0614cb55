// Numbers and words as a reader sees them.
import type { HistoryBy, Instance } from '../api/types';
import { currentLanguage, number, sayAny } from '../words';

/** CPU shares: at most three decimals, none when whole; what is not nothing never reads as 0. */
export function cpus(value: number): string {
  if (value > 0 && value < 0.0005) return `<${number(0.001, 3)}`;
  return number(Math.round(value * 1000) / 1000, 3, false);
}

const UNITS = ['MiB', 'GiB', 'TiB'];

/** MiB as a binary quantity with at most one decimal, never told as more than it is. */
export function mebibytes(value: number): string {
  const exact = Math.round(value * 1000);
  if (exact < 1000) return `${number(exact / 1000, 3)} MiB`;
  let unit = 0;
  // Tenths of a unit in thousandths of a MiB: whole numbers, as on the server.
  let tenth = 100;
  while (unit < UNITS.length - 1 && exact >= tenth * 10 * 1024) {
    tenth *= 1024;
    unit += 1;
  }
  return `${number(Math.floor(exact / tenth) / 10, 1, false)} ${UNITS[unit]}`;
}

/** A number of bytes. */
export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const kib = value / 1024;
  return kib < 1024 ? `${number(kib, kib >= 100 ? 0 : 1)} KiB` : mebibytes(kib / 1024);
}

/** What is not nothing never reads as 0, and what is not all never as 100. */
export function percent(part: number, whole: number): string {
  if (whole <= 0) return '–';
  const value = (part / whole) * 100;
  if (value > 0 && value < 1) return '<1 %';
  return `${number(value < 100 ? Math.min(99, Math.round(value)) : Math.round(value))} %`;
}

/** Names with their numbers at one length: comparing them is many times as fast as a collation. */
const keys = new Map<string, string>();
const KEYS_MAX = 50_000;

function orderKey(name: string): string {
  let key = keys.get(name);
  if (key === undefined) {
    if (keys.size >= KEYS_MAX) keys.clear();
    key = name.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, '0'));
    keys.set(name, key);
  }
  return key;
}

/** The order of names with numbers in them: `web-2` before `web-10`. */
export function byName(a: string, b: string): number {
  const [x, y] = [orderKey(a), orderKey(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** "12 s", "5 min", "3 h", "2 d": the largest whole unit. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

/** How long something took, as the history tells it: "6.6 s", "1 min 20 s", "2 d 3 h". */
export function took(ms: number): string {
  const s = Math.floor(ms / 1000);
  const two = (large: number, unit: string, small: number, of: string) =>
    small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${of}`;
  if (s < 10) return `${number(Math.floor(ms / 100) / 10, 1, false, 1)} s`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), 'min', s % 60, 's');
  if (s < 86_400) return two(Math.floor(s / 3600), 'h', Math.floor((s % 3600) / 60), 'min');
  return two(Math.floor(s / 86_400), 'd', Math.floor((s % 86_400) / 3600), 'h');
}

/** The two parts of an app id for display: everything up to its last slash, and its own name. */
export function splitId(id: string): { path: string; name: string } {
  const at = id.lastIndexOf('/');
  return { path: id.slice(0, at + 1), name: id.slice(at + 1) };
}

/** Address of an app's page, its id raw after a literal segment. */
export function appHref(id: string, tab?: string): string {
  const path = id.split('/').map(encodeURIComponent).join('/');
  return `/services/-${path}${tab ? `?tab=${tab}` : ''}`;
}

/** Address of the page on which an app is changed. */
export function editHref(id: string): string {
  return appHref(id).replace('/services/-', '/services/edit/-');
}

/** A sentence of the server with its times as the reader's clock shows them. */
export function humanise(sentence: string): string {
  return sentence.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, dayOrTime);
}

/** By the reader's clock: the time of today, and the date with it of another day. */
export function dayOrTime(iso: string): string {
  const at = new Date(iso);
  return at.toDateString() === new Date().toDateString() ? timeOfDay(at) : dateAndTime(iso);
}

/** Date and time to the second, by the reader's clock. */
export function dateAndTime(iso: string): string {
  return new Date(iso).toLocaleString(currentLanguage());
}

/** The time of a day by the reader's clock, to the second or to the minute. */
export function timeOfDay(at: Date, options?: Intl.DateTimeFormatOptions): string {
  return at.toLocaleTimeString(currentLanguage(), options);
}

/** The part of a task or instance id that tells instances of one app apart. */
export function shortTask(task: Instance): string {
  const id = task.task_id ?? task.id;
  const match = /(?:instance-|marathon-|\.)([0-9a-f]{8})/.exec(id);
  return match?.[1] ?? (id.length > 14 ? `…${id.slice(-12)}` : id);
}

/** What runs: the image without registry host, or the first line of the command. */
export function whatRuns(app: { image?: string; cmd?: string }): string {
  return app.image ?? app.cmd?.split('\n')[0] ?? '';
}

/** What the command line calls a change of a service, or a look at it. */
export function commandOf({ id, kind }: { id: string; kind?: 'pod' | undefined }, verb: string, ...rest: (string | number)[]): string {
  return ['tepui', kind ?? 'app', verb, id, ...rest].join(' ');
}

/** By what way somebody did something. */
export function wayOf({ way }: HistoryBy): string {
  return sayAny(`activity.way.${way}`) ?? way;
}
