import { expect, test } from 'vitest';
import { applyEvent, type LiveState } from './live';

const EMPTY: LiveState = {
  phase: 'connecting',
  heardAt: 0,
  retryAt: 0,
  status: undefined,
  apps: new Map(),
  nodes: new Map(),
  deployments: new Map(),
};
const app = (id: string, running: number) => ({ id, instances: { running } });
const send = (state: LiveState, event: string, data: unknown) =>
  applyEvent(state, event, JSON.stringify(data));

test('a snapshot replaces, a delta merges, and twice is the same as once', () => {
  let state = send(EMPTY, 'snapshot', {
    status: { name: 'a' },
    apps: [app('/a', 1), app('/b', 1)],
    nodes: [{ id: 'n' }],
    deployments: [{ id: 'd' }],
  });
  const delta = { apps: { set: [app('/b', 2), app('/c', 1)], removed: ['/a'] } };
  state = send(send(state, 'delta', delta), 'delta', delta);
  expect([...state.apps.keys()].sort()).toEqual(['/b', '/c']);
  expect(state.apps.get('/b')?.instances.running).toBe(2);
  expect(state.status?.name).toBe('a');
  expect(state.deployments.size).toBe(1);
  state = send(state, 'snapshot', { status: { name: 'b' }, apps: [], nodes: [], deployments: [] });
  expect(state.apps.size + state.nodes.size + state.deployments.size).toBe(0);
});

test('maps that did not change stay the same object', () => {
  const before = send(EMPTY, 'snapshot', { apps: [app('/a', 1)], nodes: [], deployments: [] });
  const after = send(before, 'delta', { nodes: { set: [{ id: 'n' }] } });
  expect(after.apps).toBe(before.apps);
  expect(after.nodes).not.toBe(before.nodes);
  expect(send(after, 'heartbeat', {})).toBe(after);
});
