import { describe, expect, it } from 'vitest';
import type { HistoryRecord } from '../api/types';
import { behind, folded, preceded } from './past';

function record(n: number, of: string, kind: HistoryRecord['kind'], bad = false): HistoryRecord {
  return { cursor: `${n}-1`, at: '2026-11-22T13:14:11.042Z', kind, of, text: '', bad };
}

describe('folded', () => {
  it('puts the attempts of a crash loop into one row, until something else happens to its service', () => {
    const rows = folded([
      record(9, '/a', 'attempt', true),
      record(8, '/b', 'change'),
      record(7, '/a', 'attempt', true),
      record(6, '/a', 'change'),
      record(5, '/a', 'attempt', true),
      record(4, '/a', 'attempt'),
    ]);
    expect(rows.map((row) => row.records.map((r) => r.cursor))).toEqual([
      ['9-1', '7-1'],
      ['8-1'],
      ['6-1'],
      ['5-1'],
      ['4-1'],
    ]);
  });

  it('keeps loops of two services apart', () => {
    const rows = folded([
      record(4, '/a', 'attempt', true),
      record(3, '/b', 'attempt', true),
      record(2, '/a', 'attempt', true),
      record(1, '/b', 'attempt', true),
    ]);
    expect(rows.map((row) => row.records.length)).toEqual([2, 2]);
  });
});

it('begins a page with the record a link names', () => {
  expect(behind('1042-3')).toBe('1042-4');
});

it('keeps so many records while it stays open, and knows where the rest goes on', () => {
  const old = { records: [record(2, '/a', 'change'), record(1, '/a', 'change')], next: undefined };
  const two = preceded(old, [record(3, '/a', 'change')], 3);
  expect([two.records.length, two.next]).toEqual([3, undefined]);
  const more = preceded(two, [record(5, '/a', 'change'), record(4, '/a', 'change')], 3);
  expect(more.records.map(({ cursor }) => cursor)).toEqual(['5-1', '4-1', '3-1']);
  expect(more.next).toBe('3-1');
});
