import { expect, test } from 'vitest';
import { paceOf, strategyOf } from './pace';

test('bounds are told as a number at a time', () => {
  expect(paceOf(5, {})).toEqual({ atOnce: 5, newFirst: true });
  expect(paceOf(5, { minimumHealthCapacity: 0.5, maximumOverCapacity: 0 })).toEqual({ atOnce: 2, newFirst: false });
  expect(paceOf(4, { minimumHealthCapacity: 0.5, maximumOverCapacity: 0.25 })).toEqual({ atOnce: 3, newFirst: true });
  // Nothing could move: one more is allowed.
  expect(paceOf(3, { minimumHealthCapacity: 1, maximumOverCapacity: 0 })).toEqual({ atOnce: 1, newFirst: true });
  expect(paceOf(3, { minimumHealthCapacity: 0, maximumOverCapacity: 0 })).toEqual({ atOnce: 3, newFirst: false });
});

test('a number at a time becomes bounds that come to it again', () => {
  const wrong: string[] = [];
  for (let n = 1; n <= 200; n++) {
    for (let atOnce = 1; atOnce <= n; atOnce++) {
      for (const newFirst of [true, false]) {
        const back = paceOf(n, strategyOf(n, { atOnce, newFirst }));
        if (back.atOnce !== atOnce || back.newFirst !== newFirst) wrong.push(`${atOnce} of ${n}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});
