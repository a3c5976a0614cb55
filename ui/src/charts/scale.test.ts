import { describe, expect, test } from 'vitest';
import { areaPath, bars, greatest, linePath, roundUp, runs, stepAt, timeTicks } from './scale';

describe('the end of an axis', () => {
  test.each([
    [0, false, 1],
    [0.37, false, 0.5],
    [0.75, false, 1],
    [1, false, 1],
    [2.2, false, 2.5],
    [149, false, 200],
    [384, true, 384],
    [385, true, 512],
    [98_304, true, 98_304],
  ])('%d ends at a round number', (max, binary, end) => {
    expect(roundUp(max, binary)).toBeCloseTo(end);
  });

  test('is never below what is drawn', () => {
    for (let max = 0.013; max < 1e7; max *= 1.37) {
      for (const binary of [false, true]) {
        expect(roundUp(max, binary)).toBeGreaterThanOrEqual(max * 0.999);
        expect(roundUp(max, binary)).toBeLessThanOrEqual(max * 2.6);
      }
    }
  });
});

describe('paths', () => {
  test('break at gaps, and a number alone is a dot', () => {
    const values = [0, 1, null, null, 2, null];
    expect(runs(values)).toEqual([[0, 1], [4, 4]]);
    expect(linePath(values, 2, 50, 10)).toBe('M0 10L10 5M40 0h.1');
  });

  test('of areas end on the ground', () => {
    expect(areaPath([null, 1, 2], 2, 20, 10)).toBe('M10 10L10 5L20 0L20 10Z');
  });

  test('of nothing are empty', () => {
    expect(linePath([null, null], 1, 10, 10)).toBe('');
    expect(greatest([null], [])).toBe(0);
  });
});

test('a place is the nearest step', () => {
  expect([-5, 0, 49, 51, 100, 400].map((x) => stepAt(x, 3, 100))).toEqual([0, 0, 1, 1, 2, 2]);
  expect(stepAt(5, 3, 0)).toBe(2);
});

test('times are round and few', () => {
  const from = Date.parse('2026-11-28T22:47:10Z');
  const ticks = timeTicks(from, from + 3_600_000, 6);
  expect(ticks).toHaveLength(6);
  for (const at of ticks) expect(at % 600_000).toBe(0);
  expect(timeTicks(from, from + 86_400_000, 6).length).toBeLessThanOrEqual(7);
});

test('bars hold the sum of their steps', () => {
  expect(bars([1, null, 2, null, null, 4], 2)).toEqual([1, 2, 4]);
  expect(bars([null, null, 3], 2)).toEqual([null, 3]);
});
