import { expect, test } from 'vitest';
import { ports } from './ports';

test('ports are counted, run by run', () => {
  expect(ports('31000-32000')).toEqual({ n: 1001, ranges: [[31000, 32000]] });
  expect(ports('1025-2180,2182,8182-32000')).toEqual({ n: 1156 + 1 + 23819, ranges: [[1025, 2180], [2182, 2182], [8182, 32000]] });
  expect([ports(''), ports('x-y')]).toEqual([{ n: 0, ranges: [] }, { n: 0, ranges: [] }]);
});
