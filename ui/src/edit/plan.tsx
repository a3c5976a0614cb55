// What running the document would do, as the server's planner says it now.
import { TriangleAlert } from 'lucide-react';
import { useEffect, useState } from 'react';
import { api } from '../api/client';
import { useRows } from '../api/hooks';
import type { Plan, PlanAnswer } from '../api/types';
import { said, Told, Wrong } from '../components/said';
import { Panel } from '../components/ui';
import { mebibytes } from '../lib/format';
import { say } from '../words';
import { type Fields, labelOf, type Problem } from './document';
import css from './edit.module.css';

/** Typing rests this long before the server is asked. */
const PAUSE_MS = 250;

export interface Planned {
  answer?: PlanAnswer;
  error?: unknown;
  /** It is about an earlier text. */
  stale: boolean;
}

/** The plan for a value; `undefined` while the text cannot be read. */
export function usePlan(value: Fields | undefined, version: string | undefined): Planned {
  const [planned, setPlanned] = useState<Planned>({ stale: true });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another version is another plan
  useEffect(() => {
    setPlanned((known) => ({ ...known, stale: true }));
    if (!value) return;
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const answer = await api.plan(value, stop.signal);
        setPlanned({ answer, stale: false });
      } catch (error) {
        if (stop.signal.aborted) return;
        setPlanned((known) => ({ ...known, error, stale: true }));
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [value, version]);
  return planned;
}

/** "2 on node-1, 1 on node-2". */
export function whereTo(plan: Plan): string {
  return plan.places.map(({ instances, host }) => say('plan.place', { n: instances, host })).join(', ');
}

export function PlanPanel({
  planned,
  problems,
  openAt,
  editing,
}: {
  planned: Planned;
  problems: Problem[];
  openAt: (pointer: string) => void;
  editing: boolean;
}) {
  const { answer, error, stale } = planned;
  const plan = answer?.plan;
  return (
    <div className={css.plan} aria-live="polite" data-stale={stale || undefined} data-testid="plan">
      <Panel title={say('plan.title')} aside={stale && error === undefined ? <span className="muted">{say('plan.looking')}</span> : undefined}>
        {error !== undefined && (
          <p className={css.error}>
            <Wrong error={error} />
          </p>
        )}
        {problems.length > 0 ? (
          <Problems list={problems} openAt={openAt} />
        ) : plan ? (
          <Effect plan={plan} openAt={openAt} editing={editing} />
        ) : (
          error === undefined && <p className="muted">{say('plan.unknown')}</p>
        )}
        {answer && answer.unknown.length > 0 && (
          <ul className={css.warnings}>
            {answer.unknown.map((pointer) => (
              <li key={pointer}>
                <TriangleAlert size={15} aria-hidden />
                <span>
                  {said('plan.stranger', {
                    field: (
                      <button type="button" className={css.link} onClick={() => openAt(pointer)}>
                        {labelOf(pointer)}
                      </button>
                    ),
                  })}
                </span>
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </div>
  );
}

function Problems({ list, openAt }: { list: Problem[]; openAt: (pointer: string) => void }) {
  return (
    <>
      <p>{say('plan.cannot', { n: list.length })}</p>
      <ul className={css.problems} data-testid="problems">
        {list.map((fault) => (
          <li key={fault.path + fault.message}>
            <button type="button" lang={fault.own ? undefined : 'en'} className={css.link} onClick={() => openAt(fault.path)}>
              {fault.message}
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function Effect({ plan, openAt, editing }: { plan: Plan; openAt: (pointer: string) => void; editing: boolean }) {
  return (
    <>
      <p className={css.sentence}>
        <Told text={plan.sentence} />
      </p>
      {plan.places.length > 0 && (
        <>
          <p data-testid="fits">{say('plan.fits', { places: whereTo(plan) })}</p>
          <NodeBars plan={plan} />
        </>
      )}
      <p className="muted" data-testid="room">
        <Room plan={plan} />
      </p>
      {plan.warnings.length > 0 && (
        <ul className={css.warnings}>
          {plan.warnings.map(({ code, message, path }) => (
            <li key={code + message}>
              <TriangleAlert size={15} aria-hidden />
              <span>
                <Told text={message} />{' '}
                {path && (
                  <button type="button" className={css.link} onClick={() => openAt(path)}>
                    {say('plan.show')}
                  </button>
                )}
              </span>
            </li>
          ))}
        </ul>
      )}
      {editing && plan.changes.length > 0 && (
        <dl className={css.changes} data-testid="changes">
          {plan.changes.map(({ path, before, after }) => (
            <div key={path}>
              <dt>
                <code>{labelOf(path)}</code>
              </dt>
              <dd>
                {before === undefined ? <span className="muted">{say('plan.new')}</span> : <del>{short(before)}</del>}
                {' → '}
                {after === undefined ? <span className="muted">{say('plan.gone')}</span> : <ins>{short(after)}</ins>}
              </dd>
            </div>
          ))}
        </dl>
      )}
      {!editing && plan.dns_names[0] && (
        <p className={css.names}>
          {said('plan.foundAs', { name: <code>{plan.dns_names[0]}</code> })}
        </p>
      )}
    </>
  );
}

/** How many more there is room for, and why not for others. */
function Room({ plan: { waiting, room, limit } }: { plan: Plan }) {
  const told = limit ? <Told text={limit} /> : say('plan.noNode');
  if (waiting > 0) return said('plan.wait', { n: waiting, limit: told });
  if (!limit) return say('plan.room', { n: room });
  return room > 0 ? said('plan.fewMore', { n: room, limit: told }) : said('plan.noMore', { limit: told });
}

function short(json: string): string {
  return json.length > 120 ? `${json.slice(0, 120)}…` : json;
}

/** Nodes in their memory: what is promised already, and what this would add. */
function NodeBars({ plan }: { plan: Plan }) {
  const nodes = useRows('nodes');
  const bars = plan.places.slice(0, 8).flatMap(({ node_id, instances, host }) => {
    const node = nodes.find((it) => it.id === node_id);
    if (!node || node.total.mem_mb <= 0) return [];
    const added = plan.requirement.mem_mb * instances;
    return [{ host, total: node.total.mem_mb, there: node.allocated.mem_mb, added }];
  });
  return (
    <ul className={css.bars}>
      {bars.map(({ host, total, there, added }) => (
        <li key={host}>
          <span className={css.host}>{host}</span>
          <span
            className={css.bar}
            role="img"
            aria-label={say('plan.promised', { host, there: mebibytes(there), total: mebibytes(total), added: mebibytes(added) })}
            data-state
          >
            <span className={css.there} style={{ width: `${Math.min(100, (there / total) * 100)}%` }} />
            <span className={css.added} style={{ width: `max(4px, ${Math.min(100, (added / total) * 100)}%)` }} />
          </span>
          <span className={`muted nums ${css.amount}`}>+{mebibytes(added)}</span>
        </li>
      ))}
      {plan.places.length > 8 && <li className="muted">{say('plan.moreNodes', { n: plan.places.length - 8 })}</li>}
    </ul>
  );
}
