// One deployment as a line: what it does, how far it is, why it stands still.
import { Link } from 'wouter';
import type { Deployment, Verdict } from '../api/types';
import { Mark } from '../components/status';
import { Age } from '../components/ui';
import { appHref, humanise } from '../lib/format';
import { capital, isSaid, lookOf, needsAttention } from '../lib/status';
import css from './deployment.module.css';

const VERBS = {
  start: 'Starting',
  stop: 'Stopping',
  scale: 'Scaling',
  restart: 'Replacing instances of',
  resolve: 'Fetching for',
};

export function DeploymentRow({
  deployment,
  app,
  said,
}: {
  deployment: Deployment;
  app?: string;
  /** Services whose verdict stands on the same screen: what blocks them is not told again. */
  said?: ReadonlySet<string>;
}) {
  const actions = deployment.actions.filter((action) => !app || action.app_id === app);
  return (
    <li className={css.row}>
      {actions.map((action) => {
        const of = action.of ?? 0;
        const done = action.done ?? 0;
        return (
          <div key={action.app_id + action.action} className={css.action}>
            <span className={css.text}>
              {VERBS[action.action] ?? action.action}{' '}
              {app ? 'this service' : <Link href={appHref(action.app_id)}>{action.app_id}</Link>}
              {action.what && <span className="muted">: {action.what}</span>}
              {deployment.steps > 1 && (
                <span className="muted">
                  {' '}
                  · step {deployment.step} of {deployment.steps}
                </span>
              )}
            </span>
            <span className={css.progress}>
              {of > 0 && (
                <>
                  <progress
                    max={of}
                    value={done}
                    aria-label={`${action.app_id}: ${done} of ${of} done`}
                  />
                  <span className="nums">
                    {done} of {of}
                  </span>
                </>
              )}
              <span className="muted">
                <Age at={deployment.started_at} />
              </span>
            </span>
            {action.blocked && !said?.has(action.app_id) && !isSaid(deployment.verdict, action.blocked) && (
              <span className={css.blocked}>{humanise(action.blocked)}</span>
            )}
          </div>
        );
      })}
    </li>
  );
}

/** What is wrong with a deployment and what to do; nothing while it goes on. */
export function DeploymentTrouble({ verdict, quiet }: { verdict: Verdict; quiet: boolean }) {
  if (!needsAttention({ verdict })) return null;
  return (
    <div className={css.wrong}>
      <Mark look={lookOf(verdict.state)} />
      <div>
        <strong>{lookOf(verdict.state).word}</strong>{' '}
        {verdict.since && (
          <span className="muted">
            <Age at={verdict.since} />
          </span>
        )}
        {verdict.cause && <div>{capital(humanise(verdict.cause))}</div>}
        {verdict.next && !quiet && <div className="muted">{capital(humanise(verdict.next))}</div>}
      </div>
    </div>
  );
}
