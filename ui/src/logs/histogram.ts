// How much was written when: lines by parts of their time.
import type { Line } from './line';

const PARTS = 96;

export interface Part {
  /** Place of its first line; of an empty one, of the next line there is. */
  first: number;
  at: number;
  lines: number;
  /** Of them, those that tell of trouble: by their words, or on the stream for it. */
  bad: number;
}

/** Nothing when the lines have no times, or all the same. */
export function parts(lines: readonly Line[]): Part[] {
  const begin = lines.findIndex((line) => line.at);
  const [from, to] = [lines[begin]?.ms ?? 0, lines.at(-1)?.ms ?? 0];
  if (!(to > from)) return [];
  const step = (to - from) / PARTS;
  const out: Part[] = Array.from({ length: PARTS }, (_, i) => ({ first: -1, at: from + i * step, lines: 0, bad: 0 }));
  for (let i = begin; i < lines.length; i++) {
    const line = lines[i] as Line;
    const part = out[Math.min(PARTS - 1, Math.floor((line.ms - from) / step))];
    if (!part) continue;
    if (part.first < 0) part.first = i;
    part.lines += 1;
    if (line.level === 'error' || (line.level === 'other' && line.stream === 'stderr')) part.bad += 1;
  }
  let next = lines.length - 1;
  for (const part of out.toReversed()) next = part.first = part.first < 0 ? next : part.first;
  return out;
}

/** The part a line is in. */
export function partOf(all: readonly Part[], line: number): number {
  let at = 0;
  while (at + 1 < all.length && (all[at + 1]?.first ?? 0) <= line) at += 1;
  return at;
}

/** Bars as one outline, `value` of each part from the bottom of a box of 1 × 1 a part. */
export function outline(all: readonly Part[], value: (part: Part) => number): string {
  const most = Math.max(1, ...all.map((part) => part.lines));
  const bar = (part: Part, i: number) => {
    const height = value(part) / most;
    return height > 0 ? `M${i} 1V${(1 - Math.max(height, 0.04)).toFixed(3)}h.86V1z` : '';
  };
  return all.map(bar).join('');
}
