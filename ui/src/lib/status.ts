// What the server says of a thing as the shape, hue and words that stand for it everywhere. What is
// good or bad, and why, is said there (`Verdict`); nothing is judged here.
import type { AppCondition, Container, Instance, Standing, Tone, Verdict } from '../api/types';
import { sayAny } from '../words';
import { humanise } from './format';

export type { Tone };
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
export const look = (tone: Tone, shape: Shape, word: string): Look => ({
  tone,
  shape,
  get word() {
    return sayAny(`state.${word}`) ?? word;
  },
});

export const LOOK: Record<Standing, Look> = {
  engine_down: look('bad', 'octagon', 'Engine down'),
  unreachable: look('bad', 'diamond', 'Unreachable'),
  unhealthy: look('bad', 'octagon', 'Unhealthy'),
  crash_looping: look('bad', 'octagon', 'Crash loop'),
  cannot_start: look('bad', 'octagon', 'Cannot start'),
  failed: look('bad', 'octagon', 'Failed'),
  lost: look('bad', 'octagon', 'Lost'),
  stuck: look('attention', 'triangle', 'Stuck'),
  delayed: look('attention', 'hourglass', 'Delayed'),
  waiting: look('attention', 'hourglass', 'Waiting'),
  degraded: look('attention', 'triangle', 'Degraded'),
  deleting: look('moving', 'ring', 'Deleting'),
  stopping: look('moving', 'ring', 'Stopping'),
  draining: look('moving', 'ring', 'Draining'),
  deploying: look('moving', 'ring', 'Deploying'),
  starting: look('moving', 'ring', 'Starting'),
  active: look('good', 'check', 'Active'),
  running: look('good', 'check', 'Running'),
  drained: look('neutral', 'square', 'Drained'),
  deactivated: look('neutral', 'square', 'Deactivated'),
  finished: look('neutral', 'outline', 'Finished'),
  stopped: look('neutral', 'square', 'Stopped'),
  gone: look('neutral', 'square', 'Gone'),
};

const UNKNOWN = look('neutral', 'diamond', 'Unknown');

export function lookOf(state: Standing): Look {
  return LOOK[state] ?? UNKNOWN;
}

/** That of an instance; one whose check is still open says so. */
export function instanceLook(task: Instance): Look {
  const known = lookOf(task.verdict.state);
  if (task.verdict.state === 'starting' && task.pending) return look(known.tone, known.shape, 'Starting, check open');
  return task.verdict.state === 'running' && task.healthy ? look(known.tone, known.shape, 'Healthy') : known;
}

/** In which words of ours a container of a pod is told. */
const OF_CONTAINER: Partial<Record<Container['condition'], Standing>> = {
  scheduled: 'waiting',
  staging: 'starting',
  starting: 'starting',
  running: 'running',
  killing: 'stopping',
  unreachable: 'unreachable',
  finished: 'finished',
  killed: 'stopped',
  failed: 'failed',
  lost: 'lost',
  gone: 'gone',
};

/** That of one container of an instance, by its own check where it has one. */
export function containerLook({ condition, healthy }: Container): Look {
  const state = OF_CONTAINER[condition];
  if (state === 'running' && healthy === false) return lookOf('unhealthy');
  const known = state ? lookOf(state) : UNKNOWN;
  return state === 'running' && healthy ? look(known.tone, known.shape, 'Healthy') : known;
}

/** Conditions of services, worst first, as the server orders them. */
export const SEVERITY: AppCondition[] = (Object.keys(LOOK) as Standing[]).filter((state): state is AppCondition =>
  [
    'engine_down',
    'unhealthy',
    'crash_looping',
    'cannot_start',
    'stuck',
    'delayed',
    'waiting',
    'degraded',
    'deleting',
    'deploying',
    'starting',
    'running',
    'stopped',
  ].includes(state),
);

export function needsAttention({ verdict }: { verdict: Verdict }): boolean {
  return verdict.tone === 'bad' || verdict.tone === 'attention';
}

/** Worst first, then by name. */
export function bySeverity<T extends { id: string; verdict: Verdict }>(a: T, b: T): number {
  const order = Object.keys(LOOK);
  const rank = ({ verdict }: T) => order.indexOf(verdict.state);
  return rank(a) - rank(b) || a.id.localeCompare(b.id, 'en', { numeric: true });
}

export function ended(task: Instance): boolean {
  return ['finished', 'failed', 'killed', 'lost', 'gone'].includes(task.condition);
}

/** Sentence and cause of a verdict in one line. */
export function reason({ verdict }: { verdict: Verdict }): string {
  const { sentence, cause } = verdict;
  return humanise(cause && !sentence.includes(cause) ? `${sentence}: ${cause}` : sentence);
}

/** Whether `text` is already said by a verdict. */
export function isSaid(verdict: Verdict, text: string): boolean {
  return reason({ verdict }).includes(humanise(text));
}

/** A sentence of the server at the head of a line: a capital where it does not begin with a name. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A state's word within a sentence. */
export function uncapital(word: string): string {
  return word.charAt(0).toLowerCase() + word.slice(1);
}

/** A check of the placement. */
export function reasonWord(code: string): string {
  return sayAny(`reason.${code}`) ?? code;
}
