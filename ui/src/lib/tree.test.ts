import { expect, test } from 'vitest';
import type { AppSummary } from '../api/types';
import { changedAt, flat, instancesOf, type Line, lineKey, sum, tree } from './tree';
import { byName } from './format';

function app(id: string, condition = 'running', running = 1): AppSummary {
  const instances = { wanted: running, running, healthy: 0, unhealthy: 0, staging: 0, starting: 0, stopping: 1 };
  const verdict = { state: condition, tone: condition === 'running' ? 'good' : 'bad', sentence: condition };
  return { id, condition, verdict, instances, cpus: 0.5, version: `2026-01-0${running}` } as unknown as AppSummary;
}
const apps = [app('/b'), app('/a/x/one', 'running', 2), app('/a/x/two', 'unhealthy', 3), app('/a/y'), app('/a')];
const names = (a: Line, b: Line) => byName(a.id, b.id);
const keys = (open: string[]) => tree(apps, (group) => open.includes(group), names).map((line) => `${'·'.repeat(line.level)}${lineKey(line)}`);

test('groups stand for what is below them until they are opened', () => {
  expect(keys([])).toEqual(['/a/', '/a', '/b']);
  expect(keys(['/a'])).toEqual(['/a/', '·/a/x/', '·/a/y', '/a', '/b']);
  expect(keys(['/a', '/a/x'])).toEqual(['/a/', '·/a/x/', '··/a/x/one', '··/a/x/two', '·/a/y', '/a', '/b']);
  // A group that is open below a closed one is not seen.
  expect(keys(['/a/x'])).toEqual(['/a/', '/a', '/b']);
});

test('a group of one, and one that only holds another, have no line of their own', () => {
  const few = [app('/p/q/one'), app('/p/q/two'), app('/solo/deep/x')];
  const lines = tree(few, () => true, names);
  expect(lines.map(({ kind, name, level }) => [kind, name, level])).toEqual([
    ['group', 'p/q', 0],
    ['app', 'one', 1],
    ['app', 'two', 1],
    ['app', 'solo/deep/x', 0],
  ]);
});

test('a group counts its services, its instances and its trouble', () => {
  const [group] = tree(apps, () => false, names);
  if (group?.kind !== 'group') throw new Error('no group');
  expect([group.members.length, group.troubled, group.worst.id]).toEqual([3, 1, '/a/x/two']);
  expect(instancesOf(group)).toEqual({ wanted: 6, running: 6, healthy: 0, unhealthy: 0, staging: 0, starting: 0, stopping: 3 });
  expect(sum(group, (one) => one.cpus)).toBe(1.5);
  expect(changedAt(group)).toBe('2026-01-03');
});

test('a line is the same as long as it tells the same of the same row', () => {
  const [one] = flat(apps);
  expect(flat([...apps])[0]).toBe(one);
  const changed = apps.map((row) => (row.id === '/b' ? { ...row } : row));
  expect(flat(changed)[0]).not.toBe(one);
  expect(flat(changed)[1]).toBe(flat(apps)[1]);
  // Below its group it is called otherwise.
  const below = tree(apps, () => true, names).find((line) => line.id === '/a/y');
  expect(below?.name).toBe('y');
  expect(flat(apps)[3]?.name).toBe('/a/y');
});
