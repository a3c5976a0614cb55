// Whose line it is: the part of a task's id that tells it apart, a hue and a sign of its own.
import type { Container, Instance } from '../api/types';
import { shortTask } from '../lib/format';
import { hash } from '../lib/hash';

/** What an id of a task is made of: `<instance>.<container>.<attempt>`. */
export function taskParts(task: string): { instance: string; container: string; attempt: number } | undefined {
  const match = /^(.+)\.([^.]+)\.(\d+)$/.exec(task);
  return match ? { instance: match[1] ?? '', container: match[2] ?? '', attempt: Number(match[3]) } : undefined;
}

/** The same instance's task of another attempt. */
export function attemptOf(task: string, attempt: number): string {
  const parts = taskParts(task);
  return parts ? `${parts.instance}.${parts.container}.${attempt}` : task;
}

/** A hue of its own for each instance, the same on every visit. */
export function hue(task: string): number {
  return ofInstance(task) % 360;
}

const SIGNS = ['●', '■', '▲', '◆', '▼', '★', '✚', '○', '□', '△', '◇', '▽'];

/** A sign of its own, for who cannot tell hues apart. */
export function sign(task: string): string {
  return SIGNS[(ofInstance(task) >>> 9) % SIGNS.length] ?? '';
}

const ofInstance = (task: string) => hash(taskParts(task)?.instance ?? task);

/** A task's short name; of an attempt before the present one with its number. */
export function nameOf(task: string, present: ReadonlySet<string>): string {
  const short = shortTask({ task_id: task } as Instance);
  const parts = taskParts(task);
  const name = parts && parts.container !== '_app' ? `${short} ${parts.container}` : short;
  return parts && !present.has(task) ? `${name} #${parts.attempt}` : name;
}

export type Launched = Instance & { task_id: string; part?: Container };

/** What has an output: instances that were launched, of a pod each of their containers. */
export function launchedOf(instances: readonly Instance[]): Launched[] {
  return instances.flatMap((one) => {
    const { task_id } = one;
    if (!task_id) return [];
    if (!one.containers) return [{ ...one, task_id }];
    return one.containers.map((part) => ({ ...one, task_id: part.task_id, part }));
  });
}
