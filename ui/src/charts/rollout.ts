// From instances to the strip of a rollout: what each went through, and when it may be over. Pure.
import type { Instance } from '../api/types';
import { ended } from '../lib/status';

export type Phase = 'placed' | 'check' | 'ready' | 'old' | 'leaving';

export interface Segment {
  phase: Phase;
  from: number;
  to: number;
}

export interface Row {
  instance: Instance;
  isNew: boolean;
  segments: Segment[];
}

const ms = (time: string | undefined) => (time === undefined ? undefined : Date.parse(time));

/** What an instance of the wanted definition went through. */
function arriving(instance: Instance, now: number): Segment[] {
  const placed = ms(instance.launched_at);
  if (placed === undefined || instance.condition === 'scheduled') return [];
  const started = ms(instance.started_at);
  const segments: Segment[] = [{ phase: 'placed', from: placed, to: started ?? now }];
  if (started === undefined) return segments;
  const ready = instance.pending ? undefined : (ms(instance.healthy_since) ?? (instance.health.length === 0 ? started : undefined));
  if (ready === undefined || ready > started) segments.push({ phase: 'check', from: started, to: ready ?? now });
  if (ready !== undefined) segments.push({ phase: 'ready', from: ready, to: now });
  return segments;
}

/** What became of an instance that was there and is wanted no more. */
function leaving(instance: Instance, from: number, now: number): Segment[] {
  const phase = instance.outdated ? 'old' : 'ready';
  const since = Math.max(from, ms(instance.since) ?? from);
  if (ended(instance)) return [{ phase, from, to: since }];
  if (instance.condition !== 'killing') return [{ phase, from, to: now }];
  return [
    { phase, from, to: since },
    { phase: 'leaving', from: since, to: now },
  ];
}

/** Whether the rollout leaves it as it is: of the wanted definition, and ready before it began. */
const isUntouched = ({ instance, segments }: Row, from: number) =>
  !instance.outdated && (ms(instance.launched_at) ?? from) < from && segments.every(({ phase }) => phase === 'ready');

/** The rows of a rollout that began `from`: newcomers in their order, then those of before. */
export function rolloutRows(instances: readonly Instance[], from: number, now: number): Row[] {
  const rows = instances.map((instance) => {
    const isGoing = ended(instance) || instance.condition === 'killing';
    const isNew = !instance.outdated && !isGoing;
    const all = isNew ? arriving(instance, now) : leaving(instance, from, now);
    const segments = all.map((segment) => ({ ...segment, from: Math.max(segment.from, from) })).filter(({ from, to }) => to > from);
    return { instance, isNew, segments };
  });
  return rows
    .filter((row) => (row.segments.length > 0 ? !row.isNew || !isUntouched(row, from) : row.isNew))
    .sort((a, b) => Number(b.isNew) - Number(a.isNew) || begin(a) - begin(b) || a.instance.id.localeCompare(b.instance.id));
}

function begin({ segments }: Row): number {
  return segments[0]?.from ?? Number.POSITIVE_INFINITY;
}

/** When all may be done at the pace so far, in milliseconds from now; nothing before the first is. */
export function remaining(done: number, of: number, from: number, now: number): number | undefined {
  return done > 0 && done < of ? ((now - from) / done) * (of - done) : undefined;
}
