import { expect, test } from 'vitest';
import { marker } from '../lib/pattern';
import { made } from './line';
import { hits, nextHit, pieces } from './marks';

const shown = (text: string, pattern: string) => pieces(text, marker(pattern)).map(({ text: piece, hit }) => (hit ? `[${piece}]` : piece)).join('|');

test('what matches is marked', () => {
  expect(shown('an Error and error', 'error')).toBe('an |[Error]| and |[error]');
  expect(pieces('Error error', marker('error', true)).filter(({ hit }) => hit).map(({ text }) => text)).toEqual(['error']);
  expect(shown('aaa', 'a')).toBe('[a]|[a]|[a]');
  expect(shown('text', 'z*')).toBe('text');
  expect(shown('text', '')).toBe('text');
});

test('colours stay, also where a match goes over their edge', () => {
  const text = '\u001b[31mred \u001b[1mbold\u001b[0m plain';
  expect(pieces(text, marker('d bo|ain$'))).toEqual([
    { text: 're', hit: false, fore: 'bad' },
    { text: 'd ', hit: true, fore: 'bad' },
    { text: 'bo', hit: true, fore: 'bad', bold: true },
    { text: 'ld', hit: false, fore: 'bad', bold: true },
    { text: ' pl', hit: false },
    { text: 'ain', hit: true },
  ]);
});

test('lines that match are found, and the way between them', () => {
  const lines = made(['one', 'two\u001b[31m red\u001b[0m', 'three', 'two'].map((text, offset) => ({ task: 't', stream: 'stdout' as const, offset, text })));
  const all = hits(lines, marker('two(?: red)?$'));
  expect(all).toEqual([1, 3]);
  expect(hits(lines, undefined)).toEqual([]);
  expect([nextHit(all, -1, 1), nextHit(all, 1, 1), nextHit(all, 3, 1), nextHit(all, 3, -1), nextHit(all, 1, -1)]).toEqual([1, 3, 1, 1, 3]);
  expect(nextHit([], 0, 1)).toBeUndefined();
});
