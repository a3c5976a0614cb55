// One deployment as a line: what it does, how far it is, why it stands still.
import { Link } from 'wouter';
import type { Deployment } from '../api/types';
import { Age } from '../components/ui';
import { appHref, humanise } from '../lib/format';
import css from './deployment.module.css';

const VERBS = {
  start: 'Starting',
  stop: 'Stopping',
  scale: 'Scaling',
  restart: 'Replacing instances of',
  resolve: 'Fetching for',
};

export function DeploymentRow({ deployment, app }: { deployment: Deployment; app?: string }) {
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
            {action.blocked && <span className={css.blocked}>{humanise(action.blocked)}</span>}
          </div>
        );
      })}
    </li>
  );
}
