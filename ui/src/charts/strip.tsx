// The strip of a rollout: a row an instance, from its place on a node to its first good check.
import { Link } from 'wouter';
import type { Deployment, Instance } from '../api/types';
import { Panel, useNow } from '../components/ui';
import { Told } from '../components/said';
import { duration, shortTask } from '../lib/format';
import { needsAttention } from '../lib/status';
import { say } from '../words';
import css from './strip.module.css';
import { remaining, type Row, rolloutRows } from './rollout';

/** Rows that are drawn; of more the rest is a number. */
const ROWS_MAX = 12;
/** A strip is never shorter in time: the first seconds would fly by. */
const SPAN_MIN_MS = 10_000;

export function Rollout({
  deployment,
  app,
  instances,
  said,
}: {
  deployment: Deployment;
  app: string;
  instances: readonly Instance[];
  /** The verdict on the service stands on the same screen: what blocks it is not told again. */
  said: boolean;
}) {
  const now = useNow();
  const from = Date.parse(deployment.started_at);
  const rows = rolloutRows(instances, from, now);
  const span = Math.max(SPAN_MIN_MS, now - from);
  const action = deployment.actions.find((action) => action.app_id === app);
  const left = action && remaining(action.done, action.of, from, now);
  const phases = [...new Set(rows.flatMap((row) => row.segments.map(({ phase }) => phase)))];
  return (
    <Panel
      title={say('rollout.title')}
      aside={
        <span className={css.state}>
          {action && (
            <span className="nums">{say('rollout.done', { n: action.done, of: action.of })}</span>
          )}
          <span className="muted">
            {left === undefined
              ? say('rollout.soFar', { time: duration(now - from) })
              : say('rollout.left', { time: duration(now - from), left: duration(left) })}
          </span>
          <Link href="/deployments">{say('rollout.details')}</Link>
        </span>
      }
    >
      {action?.blocked && !said && (
        <p className={needsAttention(deployment) ? css.blocked : css.goes}>
          <Told text={action.blocked} />
        </p>
      )}
      {phases.length > 0 && (
        <ul className={css.legend}>
          {phases.map((phase) => (
            <li key={phase}>
              <i className={css[phase]} aria-hidden /> {say(`rollout.phase.${phase}`)}
            </li>
          ))}
        </ul>
      )}
      <ul className={css.rows}>
        {rows.slice(0, ROWS_MAX).map((row) => (
          <Strip key={`${row.instance.id}${row.instance.task_id ?? ''}`} row={row} from={from} span={span} />
        ))}
      </ul>
      {rows.length > ROWS_MAX && <p className="muted">{say('count.moreInstances', { n: rows.length - ROWS_MAX })}</p>}
    </Panel>
  );
}

function Strip({ row: { instance, isNew, segments }, from, span }: { row: Row; from: number; span: number }) {
  const share = (ms: number) => `${(100 * ms) / span}%`;
  return (
    <li className={css.row}>
      <code className={isNew ? undefined : css.before}>{shortTask(instance)}</code>
      <div className={css.track}>
        {segments.length === 0 && <span className={css.waits}>{say(instance.verdict.state === 'delayed' ? 'view.heldBack' : 'rollout.waits')}</span>}
        {segments.map((segment) => {
          const took = segment.to - segment.from;
          const word = say(`rollout.phase.${segment.phase}`);
          const text = segment.phase === 'ready' || segment.phase === 'old' ? word : `${word} ${duration(took)}`;
          return (
            <span
              key={segment.phase}
              className={`${css.segment} ${css[segment.phase]}`}
              style={{ left: share(segment.from - from), width: share(took) }}
              title={text}
            >
              <span className={css.text}>{text}</span>
            </span>
          );
        })}
      </div>
    </li>
  );
}
