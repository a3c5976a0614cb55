import { expect, test } from 'vitest';
import { containerLook } from './status';

test('a container is told by its own check, and what has ended by its end', () => {
  const told = (condition: 'running' | 'finished' | 'failed' | 'killed', healthy?: boolean) =>
    containerLook({ name: 'c', task_id: 't', since: '', condition, ...(healthy === undefined ? {} : { healthy }) });
  expect(told('running').word).toBe('Running');
  expect(told('running', true).word).toBe('Healthy');
  expect(told('running', false)).toMatchObject({ tone: 'bad', word: 'Unhealthy' });
  expect(told('finished').word).toBe('Finished');
  expect(told('failed').tone).toBe('bad');
  expect(told('killed').word).toBe('Stopped');
});
