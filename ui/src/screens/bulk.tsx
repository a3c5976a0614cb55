// Changes of many services, or of a group of them.
import { useState } from 'react';
import { api } from '../api/client';
import type { AppSummary } from '../api/types';
import { TextField } from '../components/field';
import type { Step } from '../lib/batch';
import { type Key, say } from '../words';
import { Batch } from './batch';

export type BulkAsk = 'scale' | 'restart' | 'suspend' | 'delete';

const TITLES: Record<BulkAsk, Key & `bulk.title.${string}`> = {
  scale: 'bulk.title.scale',
  restart: 'bulk.title.restart',
  suspend: 'bulk.title.suspend',
  delete: 'bulk.title.delete',
};
/** Typed before many services go: a word of ours, the same in every language. */
const WORD = 'delete';
const STEP_MAX = 1000;

/** The steps of a change: one for each service, or one for the group where the server knows groups. */
function stepsOf(what: BulkAsk, apps: readonly AppSummary[], group: string | undefined, by: number): Step[] {
  if (group && what === 'scale') return [{ id: group, run: (force) => api.scaleGroup(group, by, force) }];
  if (group && what === 'delete') return [{ id: group, run: (force) => api.removeGroup(group, force) }];
  const running = apps.filter((app) => app.instances.wanted > 0);
  const of = what === 'restart' || what === 'suspend' ? running : apps;
  return of.map((app) => ({
    id: app.id,
    run: (force) => {
      if (what === 'restart') return api.restart(app, force);
      if (what === 'delete') return api.remove(app, force);
      const wanted = what === 'suspend' ? 0 : Math.max(0, app.instances.wanted + by);
      return api.scale(app, wanted, force);
    },
  }));
}

/** The number in the field: a step of instances, or the factor of a group. */
function amountOf(text: string, group: boolean): number | undefined {
  const value = Number(text.trim().replace(',', '.'));
  if (text.trim() === '' || !Number.isFinite(value) || Math.abs(value) > STEP_MAX) return undefined;
  if (group) return value >= 0 && value !== 1 ? value : undefined;
  return Number.isInteger(value) && value !== 0 ? value : undefined;
}

export default function Bulk({
  what,
  apps,
  group,
  onClose,
}: {
  what: BulkAsk;
  apps: readonly AppSummary[];
  group?: string;
  onClose: (done: boolean) => void;
}) {
  // What was asked for stays what is done, whatever the list becomes meanwhile.
  const [asked] = useState(apps);
  const [amount, setAmount] = useState(group ? '2' : '1');
  const by = what === 'scale' ? amountOf(amount, !!group) : 0;
  const title = say(TITLES[what], { n: asked.length });
  const wanted = new Map(asked.map((app) => [app.id, app.instances.wanted]));
  const change = (id: string) => {
    const n = wanted.get(id);
    if (what !== 'scale' || group || by === undefined || n === undefined) return null;
    return (
      <span className="nums muted">
        {n} → {Math.max(0, n + by)}
      </span>
    );
  };
  return (
    <Batch
      title={group ? `${title}: ${group}` : title}
      verb={title}
      about={say(`bulk.about.${what}`)}
      danger={what === 'delete' || what === 'suspend'}
      steps={stepsOf(what, asked, group, by ?? 0)}
      disabled={by === undefined}
      typed={what === 'delete' ? (group ?? WORD) : undefined}
      label={say('bulk.steps')}
      done={say('bulk.done', { n: asked.length, what: title })}
      note={change}
      onClose={onClose}
    >
      {what === 'scale' && (
        <TextField
          label={group ? say('bulk.factor') : say('bulk.step')}
          hint={group ? say('bulk.factorHint') : say('bulk.stepHint')}
          error={by === undefined ? say('bulk.amountWrong') : undefined}
          inputMode={group ? 'decimal' : 'text'}
          value={amount}
          onChange={(event) => setAmount(event.target.value)}
          data-first
        />
      )}
    </Batch>
  );
}
