// One deployment as a line: what it does, how far it is, why it stands still.
import { Link } from 'wouter';
import type { Deployment, Verdict } from '../api/types';
import { said, Told } from '../components/said';
import { Mark } from '../components/status';
import { Age } from '../components/ui';
import { appHref, wayOf } from '../lib/format';
import { isSaid, lookOf, needsAttention } from '../lib/status';
import { say } from '../words';
import css from './deployment.module.css';

export function DeploymentRow({
  deployment,
  told,
}: {
  deployment: Deployment;
  /** Services whose verdict stands on the same screen: what blocks them is not told again. */
  told?: ReadonlySet<string>;
}) {
  return (
    <li className={css.row}>
      {deployment.actions.map((action) => {
        const of = action.of ?? 0;
        const done = action.done ?? 0;
        return (
          <div key={action.app_id + action.action} className={css.action}>
            <span className={css.text}>
              {said(`deployments.do.${action.action}`, {
                id: <Link href={appHref(action.app_id)}>{action.app_id}</Link>,
              })}
              {action.what && <Told text={`: ${action.what}`} className="muted" />}
              {deployment.steps > 1 && (
                <span className="muted">
                  {` · ${say('deployments.step', { n: deployment.step, of: deployment.steps })}`}
                </span>
              )}
            </span>
            <span className={css.progress}>
              {of > 0 && (
                <>
                  <progress
                    max={of}
                    value={done}
                    aria-label={say('deployments.done', { id: action.app_id, n: done, of })}
                  />
                  <span className="nums">{say('instances.found', { n: done, of })}</span>
                </>
              )}
              <span className="muted">
                <Age at={deployment.started_at} />
                {deployment.by && ` · ${deployment.by.uid} · ${wayOf(deployment.by)}`}
              </span>
            </span>
            {action.blocked && !told?.has(action.app_id) && !isSaid(deployment.verdict, action.blocked) && (
              <Told text={action.blocked} className={css.blocked} />
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
        {verdict.cause && (
          <div>
            <Told text={verdict.cause} capital />
          </div>
        )}
        {verdict.next && !quiet && (
          <div className="muted">
            <Told text={verdict.next} capital />
          </div>
        )}
      </div>
    </div>
  );
}
