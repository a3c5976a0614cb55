import { expect, test, vi } from 'vitest';
import { type Changed, Store } from './store';

const app = (id: string, running = 1) => ({ id, instances: { running } });
const deployment = (id: string, started_at: string) => ({ id, started_at });

/** A store that was told of two apps, a node and a deployment. */
function told(): Store {
  const store = new Store();
  send(store, 'snapshot', {
    status: { name: 'a' },
    apps: [app('/b'), app('/a')],
    nodes: [{ id: 'n', host: 'h' }],
    deployments: [deployment('d', '2')],
  });
  return store;
}
const send = (store: Store, event: string, data: unknown) => store.take(event, JSON.stringify(data));
const changeOf = (...apps: unknown[]) => ({ apps: { set: apps, removed: [] } });

test('a snapshot replaces, a delta merges, and twice is the same as once', () => {
  const store = told();
  const { apps, nodes, deployments } = store.tables;
  const delta = { apps: { set: [app('/b', 2), app('/c')], removed: ['/a'] } };
  send(store, 'delta', delta);
  send(store, 'delta', delta);
  expect(apps.all().map(({ id }) => id)).toEqual(['/b', '/c']);
  expect(apps.get('/b')?.instances.running).toBe(2);
  expect(store.status.get()?.name).toBe('a');
  expect(deployments.all()).toHaveLength(1);
  send(store, 'snapshot', { status: { name: 'b' }, apps: [], nodes: [], deployments: [] });
  expect([apps.all(), nodes.all(), deployments.all()]).toEqual([[], [], []]);
  expect(store.status.get()?.name).toBe('b');
});

test('a change of one service wakes no listener of another, nor of anything else', () => {
  const store = told();
  const { apps, nodes } = store.tables;
  const [a, b, all, others, status] = [vi.fn(), vi.fn(), vi.fn(), vi.fn(), vi.fn()];
  apps.subscribeTo('/a', a);
  apps.subscribeTo('/b', b);
  apps.subscribe(all);
  nodes.subscribe(others);
  store.status.subscribe(status);
  send(store, 'delta', changeOf(app('/a', 2)));
  expect(a).toHaveBeenCalledTimes(1);
  expect(all.mock.calls).toEqual([[new Set(['/a'])]]);
  for (const f of [b, others, status]) expect(f).not.toHaveBeenCalled();
  send(store, 'heartbeat', {});
  expect(all).toHaveBeenCalledTimes(1);
});

test('a row that goes and one that comes wake whoever waits for them; a snapshot wakes all', () => {
  const store = told();
  const [gone, comes, none, all] = [vi.fn(), vi.fn(), vi.fn(), vi.fn()];
  store.tables.apps.subscribeTo('/a', gone);
  store.tables.apps.subscribeTo('/new', comes);
  store.tables.apps.subscribe(all);
  const stop = store.tables.apps.subscribeTo('/b', none);
  stop();
  send(store, 'delta', { apps: { set: [app('/new')], removed: ['/a'] } });
  expect([gone, comes, all].map((f) => f.mock.calls.length)).toEqual([1, 1, 1]);
  send(store, 'snapshot', { status: {}, apps: [], nodes: [], deployments: [] });
  expect([gone, comes, all].map((f) => f.mock.calls.length)).toEqual([2, 2, 2]);
  expect(all.mock.lastCall).toEqual(['all']);
  expect(none).not.toHaveBeenCalled();
});

test('whoever is woken sees the whole of an event', () => {
  const store = told();
  const seen: unknown[] = [];
  const look = () => seen.push([store.status.get()?.name, store.tables.deployments.all().length]);
  store.tables.apps.subscribe(look);
  store.status.subscribe(look);
  send(store, 'delta', {
    status: { name: 'b' },
    ...changeOf(app('/a', 2)),
    deployments: { set: [], removed: ['d'] },
  });
  expect(seen).toEqual([['b', 0], ['b', 0]]);
});

test('lists are in order, and the same array until a row of theirs changes', () => {
  const store = told();
  const { apps, deployments } = store.tables;
  const before = [apps.all(), deployments.all()];
  expect(apps.all().map(({ id }) => id)).toEqual(['/a', '/b']);
  send(store, 'delta', { deployments: { set: [deployment('e', '1')], removed: [] } });
  expect(apps.all()).toBe(before[0]);
  expect(deployments.all().map(({ id }) => id)).toEqual(['e', 'd']);
});

test('what one store tells another is all there is', () => {
  const [one, two] = [told(), new Store()];
  const changes: Changed[] = [];
  two.tables.nodes.subscribe((changed) => changes.push(changed));
  two.replace(one.everything());
  expect(two.everything()).toEqual(one.everything());
  expect(changes).toEqual(['all']);
  two.clear();
  expect(two.everything()).toEqual(new Store().everything());
});
