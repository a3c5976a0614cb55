import { expect, test } from 'vitest';
import { isAt, linkTo, read, written } from './address';
import { type Context, interleaved } from './context';
import { outline, partOf, parts } from './histogram';
import { type Line, made } from './line';
import { attemptOf, hue, nameOf, sign, taskParts } from './names';
import { asText, fileName } from './save';

const at = (s: number) => new Date(s * 1_000).toISOString();
const lines = (...rows: [s: number, text: string, stream?: 'stderr'][]): Line[] =>
  made(rows.map(([s, text, stream], offset) => ({ at: at(s), task: 'web.instance-0123456789._app.2', stream: stream ?? 'stdout', offset, text })));

test('the address says what is looked at, and nothing else of it is believed', () => {
  const search = new URLSearchParams('tab=logs&task=t&file=stdin&level=warn,nope,error&at=never&line=a~stdout~7&grep=x&case=true&all=true');
  expect(read(search)).toEqual({
    task: 't', stream: '', grep: 'x', cased: true, all: true, previous: false, levels: ['error', 'warn'], at: undefined, line: undefined,
  });
  const back = written(search, { task: '', file: 'stderr', previous: true, all: false });
  expect(read(back)).toMatchObject({ task: '', stream: 'stderr', previous: true, all: false, grep: 'x' });
  expect(back.get('tab')).toBe('logs');
  for (const line of ['a~stdin~7', 'a~stdout~x', '~stdout~1', 'a']) {
    expect(read(new URLSearchParams({ at: at(1), line })).line, line).toBeUndefined();
  }
});

test('a link leads to the line again', () => {
  const [line] = lines([5, 'here']) as [Line];
  const { at: moment, line: place } = read(linkTo(new URLSearchParams('tab=logs'), line) ?? new URLSearchParams());
  expect(moment).toBe(5_000);
  expect(place && isAt(line, place)).toBe(true);
  expect(linkTo(new URLSearchParams(), { ...line, at: undefined as never })).toBeUndefined();
});

test('lines fall into parts of their time, trouble apart', () => {
  const all = parts(lines([10, 'a'], [11, 'ERROR b'], [11.5, 'c', 'stderr'], [12, 'INFO d', 'stderr'], [106, 'e']));
  expect(all.length).toBe(96);
  expect([all[0]?.lines, all[1]?.lines, all[1]?.bad, all[2]?.bad, all.at(-1)?.lines]).toEqual([1, 2, 2, 0, 1]);
  expect([all[1]?.first, all[50]?.first, all[95]?.first], 'an empty part leads to the next line').toEqual([1, 4, 4]);
  expect([partOf(all, 0), partOf(all, 1)]).toEqual([0, 1]);
  expect(outline(all, (part) => part.bad)).toMatch(/^M1 1V0\.000h\.86V1z$/);
  expect([parts(lines([1, 'a'], [1, 'b'])), parts([])]).toEqual([[], []]);
});

test('names, hues and signs are those of the instance, whatever its attempt', () => {
  const now = 'shop_web.instance-0123456789ab._app.3';
  const before = attemptOf(now, 2);
  expect(before).toBe('shop_web.instance-0123456789ab._app.2');
  expect([taskParts(now)?.instance, taskParts('strange')]).toEqual(['shop_web.instance-0123456789ab', undefined]);
  expect([hue(now), sign(now)]).toEqual([hue(before), sign(before)]);
  expect(hue(now)).not.toBe(hue('shop_web.instance-9876543210ab._app.3'));
  const present = new Set([now]);
  expect([nameOf(now, present), nameOf(before, present)]).toEqual(['01234567', '01234567 #2']);
});

test('what is around a line stands in its place, once', () => {
  const [a, b, c, d, e] = lines([1, 'a'], [2, 'b'], [3, 'c'], [4, 'd'], [5, 'e']) as [Line, Line, Line, Line, Line];
  const again = lines([1, 'a'], [2, 'b'], [3, 'c'], [4, 'd'], [5, 'e']) as [Line, Line, Line, Line, Line];
  const contexts = new Map<number, Context>([[c.n, { before: [again[0], again[1]], after: [again[3], again[4]] }]]);
  const { lines: all, asides } = interleaved([a, c, e], contexts);
  expect(all.map((line) => line.text)).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect([...asides]).toEqual([again[1].n, again[3].n]);
  expect([b.text, d.text]).toEqual(['b', 'd']);
  expect(interleaved([a, c], new Map()).lines.length).toBe(2);
});

test('what is saved says when, whose, which stream, without colours', () => {
  const [line] = lines([5, '\u001b[31mred\u001b[0m', 'stderr']) as [Line];
  expect(asText([line], () => '01234567')).toBe('1970-01-01T00:00:05.000Z 01234567 stderr red\n');
  expect(asText([line], undefined)).toBe('1970-01-01T00:00:05.000Z stderr red\n');
  expect([fileName('web', '01234567 #2', 'stdout'), fileName('../x', '', 'y')]).toEqual(['web-01234567_2-stdout.log', 'x-y.log']);
});
