// One question for many services, and how it went for each.
import { type FormEvent, useState } from 'react';
import { ApiError, api } from '../api/client';
import type { AppSummary } from '../api/types';
import { Dialog } from '../components/dialog';
import { Check, TextField } from '../components/field';
import { Mark } from '../components/status';
import { toast } from '../components/toast';
import { Button, Notice } from '../components/ui';
import { batch, type Outcome, type Step } from '../lib/batch';
import type { Look } from '../lib/status';
import { type Key, say } from '../words';
import css from './bulk.module.css';

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

const LOOKS: Record<Outcome['kind'], Look> = {
  waiting: { tone: 'neutral', shape: 'square', word: '' },
  running: { tone: 'moving', shape: 'ring', word: '' },
  done: { tone: 'good', shape: 'check', word: '' },
  failed: { tone: 'bad', shape: 'octagon', word: '' },
};
const WORDS: Record<Outcome['kind'], Key & `bulk.outcome.${string}`> = {
  waiting: 'bulk.outcome.waiting',
  running: 'bulk.outcome.running',
  done: 'bulk.outcome.done',
  failed: 'bulk.outcome.failed',
};

/** What the server said, or that a deployment is in the way. */
function worded(error: Error): string {
  return error instanceof ApiError && error.locked ? say('ask.locked') : error.message;
}

/** The steps of a change: one for each service, or one for the group where the server knows groups. */
function stepsOf(what: BulkAsk, apps: readonly AppSummary[], group: string | undefined, by: number): Step[] {
  if (group && what === 'scale') return [{ id: group, run: (force) => api.scaleGroup(group, by, force) }];
  if (group && what === 'delete') return [{ id: group, run: (force) => api.removeGroup(group, force) }];
  const running = apps.filter((app) => app.instances.wanted > 0);
  const of = what === 'restart' || what === 'suspend' ? running : apps;
  return of.map((app) => ({
    id: app.id,
    run: (force) => {
      if (what === 'restart') return api.restart(app.id, force);
      if (what === 'delete') return api.remove(app.id, force);
      const wanted = what === 'suspend' ? 0 : Math.max(0, app.instances.wanted + by);
      return api.change(app.id, { instances: wanted }, force);
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
  const [typed, setTyped] = useState('');
  const [force, setForce] = useState(false);
  const [outcomes, setOutcomes] = useState<ReadonlyMap<string, Outcome>>(new Map());
  const by = what === 'scale' ? amountOf(amount, !!group) : 0;
  const steps = stepsOf(what, asked, group, by ?? 0);
  const failed = steps.filter(({ id }) => outcomes.get(id)?.kind === 'failed');
  const busy = [...outcomes.values()].some(({ kind }) => kind === 'running' || kind === 'waiting');
  const locked = failed.some(({ id }) => {
    const outcome = outcomes.get(id);
    return outcome?.kind === 'failed' && outcome.error instanceof ApiError && outcome.error.locked;
  });
  const word = group ?? WORD;
  const off = by === undefined || steps.length === 0 || (what === 'delete' && typed.trim() !== word);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (off || busy) return;
    const left = failed.length > 0 ? failed : steps;
    const ends = new Map(outcomes);
    await batch(left, force, (id, outcome) => {
      ends.set(id, outcome);
      setOutcomes(new Map(ends));
    });
    if ([...ends.values()].some(({ kind }) => kind === 'failed')) return;
    toast(say('bulk.done', { n: asked.length, what: say(TITLES[what], { n: asked.length }) }));
    onClose(true);
  };

  return (
    <Dialog title={group ? `${say(TITLES[what], { n: asked.length })}: ${group}` : say(TITLES[what], { n: asked.length })} onClose={() => onClose(false)}>
      <form onSubmit={submit} className={css.form}>
        <p>{say(`bulk.about.${what}`)}</p>
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
        <Steps steps={steps} outcomes={outcomes} apps={asked} by={what === 'scale' && !group ? by : undefined} />
        {failed.length > 0 && !busy && (
          <Notice tone="bad">
            <div role="alert">{say('bulk.someFailed', { n: failed.length, of: steps.length })}</div>
          </Notice>
        )}
        {locked && <Check label={say('bulk.force')} checked={force} onChange={setForce} />}
        {what === 'delete' && (
          <TextField
            label={say('bulk.type', { word })}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
            autoComplete="off"
            spellCheck={false}
          />
        )}
        <div className={css.buttons}>
          <Button onClick={() => onClose(false)} data-first={what === 'delete' || undefined}>
            {busy ? say('dialog.close') : say('dialog.cancel')}
          </Button>
          <Button kind={what === 'delete' || what === 'suspend' ? 'danger' : 'primary'} type="submit" busy={busy} disabled={off}>
            {failed.length > 0 && !busy ? say('bulk.again', { n: failed.length }) : say(TITLES[what], { n: asked.length })}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Steps({
  steps,
  outcomes,
  apps,
  by,
}: {
  steps: readonly Step[];
  outcomes: ReadonlyMap<string, Outcome>;
  apps: readonly AppSummary[];
  by: number | undefined;
}) {
  const over = [...outcomes.values()].filter(({ kind }) => kind === 'done' || kind === 'failed').length;
  return (
    <>
      {outcomes.size > 0 && (
        <progress max={steps.length} value={over} aria-label={say('bulk.progress', { n: over, of: steps.length })} className={css.progress} />
      )}
      <ul className={css.steps} tabIndex={0} aria-label={say('bulk.steps')}>
        {steps.map(({ id }) => {
          const outcome = outcomes.get(id);
          const wanted = apps.find((app) => app.id === id)?.instances.wanted;
          return (
            <li key={id}>
              <span className={css.mark}>{outcome && <Mark look={LOOKS[outcome.kind]} label={say(WORDS[outcome.kind])} />}</span>
              <span className={css.id}>
                {id}
                {outcome?.kind === 'failed' && <span className={css.error}>{worded(outcome.error)}</span>}
              </span>
              {by !== undefined && wanted !== undefined && (
                <span className="nums muted">
                  {wanted} → {Math.max(0, wanted + by)}
                </span>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}
