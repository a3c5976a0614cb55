import { expect, test } from 'vitest';
import { batch, type Outcome } from './batch';

test('each step has its own outcome, one that fails stops no other, few run at once', async () => {
  const seen = new Map<string, string[]>();
  let now = 0;
  let most = 0;
  const steps = Array.from({ length: 20 }, (_, i) => ({
    id: `${i}`,
    run: async (force: boolean) => {
      most = Math.max(most, ++now);
      await Promise.resolve();
      now -= 1;
      if (i === 3) throw new Error(force ? 'forced' : 'locked');
    },
  }));
  const tell = (id: string, outcome: Outcome) => seen.set(id, [...(seen.get(id) ?? []), outcome.kind]);
  await batch(steps, false, tell);
  expect(seen.size).toBe(20);
  for (const [id, kinds] of seen) expect(kinds, id).toEqual(['waiting', 'running', id === '3' ? 'failed' : 'done']);
  expect(most).toBe(4);
  const again: string[] = [];
  await batch([steps[3] as (typeof steps)[0]], true, (_, outcome) => again.push(outcome.kind === 'failed' ? outcome.error.message : outcome.kind));
  expect(again).toEqual(['waiting', 'running', 'forced']);
});
