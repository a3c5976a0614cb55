// A drain as a picture: where each instance would go, and how far it is.
import type { DrainPreview, Instance } from '../api/types';
import { byName } from '../lib/format';

type Fated = DrainPreview['instances'][number];

/** How an instance of the plan is doing now. */
export type Step = 'here' | 'leaving' | 'gone';

export interface Mover {
  id: string;
  app: string;
  step: Step;
}

/** Where some of the instances go, or that they go nowhere. */
export interface Target {
  fate: Fated['fate'];
  /** The node they go to. */
  host?: string;
  nodeId?: string;
  movers: Mover[];
  /** Why there is no place, each reason once. */
  because: string[];
  /** What stays behind on this node. */
  volumes: string[];
}

const ORDER: Fated['fate'][] = ['no_place', 'moves', 'stops', 'waited_for', 'ends'];

/** The plan by target: what finds no place first, then nodes by name. */
export function targetsOf(preview: Pick<DrainPreview, 'instances'>, tasks?: readonly Instance[]): Target[] {
  const now = tasks && new Map(tasks.map((task) => [task.id, task]));
  const targets = new Map<string, Target>();
  for (const { id, app_id, fate, to_host, to_node_id, because, leaves_volumes } of preview.instances) {
    const key = `${fate} ${to_node_id ?? ''}`;
    const known: Target = targets.get(key) ?? { fate, movers: [], because: [], volumes: [], ...(to_host && { host: to_host }), ...(to_node_id && { nodeId: to_node_id }) };
    known.movers.push({ id, app: app_id, step: stepOf(now, id) });
    if (because && !known.because.includes(because)) known.because.push(because);
    for (const volume of leaves_volumes ?? []) if (!known.volumes.includes(volume)) known.volumes.push(volume);
    targets.set(key, known);
  }
  for (const target of targets.values()) target.movers.sort((a, b) => byName(a.app, b.app) || (a.id < b.id ? -1 : 1));
  return [...targets.values()].sort((a, b) => ORDER.indexOf(a.fate) - ORDER.indexOf(b.fate) || byName(a.host ?? '', b.host ?? ''));
}

function stepOf(now: ReadonlyMap<string, Instance> | undefined, id: string): Step {
  if (!now) return 'here';
  const task = now.get(id);
  if (!task) return 'gone';
  return task.verdict.state === 'stopping' ? 'leaving' : 'here';
}

/** How many have left, of how many. */
export function progressOf(targets: readonly Target[]): { gone: number; all: number } {
  const movers = targets.flatMap((target) => target.movers);
  return { gone: movers.filter(({ step }) => step === 'gone').length, all: movers.length };
}

/** A plan with what came to the node since, and with newer words about what is still there. */
export function merged(plan: DrainPreview, now: DrainPreview): DrainPreview {
  const fresh = new Map(now.instances.map((one) => [one.id, one]));
  const kept = plan.instances.map((one) => fresh.get(one.id) ?? one);
  const known = new Set(plan.instances.map(({ id }) => id));
  return { ...now, instances: [...kept, ...now.instances.filter(({ id }) => !known.has(id))] };
}
