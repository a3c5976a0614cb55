// The lines that are held, in order: how others join them, which ones leave, what was never loaded.
import type { Logs } from '../api/types';
import { type Line, same } from './line';

/** Lines and characters held in the page; what is further from where the reader is leaves. */
export const LINES_MAX = 100_000;
export const CHARS_MAX = 48 << 20;
/** How far back an answer about what is new reaches: lines of a slow node come late. */
export const OVERLAP_MS = 2_000;

export interface Held {
  lines: readonly Line[];
  /** Asks for what is older; absent when there is nothing, or it was let go. */
  before?: string | undefined;
  /** Asks for what is newer; absent when the newest is held. */
  after?: string | undefined;
}

export const NOTHING: Held = { lines: [] };

const iso = (ms: number) => new Date(ms).toISOString();

/** From when on to ask for what is new, after these lines. */
export function since(held: Held): string | undefined {
  const newest = held.lines.findLast((line) => line.at);
  return newest && iso(newest.ms - OVERLAP_MS);
}

/** Whether lines that nobody loaded lie between what is held and an answer about what is new. */
export function isApart(held: Held, answer: Logs): boolean {
  const newest = held.lines.at(-1);
  return !!answer.before && !!newest && Date.parse(answer.before) > newest.ms;
}

/** Both in order, each line once; of one that is told again, the newer words in the older's place. */
function merged(old: readonly Line[], fresh: readonly Line[]): readonly Line[] {
  const first = fresh[0];
  if (!first) return old;
  let from = old.length;
  while (from > 0 && (old[from - 1]?.ms ?? 0) >= first.ms) from -= 1;
  const out = old.slice(0, from);
  let [i, changed] = [from, false];
  // Those of the same moment that are out already: a line that is told again stands among them.
  let moment = out.length;
  const put = (line: Line) => {
    if (out.at(-1)?.ms !== line.ms) moment = out.length;
    out.push(line);
  };
  for (const line of fresh) {
    while (i < old.length && (old[i]?.ms ?? 0) <= line.ms) put(old[i++] as Line);
    let at = out.at(-1)?.ms === line.ms ? moment : out.length;
    while (at < out.length && !same(out[at] as Line, line)) at += 1;
    const known = out[at];
    if (!known) put(line);
    else if (known.text === line.text && known.partial === line.partial) continue;
    else out[at] = { ...line, n: known.n };
    changed = true;
  }
  return changed ? out.concat(old.slice(i)) : old;
}

/** Takes lines in; those at the other end leave where there are too many. */
export function joined(held: Held, fresh: readonly Line[], grows: 'end' | 'start' = 'end'): Held {
  const lines = merged(held.lines, fresh);
  // Nothing new: the same list, so that nothing is drawn anew.
  return lines === held.lines ? held : bounded({ ...held, lines }, grows);
}

function bounded(held: Held, grows: 'end' | 'start'): Held {
  const { lines } = held;
  let [n, chars] = [0, 0];
  const at = (i: number) => (grows === 'end' ? lines[lines.length - 1 - i] : lines[i]);
  while (n < lines.length && n < LINES_MAX && chars <= CHARS_MAX) chars += at(n++)?.text.length ?? 0;
  if (n === lines.length) return held;
  if (grows === 'end') {
    const kept = lines.slice(-n);
    // One moment may be cut in two: all of it is asked for again.
    return { ...held, lines: kept, before: iso((kept[0]?.ms ?? 0) + 1) };
  }
  const kept = lines.slice(0, n);
  return { ...held, lines: kept, after: iso(kept.at(-1)?.ms ?? 0) };
}

/** Takes an older page in. */
export function preceded(held: Held, page: readonly Line[], before: string | undefined): Held {
  return joined({ ...held, before }, page, 'start');
}

/** Takes a newer page in. */
export function followed(held: Held, page: readonly Line[], after: string | undefined): Held {
  return joined({ ...held, after }, page, 'end');
}
