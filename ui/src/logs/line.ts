// A line as the page holds it: what the cluster told, and what was found out about it once.
import type { LogLine } from '../api/types';
import { plain } from '../lib/ansi';
import { type Level, levelOf } from './level';

/** All fields are always there: objects of one shape, of which 100,000 are cheap. */
export interface Line {
  at: string | undefined;
  task: string;
  stream: LogLine['stream'];
  offset: number;
  partial: boolean;
  cut: boolean;
  text: string;
  /** Its number in this page, which it keeps. */
  n: number;
  /** Its time for sorting; without one, that of the line before it. */
  ms: number;
  level: Level;
  /** Characters it takes where it is shown. */
  width: number;
  /** What was measured or looked for last, and for what. */
  height: number;
  heightOf: object | undefined;
  hit: boolean;
  hitOf: RegExp | undefined;
}

let numbers = 0;

/** Lines of an answer, those without a time in the place where they came. */
export function made(rows: readonly LogLine[], from = 0): Line[] {
  let ms = from;
  return rows.map(({ at, task, stream, offset, partial = false, cut = false, text }) => {
    if (at) ms = Date.parse(at);
    const shown = plain(text);
    numbers += 1;
    const [n, level, width] = [numbers, levelOf(shown), shown.length];
    return { at, task, stream, offset, partial, cut, text, n, ms, level, width, height: 0, heightOf: undefined, hit: false, hitOf: undefined };
  });
}

/** Where a line stands: what tells it apart from all others. */
type Where = Pick<Line, 'at' | 'task' | 'stream' | 'offset'>;

/** Whether two answers tell of the same line. */
export function same(a: Where, b: Where): boolean {
  return a.offset === b.offset && a.at === b.at && a.stream === b.stream && a.task === b.task;
}

/** Whether a line matches, looked at once for each pattern. */
export function isHit(line: Line, by: RegExp | undefined): boolean {
  if (!by) return false;
  if (line.hitOf !== by) {
    by.lastIndex = 0;
    line.hit = by.test(plain(line.text));
    line.hitOf = by;
  }
  return line.hit;
}
