// What stands around a line that was found: lines of the same task before and after it, in their place.
import { api } from '../api/client';
import { type Line, made, same } from './line';

/** Lines shown on either side. */
const AROUND = 5;
/** Lines asked for: those of the same moment come as well. */
const ASKED = 60;

export interface Context {
  before: readonly Line[];
  after: readonly Line[];
}

/** Asks for what is around a line, of both streams of its task. */
export async function around(line: Line): Promise<Context> {
  const of = { of: line.task, limit: `${ASKED}` };
  const [old, young] = await Promise.all([
    api.logs({ ...of, before: new Date(line.ms + 1).toISOString() }),
    api.logs({ ...of, after: new Date(line.ms).toISOString() }),
  ]);
  const before = made(old.lines, line.ms);
  const after = made(young.lines, line.ms);
  const [i, j] = [before.findIndex((other) => same(other, line)), after.findIndex((other) => same(other, line))];
  return {
    before: i < 0 ? [] : before.slice(Math.max(0, i - AROUND), i),
    after: j < 0 ? [] : after.slice(j + 1, j + 1 + AROUND),
  };
}

/** The lines with what is around some of them; what is there already is not shown twice. */
export function interleaved(lines: readonly Line[], contexts: ReadonlyMap<number, Context>): { lines: readonly Line[]; asides: ReadonlySet<number> } {
  const asides = new Set<number>();
  if (contexts.size === 0) return { lines, asides };
  const out: Line[] = [];
  const isNear = (line: Line, others: readonly Line[]) => others.some((other) => same(other, line));
  lines.forEach((line, i) => {
    const context = contexts.get(line.n);
    const put = (all: readonly Line[], known: readonly Line[]) => {
      for (const aside of all) {
        if (isNear(aside, known)) continue;
        asides.add(aside.n);
        out.push(aside);
      }
    };
    if (context) put(context.before, out.slice(-3 * AROUND));
    out.push(line);
    if (context) put(context.after, lines.slice(i + 1, i + 1 + 3 * AROUND));
  });
  return { lines: out, asides };
}
