import { expect, test } from 'vitest';
import type { AppSummary, MeasuredRow } from '../api/types';
import { curve, streamsOf, thickness } from './traffic';

const series = (name: string, last: number | undefined, max = last ?? 0) => ({ name, unit: '1/s' as const, ...(last !== undefined && { last }), max, points: [null, 100] });
const row = (id: string, ...all: MeasuredRow['series']): MeasuredRow => ({ id, series: all });

test('the busiest comes first, what nobody asked is left out', () => {
  const rows = [
    row('/a', series('requests', 2), series('errors', 0.5), series('latency_p99', 12)),
    row('/b', series('requests', 90)),
    row('/quiet', series('requests', 0, 3)),
    row('/never', series('requests', 0, 0)),
    row('/none', series('errors', 1)),
  ];
  const streams = streamsOf(rows, [{ id: '/a' } as AppSummary]);
  expect(streams.map(({ id, requests, errors, p99 }) => [id, requests, errors, p99])).toEqual([
    ['/b', 90, 0, undefined], ['/a', 2, 0.5, 12], ['/quiet', 0, 0, undefined],
  ]);
  expect(streams.map(({ app }) => app?.id)).toEqual([undefined, '/a', undefined]);
});

test('more requests are never thinner', () => {
  const widths = [0, 0.1, 1, 10, 100, 1_000, 1e9].map(thickness);
  expect(widths).toEqual([...widths].sort((a, b) => a - b));
  expect(Math.max(...widths)).toBeLessThanOrEqual(14);
});

test('streams leave the door side by side and end in the middle of their row', () => {
  const ends = [0, 1, 2].map((at) => curve(at, 3, 100, 40).split(' ').at(-1));
  expect(ends).toEqual(['20', '60', '100']);
  const starts = [0, 1, 2].map((at) => Number(/^M0 ([\d.]+)/.exec(curve(at, 3, 100, 40))?.[1]));
  expect(starts).toEqual([...starts].sort((a, b) => a - b));
  expect((starts[0] ?? 0) + (starts[2] ?? 0)).toBeCloseTo(120);
});
