import { describe, expect, test } from 'vitest';
import { complete, type Language, marked, parse } from './query';

interface Row {
  name: string;
  state: string;
  tags: string[];
}
const rows: Row[] = [
  { name: '/prod/web', state: 'running', tags: ['team=blue', 'with space'] },
  { name: '/prod/api', state: 'waiting', tags: ['team=red'] },
  { name: '/test/web', state: 'waiting', tags: [] },
];
const language: Language<Row> = {
  text: (row) => row.name,
  fields: {
    is: { test: (row, value) => row.state === value, values: () => ['running', 'waiting'], closed: true },
    tag: { test: (row, value) => row.tags.some((tag) => tag.includes(value)), values: (all) => all.flatMap((row) => row.tags) },
  },
};
const found = (line: string) => rows.filter(parse(line, language).test).map((row) => row.name);

describe('what a line finds', () => {
  test.each([
    ['', ['/prod/web', '/prod/api', '/test/web']],
    ['   ', ['/prod/web', '/prod/api', '/test/web']],
    ['WEB', ['/prod/web', '/test/web']],
    ['web prod', ['/prod/web']],
    ['api OR test', ['/prod/api', '/test/web']],
    ['api | test', ['/prod/api', '/test/web']],
    ['api, test', ['/prod/api', '/test/web']],
    ['is:waiting', ['/prod/api', '/test/web']],
    ['is:waiting,running web', ['/prod/web', '/test/web']],
    ['-is:waiting', ['/prod/web']],
    ['-prod', ['/test/web']],
    ['web -(prod OR is:running)', ['/test/web']],
    ['(api OR web) prod', ['/prod/web', '/prod/api']],
    ['"prod/w"', ['/prod/web']],
    ['tag:"with space"', ['/prod/web']],
    ['tag:red,blue', ['/prod/web', '/prod/api']],
    ['a-p', []],
  ])('%s', (line, names) => expect(found(line)).toEqual(names));
});

describe('what is said of a line that is not right', () => {
  test.each([
    ['"open', 'quote', '"open'],
    ['(web', 'parenthesis', '('],
    ['web) api', 'parenthesis', ')'],
    ['nope:1', 'field', 'nope'],
    ['is:asleep', 'value', 'is:asleep'],
    ['is:', 'empty', 'is'],
  ])('%s', (line, kind, text) => expect(parse(line, language).fault).toEqual({ kind, text }));

  test('the rest of it still filters', () => {
    expect(found('is: prod')).toEqual(['/prod/web', '/prod/api']);
    expect(found('(test')).toEqual(['/test/web']);
    expect(found('test) web')).toEqual(['/test/web']);
    expect(parse('web "a b" -no', language).fault).toBeUndefined();
  });

  test('no line makes it stop or throw', () => {
    for (const line of ['((((', '))))', 'OR', 'OR OR', '- - -', '|', ',', ', ,', ':', 'a:', '"', '""', '-(', 'is:,', '-', '(OR)']) {
      expect(() => found(line), line).not.toThrow();
    }
  });
});

test('what may be marked: words that must occur, none that must not', () => {
  expect(parse('web is:running -api "x y"', language).words).toEqual(['web', 'x y']);
  expect(marked('/prod/Web-web', ['web'])).toEqual([
    { text: '/prod/', hit: false },
    { text: 'Web', hit: true },
    { text: '-', hit: false },
    { text: 'web', hit: true },
  ]);
  expect(marked('a.b(c', ['.', '('])).toHaveLength(5);
});

describe('what is offered at the caret', () => {
  test.each([
    ['i', 1, 0, ['is:']],
    ['is:', 3, 3, ['running', 'waiting']],
    ['web is:w', 8, 7, ['waiting']],
    ['is:waiting,r', 12, 11, ['running']],
    ['-t', 2, 1, ['tag:']],
    ['tag:w', 5, 4, ['"with space"']],
    ['zzz', 3, 0, []],
    ['', 0, 0, []],
  ])('%s', (line, caret, from, items) => {
    const offer = complete(line, caret, language, rows);
    expect([offer.from, offer.items]).toEqual([from, items]);
  });
});
