import { describe, expect, it } from 'vitest';
import { buckets, hue, type Line, LINES_MAX, marked, marker, NOTHING, preceded, renewed, since } from './lines';

const at = (s: number) => new Date(s * 1_000).toISOString();
const line = (s: number, text = `line ${s}`): Line => ({ at: at(s), ms: s * 1_000, task: 't', stream: 'stdout', offset: s, text });

describe('lines', () => {
  it('join without a gap or a double, late ones in their place', () => {
    const held = { lines: [line(1), line(8), line(10)], first: 0 };
    const from = since(held) ?? '';
    expect(from).toBe(at(8));
    const next = renewed(held, from, [line(8), line(9, 'late'), line(10), line(11)]);
    expect(next.lines.map((l) => l.text)).toEqual(['line 1', 'line 8', 'late', 'line 10', 'line 11']);
    expect(renewed(next, at(6), [line(8), line(9, 'late'), line(10), line(11)])).toBe(next);
    const older = preceded(next, [line(0)], at(0));
    expect([older.lines[0]?.text, older.before, older.first]).toEqual(['line 0', at(0), -1]);
    expect(since(NOTHING)).toBeUndefined();
  });

  it('have a bound, and what left is asked for again from there', () => {
    const many = Array.from({ length: LINES_MAX }, (_, i) => line(i));
    const next = renewed({ lines: many, first: 0 }, at(LINES_MAX), [line(LINES_MAX), line(LINES_MAX + 1)]);
    expect([next.lines.length, next.first, next.before]).toEqual([LINES_MAX, 2, at(2)]);
  });

  it('fall into parts of their time', () => {
    const chart = buckets([{ ...line(0), at: undefined as never, ms: Number.NaN }, line(10), { ...line(11), stream: 'stderr' }, line(106)]);
    expect(chart.length).toBe(96);
    expect([chart[0]?.stdout, chart[0]?.first, chart[1]?.stderr, chart.at(-1)?.stdout]).toEqual([1, 1, 1, 1]);
    expect(buckets([line(1), line(1)])).toEqual([]);
    expect(buckets([])).toEqual([]);
  });

  it('are marked where they match, and broken patterns mark nothing', () => {
    expect(marked('an Error and error', marker('error'))).toEqual([
      { text: 'an ', hit: false },
      { text: 'Error', hit: true },
      { text: ' and ', hit: false },
      { text: 'error', hit: true },
    ]);
    expect(marked('text', marker('z*'))).toEqual([{ text: 'text', hit: false }]);
    expect(marker('(')).toBeUndefined();
    expect(hue('a')).not.toBe(hue('b'));
  });
});
