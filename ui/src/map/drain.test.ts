import { expect, test } from 'vitest';
import type { DrainPreview, Instance } from '../api/types';
import { merged, progressOf, targetsOf } from './drain';
import { joinCommand, joined } from './join';

const fated = (id: string, to?: string, more: Partial<DrainPreview['instances'][number]> = {}): DrainPreview['instances'][number] => ({
  id, app_id: `/${id[0]}`, fate: to ? 'moves' : 'no_place', ...(to && { to_node_id: `id-${to}`, to_host: to }), ...more,
});
const preview = (...instances: DrainPreview['instances']): DrainPreview => ({ node_id: 'n', host: 'h', sentence: '', moves: 0, no_place: 0, instances });
const task = (id: string, state = 'running') => ({ id, verdict: { state } }) as Instance;

const plan = preview(
  fated('b1', '10.0.0.10'), fated('a1', '10.0.0.9'), fated('a2', '10.0.0.9', { leaves_volumes: ['pg'] }),
  fated('c1', undefined, { because: 'no memory' }), fated('c2', undefined, { because: 'no memory' }),
  fated('d1', undefined, { fate: 'ends' }),
);

test('what finds no place comes first, with each reason once; nodes follow by their names', () => {
  const targets = targetsOf(plan);
  expect(targets.map(({ fate, host, movers }) => `${fate} ${host ?? '-'} ${movers.map(({ id }) => id)}`)).toEqual([
    'no_place - c1,c2', 'moves 10.0.0.9 a1,a2', 'moves 10.0.0.10 b1', 'ends - d1',
  ]);
  expect([targets[0]?.because, targets[1]?.volumes]).toEqual([['no memory'], ['pg']]);
  expect(progressOf(targets)).toEqual({ gone: 0, all: 6 });
});

test('what is no longer on the node has left, what is ending is about to', () => {
  const targets = targetsOf(plan, [task('a1', 'stopping'), task('c1'), task('c2')]);
  const steps = Object.fromEntries(targets.flatMap(({ movers }) => movers.map(({ id, step }) => [id, step])));
  expect(steps).toEqual({ a1: 'leaving', a2: 'gone', b1: 'gone', c1: 'here', c2: 'here', d1: 'gone' });
  expect(progressOf(targets)).toEqual({ gone: 3, all: 6 });
});

test('a newer preview says where the rest goes now, and forgets nobody', () => {
  const next = merged(plan, preview(fated('c1', '10.0.0.11'), fated('z1', '10.0.0.9')));
  expect(next.instances.map(({ id, to_host }) => `${id} ${to_host ?? '-'}`)).toEqual([
    'b1 10.0.0.10', 'a1 10.0.0.9', 'a2 10.0.0.9', 'c1 10.0.0.11', 'c2 -', 'd1 -', 'z1 10.0.0.9',
  ]);
});

test('the invited node is the first that was not there before', () => {
  const node = (id: string, at: string) => ({ id, registered_at: at }) as never;
  expect(joined([node('a', '3')], new Set(['a']))).toBeUndefined();
  expect(joined([node('a', '1'), node('c', '5'), node('b', '4')], new Set(['a']))).toEqual(node('b', '4'));
});

test('a new machine joins by one line that keeps the token to itself', () => {
  const line = joinCommand({ token: 'T.x', master: 'm:5070' }, 'public-agent');
  expect(line).toContain(`'TEPUI_FLAGS="--role public-agent"' 'TEPUI_MASTERS=m:5070' 'TEPUI_JOIN_TOKEN=T.x'`);
  expect(line).toContain('install -m 600');
});
