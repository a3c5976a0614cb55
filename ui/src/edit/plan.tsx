// What running the document would do, as the server's planner says it now.
import { TriangleAlert } from 'lucide-react';
import { useEffect, useState } from 'react';
import { ApiError, api } from '../api/client';
import { useRows } from '../api/hooks';
import type { Fault, Plan, PlanAnswer } from '../api/types';
import { Panel } from '../components/ui';
import { count, mebibytes } from '../lib/format';
import { type Fields, labelOf } from './document';
import css from './edit.module.css';

/** Typing rests this long before the server is asked. */
const PAUSE_MS = 250;

export interface Planned {
  answer?: PlanAnswer;
  error?: string;
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
        const text = error instanceof ApiError ? error.message : String(error);
        setPlanned((known) => ({ ...known, error: text, stale: true }));
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
  return plan.places.map(({ instances, host }) => `${instances} on ${host}`).join(', ');
}

export function PlanPanel({
  planned,
  problems,
  openAt,
  editing,
}: {
  planned: Planned;
  problems: Fault[];
  openAt: (pointer: string) => void;
  editing: boolean;
}) {
  const { answer, error, stale } = planned;
  const plan = answer?.plan;
  return (
    <div className={css.plan} aria-live="polite" data-stale={stale || undefined} data-testid="plan">
      <Panel title="Plan" aside={stale && !error ? <span className="muted">looking…</span> : undefined}>
        {error && <p className={css.error}>{error}</p>}
        {problems.length > 0 ? (
          <Problems list={problems} openAt={openAt} />
        ) : plan ? (
          <Effect plan={plan} openAt={openAt} editing={editing} />
        ) : (
          !error && <p className="muted">Nothing is known yet.</p>
        )}
        {answer && answer.unknown.length > 0 && (
          <ul className={css.warnings}>
            {answer.unknown.map((pointer) => (
              <li key={pointer}>
                <TriangleAlert size={15} aria-hidden />
                <span>
                  Nobody reads{' '}
                  <button type="button" className={css.link} onClick={() => openAt(pointer)}>
                    {labelOf(pointer)}
                  </button>
                  : it is taken and lost.
                </span>
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </div>
  );
}

function Problems({ list, openAt }: { list: Fault[]; openAt: (pointer: string) => void }) {
  return (
    <>
      <p>{list.length === 1 ? 'It cannot run yet:' : `It cannot run yet, for ${list.length} reasons:`}</p>
      <ul className={css.problems} data-testid="problems">
        {list.map((fault) => (
          <li key={fault.path + fault.message}>
            <button type="button" className={css.link} onClick={() => openAt(fault.path)}>
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
      <p className={css.sentence}>{plan.sentence}</p>
      {plan.places.length > 0 && (
        <>
          <p data-testid="fits">Fits: {whereTo(plan)}.</p>
          <NodeBars plan={plan} />
        </>
      )}
      <p className="muted" data-testid="room">
        {plan.waiting > 0
          ? `${count(plan.waiting, 'instance')} would wait: ${plan.limit ?? 'no node fits'}.`
          : plan.limit
            ? `${plan.room > 0 ? `${count(plan.room, 'more', 'more')} would fit; then no other` : 'One more would not fit'}: ${plan.limit}.`
            : `Room for ${plan.room.toLocaleString('en')} more at least.`}
      </p>
      {plan.warnings.length > 0 && (
        <ul className={css.warnings}>
          {plan.warnings.map(({ code, message, path }) => (
            <li key={code + message}>
              <TriangleAlert size={15} aria-hidden />
              <span>
                {message}{' '}
                {path && (
                  <button type="button" className={css.link} onClick={() => openAt(path)}>
                    Show
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
                {before === undefined ? <span className="muted">new</span> : <del>{short(before)}</del>}
                {' → '}
                {after === undefined ? <span className="muted">gone</span> : <ins>{short(after)}</ins>}
              </dd>
            </div>
          ))}
        </dl>
      )}
      {!editing && plan.dns_names[0] && (
        <p className={css.names}>
          Found as <code>{plan.dns_names[0]}</code>
        </p>
      )}
    </>
  );
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
            aria-label={`${host}: ${mebibytes(there)} of ${mebibytes(total)} memory promised, ${mebibytes(added)} more`}
            data-state
          >
            <span className={css.there} style={{ width: `${Math.min(100, (there / total) * 100)}%` }} />
            <span className={css.added} style={{ width: `max(4px, ${Math.min(100, (added / total) * 100)}%)` }} />
          </span>
          <span className={`muted nums ${css.amount}`}>+{mebibytes(added)}</span>
        </li>
      ))}
      {plan.places.length > 8 && <li className="muted">and {plan.places.length - 8} more nodes</li>}
    </ul>
  );
}
