import { expect, test, vi } from 'vitest';
import type { PlacedInstance } from '../api/types';
import { PlacedStore } from './placed';

const row = (id: string, node_id: string, more: Partial<PlacedInstance> = {}): PlacedInstance => ({
  id, app_id: '/a', node_id, state: 'running', cpus: 1, mem_mb: 64, disk_mb: 0, ...more,
});
const ids = (store: PlacedStore, node: string) => (store.get().byNode.get(node) ?? []).map(({ id }) => id).sort();

test('rows come, move, change and go, and nodes they do not touch stay as they are', () => {
  const store = new PlacedStore();
  const told = vi.fn();
  store.subscribe(told);
  expect(store.get().loaded).toBe(false);
  store.take('snapshot', JSON.stringify({ revision: 1, at: '', instances: [row('a', 'n1'), row('b', 'n1'), row('c', 'n2'), row('d', 'n3')] }));
  expect([ids(store, 'n1'), ids(store, 'n2'), store.get().loaded]).toEqual([['a', 'b'], ['c'], true]);
  const still = store.get().byNode.get('n3');
  const instances = { set: [row('a', 'n2'), row('c', 'n2', { state: 'unhealthy' }), row('e', 'n4')], removed: ['b', 'unknown'] };
  store.take('delta', JSON.stringify({ revision: 2, at: '', instances }));
  expect(['n1', 'n2', 'n3', 'n4'].map((node) => ids(store, node))).toEqual([[], ['a', 'c'], ['d'], ['e']]);
  expect(store.get().byNode.get('n2')?.find(({ id }) => id === 'c')?.state).toBe('unhealthy');
  expect(store.get().byNode.get('n3')).toBe(still);
  store.take('heartbeat', '{}');
  expect(told).toHaveBeenCalledTimes(2);
});
