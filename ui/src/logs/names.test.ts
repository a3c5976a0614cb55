import { expect, test } from 'vitest';
import type { Instance } from '../api/types';
import { launchedOf } from './names';

test('each container of a pod has an output of its own', () => {
  const since = '2026-11-28T08:00:00.000Z';
  const app = { id: 'a.instance-1', task_id: 'a.instance-1._app.1' } as Instance;
  const containers = (['web', 'feed'] as const).map((name) => ({ name, task_id: `p.instance-2.${name}.1`, condition: 'running' as const, since }));
  const pod = { id: 'p.instance-2', task_id: 'p.instance-2.web.1', containers } as Instance;
  const waiting = { id: 'p.instance-3', containers } as Instance;
  expect(launchedOf([app, pod, waiting]).map(({ task_id, part }) => [task_id, part?.name])).toEqual([
    ['a.instance-1._app.1', undefined],
    ['p.instance-2.web.1', 'web'],
    ['p.instance-2.feed.1', 'feed'],
  ]);
});
