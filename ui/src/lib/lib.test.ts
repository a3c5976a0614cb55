import { describe, expect, test } from 'vitest';
import type { AppSummary, Instance } from '../api/types';
import { matches } from './filter';
import { appHref, byName, cpus, duration, mebibytes, percent, shortTask, splitId } from './format';
import { returnOf } from '../shell/comeback';
import { fromOldLink } from './oldlinks';

const app = {
  id: '/prod/web',
  condition: 'waiting',
  verdict: { state: 'waiting', tone: 'attention', sentence: 'nothing has room' },
  image: 'nginx:1',
  labels: { team: 'Blue' },
  instances: { wanted: 2, running: 1, healthy: 1, unhealthy: 0, staging: 0 },
} as unknown as AppSummary;

describe('filter', () => {
  test.each([
    ['', true],
    ['web', true],
    ['WEB nginx', true],
    ['web redis', false],
    ['is:waiting', true],
    ['is:running', false],
    ['is:running,waiting', true],
    ['is:attention prod', true],
    ['is:healthy', true],
    ['label:team=blue', true],
    ['label:red', false],
  ])('%s', (query, wanted) => expect(matches(app, query)).toBe(wanted));
});

describe('old links', () => {
  test.each([
    ['#/dashboard', '/'],
    ['#/services/overview', '/services'],
    ['#/services/overview/%2Fprod', '/services?q=%2Fprod'],
    ['#/services/overview?q=is%3Arunning', '/services?q=is%3Arunning'],
    ['#/services/detail/%2Fprod%2Fweb', '/services/-/prod/web'],
    ['#/services/detail/%2Fprod%2Fweb/tasks', '/services/-/prod/web'],
    ['#/services/detail/%2Fprod%2Fweb/debug', '/services/-/prod/web?tab=why'],
    ['#/services/detail/%2Fweb/configuration', '/services/-/web?tab=config'],
    ['#/services/detail/%2Fweb/tasks/web.1/logs', '/services/-/web?tab=logs&task=web.1'],
    ['#/nodes/agents/table', '/nodes'],
    ['#/nodes/abc-S1/tasks', '/nodes/abc-S1'],
    ['#/jobs/overview', '/missing?old=jobs'],
    ['#/components/dcos-mesos-master.service', '/cluster'],
    ['#/cluster/overview', '/cluster'],
    ['#/organization/users', '/users'],
    ['#/settings/repositories', '/missing?old=settings'],
    ['#/unknown', '/'],
    ['#%', undefined],
    ['', undefined],
  ])('%s', (hash, wanted) => expect(fromOldLink(hash)).toBe(wanted));
});

test('names with numbers stand in the order of the numbers', () => {
  const names = ['/web-10', '/web-2', '/App', '/web', '/app-1'];
  expect(names.sort(byName)).toEqual(['/App', '/app-1', '/web', '/web-2', '/web-10']);
});

test('numbers and names as a reader sees them', () => {
  expect(cpus(0.30000000000000004)).toBe('0.3');
  expect([mebibytes(0), mebibytes(512), mebibytes(1536), mebibytes(262_144)]).toEqual([
    '0 MiB',
    '512 MiB',
    '1.5 GiB',
    '256 GiB',
  ]);
  expect([percent(1, 0), percent(1, 1000), percent(1, 2)]).toEqual(['–', '<1 %', '50 %']);
  expect([duration(-5), duration(61_000), duration(7_200_000), duration(2e8)]).toEqual([
    '0 s',
    '1 min',
    '2 h',
    '2 d',
  ]);
  expect(splitId('/prod/web')).toEqual({ path: '/prod/', name: 'web' });
  expect(appHref('/a b/c', 'logs')).toBe('/services/-/a%20b/c?tab=logs');
  const task = { id: 'x', task_id: 'prod_web.instance-0c3f9d1e-1111-2222-3333-444455556666._app.1' };
  expect(shortTask(task as Instance)).toBe('0c3f9d1e');
});

describe('the way back after sign-in', () => {
  const to = (url: string) => `#/login?redirect=${encodeURIComponent(url)}`;
  test.each([
    [to('http://a:1/service/x/?q=1#y'), '/service/x/?q=1#y'],
    [to('/service/x/'), '/service/x/'],
    [to('http://evil/service/x/'), undefined],
    [to('//evil/'), undefined],
    [to('javascript:alert(1)'), undefined],
    ['#/login', undefined],
    ['#/dashboard?redirect=/x', undefined],
  ])('%s', (hash, wanted) => expect(returnOf(hash, 'http://a:1')).toBe(wanted));
});
