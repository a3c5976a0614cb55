// From a condition to the shape, hue and word that stand for it everywhere.
import type { AppCondition, AppSummary, Instance, InstanceCondition, NodeCondition } from '../api/types';
import { say, sayAny } from '../words';
import { humanise } from './format';

export type Tone = 'good' | 'moving' | 'attention' | 'bad' | 'neutral';
export type Shape =
  | 'check'
  | 'ring'
  | 'hourglass'
  | 'triangle'
  | 'octagon'
  | 'square'
  | 'diamond'
  | 'outline';

export interface Look {
  tone: Tone;
  shape: Shape;
  word: string;
}

/** The word is given in English, and read in the reader's language (`state.…` in the word files). */
const look = (tone: Tone, shape: Shape, word: string): Look => ({
  tone,
  shape,
  get word() {
    return sayAny(`state.${word}`) ?? word;
  },
});

export const APP_LOOK: Record<AppCondition, Look> = {
  waiting: look('attention', 'hourglass', 'Waiting'),
  delayed: look('attention', 'hourglass', 'Delayed'),
  unhealthy: look('bad', 'octagon', 'Unhealthy'),
  engine_down: look('bad', 'octagon', 'Engine down'),
  crash_looping: look('bad', 'octagon', 'Crash loop'),
  stuck: look('attention', 'triangle', 'Stuck'),
  starting: look('moving', 'ring', 'Starting'),
  degraded: look('attention', 'triangle', 'Degraded'),
  deploying: look('moving', 'ring', 'Deploying'),
  deleting: look('moving', 'ring', 'Deleting'),
  running: look('good', 'check', 'Running'),
  stopped: look('neutral', 'square', 'Stopped'),
};

const INSTANCE_LOOK: Record<InstanceCondition, Look> = {
  scheduled: look('attention', 'hourglass', 'Scheduled'),
  staging: look('moving', 'ring', 'Staging'),
  starting: look('moving', 'ring', 'Starting'),
  running: look('good', 'check', 'Running'),
  killing: look('moving', 'ring', 'Stopping'),
  unreachable: look('neutral', 'diamond', 'Unreachable'),
  finished: look('neutral', 'outline', 'Finished'),
  failed: look('bad', 'octagon', 'Failed'),
  killed: look('neutral', 'square', 'Stopped'),
  lost: look('bad', 'octagon', 'Lost'),
  gone: look('neutral', 'square', 'Gone'),
};

export const NODE_LOOK: Record<NodeCondition, Look> = {
  active: look('good', 'check', 'Active'),
  engine_down: look('bad', 'octagon', 'Engine down'),
  draining: look('moving', 'ring', 'Draining'),
  drained: look('neutral', 'square', 'Drained'),
  deactivated: look('neutral', 'square', 'Deactivated'),
  unreachable: look('neutral', 'diamond', 'Unreachable'),
};

const UNKNOWN = look('neutral', 'diamond', 'Unknown');

export function appLook(condition: AppCondition): Look {
  return APP_LOOK[condition] ?? UNKNOWN;
}

export function nodeLook(condition: NodeCondition): Look {
  return NODE_LOOK[condition] ?? UNKNOWN;
}

export function instanceLook(task: Instance): Look {
  if (task.condition === 'running' && task.healthy === false) {
    return look('bad', 'octagon', 'Unhealthy');
  }
  if (task.condition === 'running' && task.pending) return look('moving', 'ring', 'Check pending');
  if (task.condition === 'running' && task.healthy === true) return look('good', 'check', 'Healthy');
  return INSTANCE_LOOK[task.condition] ?? UNKNOWN;
}

/** Worst first: the order in which a reader should look at services. */
export const SEVERITY: AppCondition[] = [
  'engine_down',
  'unhealthy',
  'crash_looping',
  'stuck',
  'waiting',
  'delayed',
  'degraded',
  'deploying',
  'starting',
  'deleting',
  'running',
  'stopped',
];

export function needsAttention(app: AppSummary): boolean {
  const trouble = ['engine_down', 'unhealthy', 'crash_looping', 'stuck', 'waiting', 'delayed', 'degraded'];
  return trouble.includes(app.condition);
}

export function ended(task: Instance): boolean {
  return ['finished', 'failed', 'killed', 'lost', 'gone'].includes(task.condition);
}

/** One sentence that says why a service is in its condition. */
export function reason(app: AppSummary): string {
  const { wanted, running, unhealthy } = app.instances;
  if (app.verdict) {
    const { sentence, cause } = app.verdict;
    return humanise(cause && !sentence.includes(cause) ? `${sentence}: ${cause}` : sentence);
  }
  if (app.waiting) return humanise(app.waiting.reason);
  if (app.condition === 'unhealthy') return say('reason.unhealthy', { n: unhealthy, of: running });
  if (app.condition === 'degraded' || app.condition === 'deploying') {
    return say('reason.some', { n: running, of: wanted });
  }
  return '';
}

const REASON_WORDS: Record<string, string> = {
  role: 'Role',
  unreachable: 'Reachable',
  maintenance: 'Takes work',
  region: 'Region',
  constraint: 'Constraints',
  reservation: 'Reservation',
  cpus: 'CPU',
  mem: 'Memory',
  disk: 'Disk',
  gpus: 'GPU',
  ports: 'Ports',
  volume: 'Volumes',
  network: 'Network',
  scarce: 'Scarce resources',
};

export function reasonWord(code: string): string {
  return REASON_WORDS[code] ?? code;
}
