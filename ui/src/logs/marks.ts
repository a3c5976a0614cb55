// What is looked for in the lines that are shown: a pattern, its hits in a text and among the lines.
import { type Look, spans } from '../lib/ansi';
import { places } from '../lib/pattern';
import { isHit, type Line } from './line';

export interface Piece extends Look {
  text: string;
  hit: boolean;
}

/** A line in pieces of one look each; those that match are marked and keep their colours. */
export function pieces(text: string, by: RegExp | undefined): Piece[] {
  const all = spans(text);
  const hits = by ? places(all.map((span) => span.text).join(''), by) : [];
  const out: Piece[] = [];
  let [begin, next] = [0, 0];
  for (const span of all) {
    const end = begin + span.text.length;
    let at = begin;
    while (at < end) {
      while (next < hits.length && (hits[next]?.[1] ?? 0) <= at) next += 1;
      const [from, to] = hits[next] ?? [end, end];
      const hit = from <= at;
      const until = Math.min(end, hit ? to : Math.max(from, at));
      out.push({ ...span, text: span.text.slice(at - begin, until - begin), hit });
      at = until;
    }
    begin = end;
  }
  return out;
}

/** The places of the lines that match. */
export function hits(lines: readonly Line[], by: RegExp | undefined): number[] {
  const out: number[] = [];
  if (by) lines.forEach((line, i) => isHit(line, by) && out.push(i));
  return out;
}

/** The hit after or before a line, around the ends; undefined when there is none. */
export function nextHit(all: readonly number[], from: number, step: 1 | -1): number | undefined {
  if (all.length === 0) return undefined;
  if (step > 0) return all.find((i) => i > from) ?? all[0];
  return all.findLast((i) => i < from) ?? all.at(-1);
}
