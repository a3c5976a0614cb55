import { expect, test } from 'vitest';
import type { AppSummary, NodeSummary } from '../api/types';
import { fuzzy } from '../lib/fuzzy';
import { entriesFor } from './commands';

const app = (id: string, wanted = 2) => ({ id, verdict: { state: 'running' }, instances: { wanted } }) as unknown as AppSummary;
const known = {
  apps: [app('/shop/api'), app('/shop/api-old', 0), app('/tools/grafana')],
  nodes: [{ id: 'n1', host: '10.0.0.11', verdict: { state: 'active' } } as unknown as NodeSummary],
  recent: [] as string[],
};
const first = (query: string, recent: string[] = []) => entriesFor(query, { ...known, recent })[0];

test('names lead to pages, whole pieces before letters', () => {
  expect(first('grafana')?.run).toEqual({ kind: 'go', href: '/services/-/tools/grafana' });
  expect(first('api')?.text).toBe('/shop/api');
  expect(first('gfn')?.text).toBe('/tools/grafana');
  expect(first('10.0')?.run).toEqual({ kind: 'go', href: '/nodes/n1' });
  expect(entriesFor('zzzz', known)).toEqual([]);
});

test('every page of the frame and every view of a service has a name', () => {
  for (const page of ['services', 'nodes', 'activity', 'deployments']) {
    expect(first(page)?.run).toEqual({ kind: 'go', href: `/${page}` });
  }
  for (const view of ['activity', 'versions', 'config', 'why']) {
    expect(first(`${view} graf`)?.run).toEqual({ kind: 'go', href: `/services/-/tools/grafana?tab=${view}` });
  }
});

test('verbs say what is done', () => {
  expect(first('logs graf')?.run).toEqual({ kind: 'go', href: '/services/-/tools/grafana?tab=logs' });
  expect(first('scale api 5')?.run).toEqual({ kind: 'scale', id: '/shop/api', to: 5 });
  expect(first('scale api 5')?.about).toBe('2 → 5');
  expect(first('scale api')?.run).toEqual({ kind: 'ask', what: 'scale', id: '/shop/api' });
  expect(first('restart grafana')?.run).toEqual({ kind: 'ask', what: 'restart', id: '/tools/grafana' });
  expect(first('stop api')?.run).toEqual({ kind: 'ask', what: 'suspend', id: '/shop/api' });
  expect(first('resume ')?.run).toEqual({ kind: 'ask', what: 'resume', id: '/shop/api-old' });
  expect(first('theme dark')?.run).toEqual({ kind: 'theme', theme: 'dark' });
  expect(first('language de')?.run).toEqual({ kind: 'language', language: 'de' });
  expect(first('resta')?.run).toEqual({ kind: 'fill', text: 'restart ' });
});

test('what was chosen last comes first', () => {
  expect(first('')?.text).toBe('Dashboard');
  expect(first('', ['app:/tools/grafana'])?.text).toBe('/tools/grafana');
  expect(first('api', ['app:/shop/api-old'])?.text).toBe('/shop/api-old');
});

test('the letters that were found are known', () => {
  expect(fuzzy('/shop/api', ['api'])?.at).toEqual([6, 7, 8]);
  expect(fuzzy('abc', ['c', 'a'])?.at).toEqual([0, 2]);
  expect(fuzzy('abc', ['ca'])).toBeUndefined();
});
