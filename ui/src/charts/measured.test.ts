import { expect, test } from 'vitest';
import type { Measured } from '../api/types';
import { latest, merge, valuesOf } from './measured';

const START = Date.parse('2026-11-28T22:00:00Z');
const at = (step: number) => new Date(START + step * 10_000).toISOString();

function part(first: number, values: (number | null)[], name = 'cpus_used', marks: number[] = []): Measured {
  return {
    of: 'service:/web',
    range: '1h',
    start: at(first),
    step_s: 10,
    series: [{ name, unit: 'cpus', values }],
    marks: marks.map((step) => ({ at: at(step), kind: 'version' })),
  };
}

test('what came since goes behind what is known, and the later word counts', () => {
  const whole = merge(part(0, [1, 2, 3]), part(2, [4, 5]), 100);
  expect(valuesOf(whole, 'cpus_used')).toEqual([1, 2, 4, 5]);
  expect(whole.start).toBe(at(0));
});

test('no more than the range is kept', () => {
  const whole = merge(part(0, [1, 2, 3], 'cpus_used', [0, 2]), part(2, [4, 5], 'cpus_used', [2, 3]), 3);
  expect(valuesOf(whole, 'cpus_used')).toEqual([2, 4, 5]);
  expect(whole.start).toBe(at(1));
  expect(whole.marks?.map((mark) => mark.at)).toEqual([at(2), at(3)]);
});

test('a series that is new, or that ended, has gaps', () => {
  const whole = merge(part(0, [1, 2]), part(1, [7, 8], 'restarts'), 100);
  expect(valuesOf(whole, 'cpus_used')).toEqual([1, null, null]);
  expect(valuesOf(whole, 'restarts')).toEqual([null, 7, 8]);
});

test('after a long sleep, or of another grid, only the news count', () => {
  const news = part(50, [1, 2]);
  expect(merge(part(0, [1, 2]), news, 3)).toBe(news);
  const other = { ...part(1, [1]), step_s: 60 };
  expect(merge(part(0, [1, 2]), other, 100)).toBe(other);
});

test('the latest is no gap', () => {
  expect(latest([1, 2, null])).toBe(2);
  expect(latest([null])).toBeUndefined();
  expect(latest(undefined)).toBeUndefined();
});
