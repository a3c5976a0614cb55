import { describe, expect, test } from 'vitest';
import type { Instance } from '../api/types';
import { remaining, rolloutRows } from './rollout';
import { grouped, moved, tally } from './waffle';

const NOW = Date.parse('2026-11-28T22:00:00Z');
const ago = (s: number) => new Date(NOW - s * 1000).toISOString();

function instance(id: string, more: Partial<Instance> = {}): Instance {
  return {
    id,
    app_id: '/web',
    condition: 'running',
    verdict: { state: 'running', tone: 'good', sentence: 'is up' },
    since: ago(600),
    launched_at: ago(605),
    started_at: ago(600),
    version: 'old',
    ports: [],
    ip_addresses: [],
    health: [],
    restarts: 0,
    cpus: 1,
    mem_mb: 64,
    disk_mb: 0,
    gpus: 0,
    ...more,
  };
}

describe('squares', () => {
  test('are counted by what they say, the worst first', () => {
    const all = [instance('a'), instance('b', { verdict: { state: 'unhealthy', tone: 'bad', sentence: 'fails its health check' } }), instance('c')];
    expect(tally(all).map(({ look, n }) => [look.word, n])).toEqual([['Unhealthy', 1], ['Running', 2]]);
  });

  test('keep the order of their nodes', () => {
    const all = [instance('c', { host: 'n10' }), instance('b', { host: 'n9' }), instance('a', { host: 'n10' })];
    expect(grouped(all, false)[0]?.instances.map(({ id }) => id)).toEqual(['b', 'a', 'c']);
    const nodes = grouped([...all, instance('d')], true).map(({ name, instances }) => [name, instances.length]);
    expect(nodes).toEqual([['no place yet', 1], ['n9', 1], ['n10', 2]]);
  });

  test('are walked by arrows and never left', () => {
    expect(moved('ArrowDown', 1, 10, 4)).toBe(5);
    expect(moved('ArrowDown', 8, 10, 4)).toBe(9);
    expect(moved('ArrowUp', 1, 10, 4)).toBe(0);
    expect(moved('End', 0, 10, 4)).toBe(9);
    expect(moved('x', 0, 10, 4)).toBeUndefined();
  });
});

describe('a rollout', () => {
  const from = NOW - 60_000;
  const rows = (all: Instance[]) =>
    rolloutRows(all, from, NOW).map(({ instance, segments }) => [
      instance.id,
      ...segments.map(({ phase, from, to }) => `${phase} ${(to - from) / 1000}`),
    ]);

  test('shows what each newcomer went through', () => {
    const check = { alive: true, consecutive_failures: 0 };
    const all = [
      instance('ready', {
        launched_at: ago(50),
        started_at: ago(40),
        healthy_since: ago(30),
        health: [check],
      }),
      instance('checked', { launched_at: ago(20), started_at: ago(15), pending: 'no result yet' }),
      instance('pulling', { launched_at: ago(5), started_at: undefined, condition: 'staging' }),
      instance('waits', { launched_at: undefined, started_at: undefined, condition: 'scheduled' }),
    ];
    expect(rows(all)).toEqual([
      ['ready', 'placed 10', 'check 10', 'ready 30'],
      ['checked', 'placed 5', 'check 15'],
      ['pulling', 'placed 5'],
      ['waits'],
    ]);
  });

  test('shows those of before below, as long as they were there', () => {
    const all = [
      instance('stays', { outdated: true }),
      instance('goes', { outdated: true, condition: 'killing', since: ago(10) }),
      instance('gone', { outdated: true, condition: 'killed', since: ago(20) }),
      instance('long gone', { outdated: true, condition: 'killed', since: ago(300) }),
    ];
    expect(rows(all)).toEqual([
      ['goes', 'old 50', 'leaving 10'],
      ['gone', 'old 40'],
      ['stays', 'old 60'],
    ]);
  });

  test('of another number alone shows what comes or goes, and calls nothing old', () => {
    const all = [
      instance('is there'),
      instance('comes', { launched_at: ago(20), started_at: ago(15) }),
      instance('goes', { condition: 'killing', since: ago(10) }),
    ];
    expect(rows(all)).toEqual([['comes', 'placed 5', 'ready 15'], ['goes', 'ready 50', 'leaving 10']]);
  });

  test('goes on with what was not ready when it began', () => {
    const all = [instance('checked', { launched_at: ago(100), started_at: ago(90), pending: 'no result yet' })];
    expect(rows(all)).toEqual([['checked', 'check 60']]);
  });

  test('tells what is left at the pace so far', () => {
    expect(remaining(1, 4, from, NOW)).toBe(180_000);
    expect(remaining(0, 4, from, NOW)).toBeUndefined();
    expect(remaining(4, 4, from, NOW)).toBeUndefined();
  });
});
