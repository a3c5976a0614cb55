import { expect, test } from 'vitest';
import { type Line, made } from './line';
import { layout, measured, ROW_PX, rowAt, rows } from './window';

const lines = (...widths: number[]): Line[] =>
  made(widths.map((width, i) => ({ at: new Date(i).toISOString(), task: 't', stream: 'stdout' as const, offset: i, text: 'x'.repeat(width) })));

test('heights are guessed by the length until a row was seen', () => {
  const shape = { columns: 10 };
  const all = lines(0, 10, 11, 95);
  expect([...layout(all, shape)].map((px) => px / ROW_PX)).toEqual([0, 1, 2, 4, 14]);
  expect(measured(all[2] as Line, shape, 3 * ROW_PX)).toBe(true);
  expect(measured(all[2] as Line, shape, 3 * ROW_PX), 'the same is no news').toBe(false);
  expect([...layout(all, shape)].map((px) => px / ROW_PX)).toEqual([0, 1, 2, 5, 15]);
  expect([...layout(all, { columns: 20 })].map((px) => px / ROW_PX), 'of another width nothing is known').toEqual([0, 1, 2, 3, 8]);
  expect([...layout(all, {})].map((px) => px / ROW_PX), 'without wrapping all are one row').toEqual([0, 1, 2, 3, 4]);
});

test('a row is found at each height', () => {
  const tops = layout(lines(5, 25, 5), { columns: 10 });
  const at = (y: number) => rowAt(tops, y * ROW_PX);
  expect([-1, 0, 0.9, 1, 3.9, 4, 4.9, 99].map(at)).toEqual([0, 0, 0, 1, 1, 2, 2, 2]);
  expect(rowAt(layout([], {}), 5)).toBe(0);
});

test('few rows are drawn of many, and small moves draw the same ones', () => {
  const tops = layout(lines(...Array.from({ length: 100_000 }, () => 5)), {});
  const height = 600;
  const [from, to] = rows(tops, 50_000 * ROW_PX, height);
  expect(from).toBeLessThanOrEqual(50_000 - 20);
  expect(to).toBeGreaterThanOrEqual(50_000 + height / ROW_PX + 20);
  expect(to - from).toBeLessThan(140);
  const moves = new Set(Array.from({ length: 64 }, (_, i) => rows(tops, (50_000 + i) * ROW_PX, height).join()));
  expect(moves.size).toBeLessThan(12);
  expect(rows(tops, 0, height)[0]).toBe(0);
  expect(rows(tops, 1e9, height)[1]).toBe(100_000);
  expect(rows(layout([], {}), 0, height)).toEqual([0, 0]);
});
