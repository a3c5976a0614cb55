import { expect, test } from 'vitest';
import { asking, charsOf, marker, places } from './pattern';

test('a pattern is asked for in any case unless case counts', () => {
  expect([asking('Err', false), asking('Err', true), asking('', false)]).toEqual(['(?i)Err', 'Err', '']);
});

test('what the browser cannot read is marked nowhere', () => {
  expect(marker('(')).toBeUndefined();
  expect(marker('')).toBeUndefined();
  expect(places('one ONE', marker('one') ?? /$/g)).toEqual([[0, 3], [4, 7]]);
  expect(places('one', /x*/g)).toEqual([]);
});

test('bytes of a match are found as characters', () => {
  expect([charsOf('abc', 2), charsOf('aé€😀z', 3), charsOf('aé€😀z', 6), charsOf('aé€😀z', 10), charsOf('a', 9)]).toEqual([2, 2, 3, 5, 1]);
});
