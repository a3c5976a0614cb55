import { expect, test } from 'vitest';
import { after } from './node';
import type { Instance, Node } from './types';

const task = (id: string, more: Partial<Instance> = {}) => ({ id, app_id: '/a', condition: 'running', ...more }) as Instance;
const snapshot = { id: 'n1', host: '10.0.0.1', revision: 7, tasks: [task('a', { used: { cpus: 0.5, mem_mb: 9 } }), task('b')], drain: { since: 't', until: 'u', waits: [] } };
const told = (known: Node | undefined, event: string, data: unknown) => after(known, event, JSON.stringify(data)) as Node;

test('rows are replaced, come and go, and what was measured of them stays', () => {
  const first = told(undefined, 'snapshot', snapshot);
  const next = told(first, 'delta', { revision: 8, at: 't', tasks: { set: [task('a', { condition: 'killing' }), task('c')], removed: ['b'] } });
  expect(next.tasks.map(({ id, condition }) => `${id} ${condition}`)).toEqual(['c running', 'a killing']);
  expect(next.tasks[1]?.used).toEqual({ cpus: 0.5, mem_mb: 9 });
  expect([next.revision, next.drain, next.host]).toEqual([8, undefined, '10.0.0.1']);
});

test('what is measured changes the rows it is of, and only those', () => {
  const first = told(undefined, 'snapshot', snapshot);
  const next = told(first, 'measured', { at: 't', last_seen_at: 's', used: { b: { cpus: 1, mem_mb: 2 } } });
  expect(next.tasks[0]).toBe(first.tasks[0]);
  expect([next.tasks[1]?.used, next.last_seen_at]).toEqual([{ cpus: 1, mem_mb: 2 }, 's']);
  const drains = told(next, 'delta', { revision: 9, at: 't', drain: { since: 't', until: 'u', waits: [{ app: '/a', instances: 1, reason: 'r' }] } });
  expect([drains.tasks, drains.drain?.waits.length]).toEqual([next.tasks, 1]);
});

test('without a snapshot nothing is known', () => {
  expect(after(undefined, 'delta', '{"revision":1,"at":"t"}')).toBeUndefined();
  expect(after(undefined, 'heartbeat', '{}')).toBeUndefined();
});
