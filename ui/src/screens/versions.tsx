// The versions of a service: who made them and what came of it, what differs between two, the way back.
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { api, calls } from '../api/client';
import { queries } from '../api/hooks';
import type { AppSummary, FieldDiff, Rollback, Version } from '../api/types';
import { Check } from '../components/field';
import { Told } from '../components/said';
import { toast, toastFailure } from '../components/toast';
import { Age, Button, Empty, Failure, Notice, Panel, Skeleton } from '../components/ui';
import { dateAndTime, took } from '../lib/format';
import { say } from '../words';
import { Change } from './actions';
import css from './versions.module.css';

/** How long the way back from a rollback stands there. */
const UNDO_S = 30;

interface Done {
  /** The version that was active before. */
  from: string;
  until: number;
}

export default function Versions({ app }: { app: AppSummary }) {
  const { id } = app;
  const known = useQuery({
    // The row's version and its deployments change with what is shown here.
    queryKey: ['versions', id, app.version, app.deployments.join()],
    queryFn: ({ signal }) => api.versions(id, signal),
    placeholderData: (old) => old,
  });
  const versions = known.data?.versions ?? [];
  const [picked, setPicked] = useState<{ from?: string; to?: string }>({});
  const [asked, setAsked] = useState<Version>();
  const [done, setDone] = useState<Done>();
  if (known.error) return <Failure error={known.error} retry={() => void known.refetch()} />;
  if (known.isPending) return <Skeleton />;
  const at = versions.findIndex((version) => version.active);
  const to = picked.to ?? versions[at]?.version;
  const from = picked.from ?? versions[at + 1]?.version;
  return (
    <>
      {done && <Undo id={id} done={done} onOver={() => setDone(undefined)} />}
      <div className={css.columns}>
        <Panel title={say('versions.title')} flush>
          {versions.length === 0 && <Empty title={say('versions.none')} />}
          {versions.length > 0 && (
            <div className={css.heads} aria-hidden="true">
              <span>{say('versions.from')}</span>
              <span>{say('versions.to')}</span>
            </div>
          )}
          <ol className={css.list} aria-label={say('versions.list')}>
            {versions.map((version) => (
              <Entry
                key={version.version}
                version={version}
                from={version.version === from}
                to={version.version === to}
                onFrom={() => setPicked({ from: version.version, ...(to && { to }) })}
                onTo={() => setPicked({ to: version.version, ...(from && { from }) })}
                onBack={() => setAsked(version)}
              />
            ))}
          </ol>
        </Panel>
        {from && to && <Difference id={id} from={from} to={to} />}
      </div>
      {asked && (
        <Back
          id={id}
          to={asked}
          now={app}
          onClose={() => setAsked(undefined)}
          onDone={(from) => setDone({ from, until: Date.now() + UNDO_S * 1000 })}
        />
      )}
    </>
  );
}

function Entry({
  version,
  from,
  to,
  onFrom,
  onTo,
  onBack,
}: {
  version: Version;
  from: boolean;
  to: boolean;
  onFrom: () => void;
  onTo: () => void;
  onBack: () => void;
}) {
  const when = dateAndTime(version.version);
  return (
    <li className={css.entry} data-outcome={version.outcome} data-testid="version">
      <div className={css.pick}>
        <label>
          <input type="radio" name="from" checked={from} onChange={onFrom} aria-label={say('versions.compareFrom', { when })} />
        </label>
        <label>
          <input type="radio" name="to" checked={to} onChange={onTo} aria-label={say('versions.compareTo', { when })} />
        </label>
      </div>
      <div className={css.what}>
        <div className={css.head}>
          <strong>
            <Told text={version.summary} />
          </strong>
          {version.active && <span className={css.active}>{say('versions.active')}</span>}
        </div>
        <div className="muted">
          <time dateTime={version.version} title={version.version}>
            {when}
          </time>{' '}
          (<Age at={version.version} ago />)
          {version.by && ` ${say('versions.by', { who: version.by.uid })}`}
        </div>
        <div className={version.outcome === 'ended_early' ? css.bad : 'muted'}>
          <Outcome version={version} />
          {(version.active || version.running > 0) &&
            ` · ${say('versions.running', { n: version.running, of: version.instances })}`}
        </div>
      </div>
      {!version.active && <Button onClick={onBack}>{say('versions.back…')}</Button>}
    </li>
  );
}

/** What came of it: by its code where that tells it all. */
function Outcome({ version: { outcome, outcome_text, took_ms } }: { version: Version }) {
  if (outcome === 'deploying') return say('versions.deploying');
  if (outcome === 'unknown') return say('versions.untold');
  if (outcome !== 'live') return <Told text={outcome_text} />;
  return took_ms === undefined ? say('versions.live') : say('versions.liveIn', { time: took(took_ms) });
}

function Difference({ id, from, to }: { id: string; from: string; to: string }) {
  const diff = useQuery({
    queryKey: ['diff', id, from, to],
    queryFn: ({ signal }) => api.diff(id, from, to, signal),
    enabled: from !== to,
  });
  return (
    <Panel title={say('versions.differs')} flush>
      {from === to ? (
        <Empty title={say('versions.twice')}>{say('versions.twiceHint')}</Empty>
      ) : diff.error ? (
        <Failure error={diff.error} retry={() => void diff.refetch()} />
      ) : diff.data ? (
        <>
          <p className={css.summary}>
            <Told text={diff.data.summary} />
          </p>
          <Fields fields={diff.data.fields} />
        </>
      ) : (
        <Skeleton rows={3} />
      )}
    </Panel>
  );
}

/** Side by side, field by field. */
export function Fields({ fields }: { fields: FieldDiff[] }) {
  if (fields.length === 0) return null;
  return (
    <div className={css.scroll} tabIndex={0} role="region" aria-label={say('versions.fields')}>
      <table className={css.fields}>
        <thead>
          <tr>
            <th scope="col">{say('versions.field')}</th>
            <th scope="col">{say('versions.before')}</th>
            <th scope="col">{say('versions.after')}</th>
          </tr>
        </thead>
        <tbody>
          {fields.map((field) => (
            <tr key={field.path}>
              <th scope="row">{field.path.slice(1).replaceAll('/', ' › ').replaceAll('~1', '/').replaceAll('~0', '~')}</th>
              <td className={field.old === undefined ? css.none : css.old}>
                {field.old === undefined ? say('versions.unset') : <del>{field.old}</del>}
              </td>
              <td className={field.new === undefined ? css.none : css.new}>
                {field.new === undefined ? say('versions.unset') : <ins>{field.new}</ins>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The question before the way back: what differs, what that does, one button. */
function Back({
  id,
  to,
  now,
  onClose,
  onDone,
}: {
  id: string;
  to: Version;
  now: AppSummary;
  onClose: () => void;
  onDone: (from: string) => void;
}) {
  const [keep, setKeep] = useState(false);
  const sizes = to.instances !== now.instances.wanted;
  const told = useQuery({
    queryKey: ['rollback', id, to.version, now.version, keep],
    queryFn: () => api.rollBack(id, { to: to.version, dry_run: true, keep_instances: keep }),
  });
  const command = `tepui app rollback ${id} --to ${to.version}${keep ? ' --keep-instances' : ''}`;
  return (
    <Change
      title={say('versions.backTitle', { id, when: dateAndTime(to.version) })}
      verb={say('versions.back')}
      disabled={!told.data || told.data.fields.length === 0}
      command={command}
      call={calls.rollBack(id, { to: to.version, ...(keep && { keep_instances: true }) })}
      done={say('versions.backDone', { id })}
      change={async (force) => {
        const body = { to: to.version, force, keep_instances: keep };
        const answer: Rollback = await api.rollBack(id, body);
        if (answer.deployment_id) onDone(answer.from);
        void queries.invalidateQueries({ queryKey: ['versions', id] });
      }}
      onClose={onClose}
    >
      {told.error && <Failure error={told.error} retry={() => void told.refetch()} />}
      {told.data && (
        <>
          <ul className={css.effect} data-testid="effect">
            {told.data.effect.map((sentence) => (
              <li key={sentence}>
                <Told text={sentence} />
              </li>
            ))}
          </ul>
          <Fields fields={told.data.fields} />
        </>
      )}
      {sizes && (
        <Check
          label={say('versions.keep', { n: now.instances.wanted, had: to.instances })}
          checked={keep}
          onChange={setKeep}
        />
      )}
    </Change>
  );
}

/** For half a minute a rollback is taken back with one button. */
function Undo({ id, done, onOver }: { id: string; done: Done; onOver: () => void }) {
  const [left, setLeft] = useState(UNDO_S);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    const look = () => {
      const seconds = Math.ceil((done.until - Date.now()) / 1000);
      setLeft(seconds);
      if (seconds <= 0 && !busy) onOver();
    };
    look();
    const timer = setInterval(look, 500);
    return () => clearInterval(timer);
  }, [done, busy, onOver]);
  const undo = async () => {
    setBusy(true);
    try {
      // Its own deployment is what may stand in the way.
      await api.rollBack(id, { to: done.from, force: true });
      toast(say('versions.taken', { id }));
      onOver();
    } catch (cause) {
      toastFailure(cause);
      setBusy(false);
    }
  };
  return (
    <div role="status">
      <Notice
        tone="moving"
        action={
          <Button busy={busy} onClick={() => void undo()}>
            {left > 0 ? say('versions.undoIn', { s: left }) : say('ask.undo')}
          </Button>
        }
      >
        {say('versions.going', { id })}
      </Notice>
    </div>
  );
}
