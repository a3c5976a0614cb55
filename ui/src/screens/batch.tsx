// A question about many things at once, and how it went for each of them.
import { type FormEvent, type ReactNode, useState } from 'react';
import { ApiError } from '../api/client';
import { Dialog } from '../components/dialog';
import { Check, TextField } from '../components/field';
import { Wrong } from '../components/said';
import { Mark } from '../components/status';
import { toast } from '../components/toast';
import { Button, Notice } from '../components/ui';
import { batch, type Outcome, type Step } from '../lib/batch';
import type { Look } from '../lib/status';
import { type Key, say } from '../words';
import css from './batch.module.css';

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

type Outcomes = ReadonlyMap<string, Outcome>;

const isLocked = (outcome: Outcome | undefined): boolean =>
  outcome?.kind === 'failed' && outcome.error instanceof ApiError && outcome.error.locked;

export function Batch({
  title,
  verb,
  about,
  danger,
  steps,
  disabled,
  typed,
  label,
  done,
  note,
  onClose,
  children,
}: {
  title: string;
  verb: string;
  about: string;
  danger?: boolean;
  steps: readonly Step[];
  disabled?: boolean;
  /** A word that must be typed first. */
  typed?: string | undefined;
  /** What is in the list of steps. */
  label: string;
  done: string;
  /** Said beside a step, such as what it changes. */
  note?: (id: string) => ReactNode;
  onClose: (done: boolean) => void;
  children?: ReactNode;
}) {
  const [word, setWord] = useState('');
  const [force, setForce] = useState(false);
  const [outcomes, setOutcomes] = useState<Outcomes>(new Map());
  const failed = steps.filter(({ id }) => outcomes.get(id)?.kind === 'failed');
  const busy = [...outcomes.values()].some(({ kind }) => kind === 'running' || kind === 'waiting');
  const off = (disabled ?? false) || steps.length === 0 || (typed !== undefined && word.trim() !== typed);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (off || busy) return;
    const ends = new Map(outcomes);
    await batch(failed.length > 0 ? failed : steps, force, (id, outcome) => {
      ends.set(id, outcome);
      setOutcomes(new Map(ends));
    });
    if ([...ends.values()].some(({ kind }) => kind === 'failed')) return;
    toast(done);
    onClose(true);
  };

  return (
    <Dialog title={title} onClose={() => onClose(false)}>
      <form onSubmit={submit} className={css.form}>
        <p>{about}</p>
        {children}
        <Steps steps={steps} outcomes={outcomes} label={label} note={note} />
        {failed.length > 0 && !busy && (
          <Notice tone="bad">
            <div role="alert">{say('bulk.someFailed', { n: failed.length, of: steps.length })}</div>
          </Notice>
        )}
        {failed.some(({ id }) => isLocked(outcomes.get(id))) && (
          <Check label={say('bulk.force')} checked={force} onChange={setForce} />
        )}
        {typed !== undefined && (
          <TextField
            label={say('bulk.type', { word: typed })}
            value={word}
            onChange={(event) => setWord(event.target.value)}
            autoComplete="off"
            spellCheck={false}
          />
        )}
        <div className={css.buttons}>
          <Button onClick={() => onClose(false)} data-first={danger || undefined}>
            {busy ? say('dialog.close') : say('dialog.cancel')}
          </Button>
          <Button kind={danger ? 'danger' : 'primary'} type="submit" busy={busy} disabled={off}>
            {failed.length > 0 && !busy ? say('bulk.again', { n: failed.length }) : verb}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Steps({
  steps,
  outcomes,
  label,
  note,
}: {
  steps: readonly Step[];
  outcomes: Outcomes;
  label: string;
  note: ((id: string) => ReactNode) | undefined;
}) {
  const over = [...outcomes.values()].filter(({ kind }) => kind === 'done' || kind === 'failed').length;
  return (
    <>
      {outcomes.size > 0 && (
        <progress max={steps.length} value={over} aria-label={say('bulk.progress', { n: over, of: steps.length })} className={css.progress} />
      )}
      <ul className={css.steps} tabIndex={0} aria-label={label}>
        {steps.map(({ id, name }) => {
          const outcome = outcomes.get(id);
          return (
            <li key={id}>
              <span className={css.mark}>
                {outcome && <Mark look={LOOKS[outcome.kind]} label={say(WORDS[outcome.kind])} />}
              </span>
              <span className={css.id}>
                {name ?? id}
                {outcome?.kind === 'failed' &&
                  (isLocked(outcome) ? (
                    <span className={css.error}>{say('ask.locked')}</span>
                  ) : (
                    <Wrong error={outcome.error} className={css.error} />
                  ))}
              </span>
              {note?.(id)}
            </li>
          );
        })}
      </ul>
    </>
  );
}
