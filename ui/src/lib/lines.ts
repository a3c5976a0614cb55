// Lines of many instances in one list: how a newer answer joins what is there, how an older page does,
// and what the chart above them shows.
import type { LogLine } from '../api/types';

/** Lines kept in the page; the older ones leave. */
export const LINES_MAX = 100_000;
/** How far back an answer about what is new reaches: lines of a slow node come late. */
export const OVERLAP_MS = 2_000;
const BUCKETS = 96;

/** A line with its time as a number; NaN where it has none. */
export interface Line extends LogLine {
  ms: number;
}

export interface Held {
  lines: readonly Line[];
  /** Asks for older lines; absent when there are none, or when they were let go. */
  before?: string | undefined;
  /** The number of the first line; older ones have smaller numbers, a line keeps its own. */
  first: number;
}

export const NOTHING: Held = { lines: [], first: 0 };

export function timed(lines: readonly LogLine[]): Line[] {
  return lines.map((line) => ({ ...line, ms: Date.parse(line.at ?? '') }));
}

/** Where an answer about what is new has to begin, after these lines. */
export function since(held: Held): string | undefined {
  const newest = held.lines.findLast((line) => line.at)?.at;
  return newest && new Date(Date.parse(newest) - OVERLAP_MS).toISOString();
}

/** Puts an answer from `from` on in the place of what was known from there on. */
export function renewed(held: Held, from: string, fresh: readonly Line[]): Held {
  let keep = held.lines.length;
  while (keep > 0 && (held.lines[keep - 1]?.at ?? '') >= from) keep -= 1;
  const known = held.lines.length - keep;
  // Nothing new: the same list, so that nothing is drawn anew.
  if (known === fresh.length && fresh.every((line, i) => same(line, held.lines[keep + i]))) return held;
  const all = [...held.lines.slice(0, keep), ...fresh];
  const over = Math.max(0, all.length - LINES_MAX);
  const before = over > 0 ? all[over]?.at : held.before;
  return { lines: over > 0 ? all.slice(over) : all, before, first: held.first + over };
}

/** Puts an older page before what is there. */
export function preceded(held: Held, page: readonly Line[], before: string | undefined): Held {
  return { lines: [...page, ...held.lines], before, first: held.first - page.length };
}

function same(a: LogLine, b: LogLine | undefined): boolean {
  return a.at === b?.at && a.task === b?.task && a.stream === b.stream && a.text === b.text;
}

export interface Bucket {
  /** Place of its first line. */
  first: number;
  at: number;
  stdout: number;
  stderr: number;
}

/** The lines by parts of their time; nothing when they have none, or all the same. */
export function buckets(lines: readonly Line[]): Bucket[] {
  const first = lines.findIndex((line) => line.at);
  const [from, to] = [lines[first]?.ms ?? 0, lines.at(-1)?.ms ?? 0];
  if (!(to > from)) return [];
  const step = (to - from) / BUCKETS;
  const out: Bucket[] = Array.from({ length: BUCKETS }, (_, i) => ({ first: -1, at: from + i * step, stdout: 0, stderr: 0 }));
  for (let i = first; i < lines.length; i++) {
    const line = lines[i];
    const bucket = line && out[Math.min(BUCKETS - 1, Math.floor((line.ms - from) / step))];
    if (!line || !bucket) continue;
    if (bucket.first < 0) bucket.first = i;
    bucket[line.stream] += 1;
  }
  return out;
}

/** The pattern as the page marks it; nothing where the browser has another notion of it. */
export function marker(pattern: string): RegExp | undefined {
  if (!pattern) return undefined;
  try {
    return new RegExp(pattern, 'gi');
  } catch {
    return undefined;
  }
}

/** A text in pieces; those that match are marked. */
export function marked(text: string, by: RegExp | undefined): { text: string; hit: boolean }[] {
  if (!by) return [{ text, hit: false }];
  const out: { text: string; hit: boolean }[] = [];
  let at = 0;
  for (const match of text.matchAll(by)) {
    if (match[0] === '') continue;
    if (match.index > at) out.push({ text: text.slice(at, match.index), hit: false });
    out.push({ text: match[0], hit: true });
    at = match.index + match[0].length;
  }
  if (at < text.length || out.length === 0) out.push({ text: text.slice(at), hit: false });
  return out;
}

/** A hue of its own for each task, the same on every visit. */
export function hue(task: string): number {
  let hash = 2166136261;
  for (const char of task) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  return (hash >>> 0) % 360;
}
