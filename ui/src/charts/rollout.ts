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

/** What an instance of the version that is rolled out went through. */
function arriving(instance: Instance, from: number, now: number): Segment[] {
  const placed = ms(instance.launched_at);
  if (placed === undefined || instance.condition === 'scheduled') return [];
  const started = ms(instance.started_at);
  const segments: Segment[] = [{ phase: 'placed', from: Math.max(placed, from), to: started ?? now }];
  if (started === undefined) return segments;
  const ready = instance.pending ? undefined : (ms(instance.healthy_since) ?? (instance.health.length === 0 ? started : undefined));
  if (ready === undefined || ready > started) segments.push({ phase: 'check', from: started, to: ready ?? now });
  if (ready !== undefined) segments.push({ phase: 'ready', from: ready, to: now });
  return segments;
}

/** What became of an instance of before. */
function leaving(instance: Instance, from: number, now: number): Segment[] {
  const since = Math.max(from, ms(instance.since) ?? from);
  if (ended(instance)) return since > from ? [{ phase: 'old', from, to: since }] : [];
  if (instance.condition !== 'killing') return [{ phase: 'old', from, to: now }];
  return [
    { phase: 'old', from, to: since },
    { phase: 'leaving', from: since, to: now },
  ];
}

/** The rows of a rollout of `version` that began `from`: newcomers in their order, then those of before. */
export function rolloutRows(instances: readonly Instance[], version: string, from: number, now: number): Row[] {
  const rows = instances.map((instance) => {
    const isNew = instance.version === version;
    const segments = isNew ? arriving(instance, from, now) : leaving(instance, from, now);
    return { instance, isNew, segments };
  });
  return rows
    .filter(({ segments, isNew, instance }) => segments.length > 0 || (isNew && !ended(instance)))
    .sort((a, b) => Number(b.isNew) - Number(a.isNew) || begin(a) - begin(b) || a.instance.id.localeCompare(b.instance.id));
}

function begin({ segments }: Row): number {
  return segments[0]?.from ?? Number.POSITIVE_INFINITY;
}

/** When all may be done at the pace so far, in milliseconds from now; nothing before the first is. */
export function remaining(done: number, of: number, from: number, now: number): number | undefined {
  return done > 0 && done < of ? ((now - from) / done) * (of - done) : undefined;
}
