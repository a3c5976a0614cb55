import { describe, expect, it } from 'vitest';
import type { LogLine } from '../api/types';
import { followed, type Held, isApart, joined, LINES_MAX, NOTHING, preceded, since } from './held';
import { type Line, made } from './line';

/** 200,000 lines take their time on a busy machine. */
const SLOW_MS = 60_000;
const at = (s: number) => new Date(s * 1_000).toISOString();
const row = (s: number, text = `line ${s}`, more: Partial<LogLine> = {}): LogLine => ({ at: at(s), task: 't', stream: 'stdout', offset: s * 10, text, ...more });
const lines = (...rows: LogLine[]): Line[] => made(rows);
const texts = (held: Held) => held.lines.map((line) => line.text);

describe('lines', () => {
  it('join without a gap or a double, late ones in their place', () => {
    const held: Held = { lines: lines(row(1), row(8), row(10)) };
    expect(since(held)).toBe(at(8));
    const next = joined(held, lines(row(8), row(9, 'late'), row(10), row(11)));
    expect(texts(next)).toEqual(['line 1', 'line 8', 'late', 'line 10', 'line 11']);
    expect(joined(next, lines(row(8), row(9, 'late')))).toBe(next);
    expect(next.lines[0], 'what is known stays the same thing').toBe(held.lines[0]);
    expect(since(NOTHING)).toBeUndefined();
  });

  it('of one moment keep their order, and are told apart by task, stream and place', () => {
    const held: Held = { lines: lines(row(1, 'a', { offset: 1 }), row(1, 'a', { offset: 3 }), row(2)) };
    const fresh = lines(row(1, 'a', { offset: 1, task: 'u' }), row(1, 'a', { offset: 3 }), row(1, 'a', { offset: 3, stream: 'stderr' }));
    expect(joined(held, fresh).lines.map((line) => `${line.task} ${line.stream} ${line.offset}`)).toEqual([
      't stdout 1', 't stdout 3', 'u stdout 1', 't stderr 3', 't stdout 20',
    ]);
  });

  it('that have not ended are told again in their place', () => {
    const held: Held = { lines: lines(row(1), row(2, 'unfin', { partial: true }), row(3)) };
    const next = joined(held, lines(row(2, 'unfinished')));
    expect(texts(next)).toEqual(['line 1', 'unfinished', 'line 3']);
    expect(next.lines[1]?.n, 'it is the same line').toBe(held.lines[1]?.n);
    expect(next.lines[1]?.partial).toBe(false);
  });

  it('without a time stand where they came', () => {
    const timeless = { ...row(0, 'old agent'), at: undefined as never };
    const held = joined({ lines: lines(row(1)) }, made([timeless, row(2)], 1_000));
    expect(texts(held)).toEqual(['line 1', 'old agent', 'line 2']);
  });

  it('have pages on both sides', () => {
    const held: Held = { lines: lines(row(5)), before: at(5), after: at(6) };
    const older = preceded(held, lines(row(3), row(4)), at(3));
    expect([texts(older).length, older.before, older.after]).toEqual([3, at(3), at(6)]);
    const all = followed(older, lines(row(6)), undefined);
    expect([texts(all).at(-1), all.before, all.after]).toEqual(['line 6', at(3), undefined]);
  });

  it('have a bound at the end the reader is not at, and what left is asked for again', () => {
    const many = made(Array.from({ length: LINES_MAX }, (_, i) => row(i)));
    const next = joined({ lines: many }, lines(row(LINES_MAX), row(LINES_MAX + 1)));
    expect([next.lines.length, next.lines[0]?.text, next.after]).toEqual([LINES_MAX, 'line 2', undefined]);
    expect(next.before, 'with the rest of its moment').toBe(new Date(2_001).toISOString());
    const back = preceded({ lines: many }, made([row(-2), row(-1)]), undefined);
    expect([back.lines.length, back.lines[0]?.text, back.after]).toEqual([LINES_MAX, 'line -2', at(LINES_MAX - 3)]);
  }, SLOW_MS);

  it('have a bound of characters', () => {
    const long = 'x'.repeat(60_000);
    const held = joined(NOTHING, made(Array.from({ length: 1_000 }, (_, i) => row(i, long))));
    expect(held.lines.length).toBeLessThan(900);
    expect(held.lines.at(-1)?.offset).toBe(9_990);
  });

  it('are known to have a gap before an answer that does not reach back to them', () => {
    const held: Held = { lines: lines(row(5)) };
    const answer = (before?: string) => ({ lines: [], streams: [], searched_bytes: 0, ...(before && { before }) });
    expect([isApart(held, answer()), isApart(held, answer(at(4))), isApart(held, answer(at(9)))]).toEqual([false, false, true]);
  });
});
