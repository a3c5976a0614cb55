// Deployments on their way, and the way back.
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../api/client';
import { useLoaded, useRows } from '../api/hooks';
import type { Deployment } from '../api/types';
import { Button, Command, Empty, PageHead, Panel, Skeleton } from '../components/ui';
import { say } from '../words';
import { Change } from './actions';
import { DeploymentRow, DeploymentTrouble } from './deployment';
import { Title } from './services';

const NAMED_MAX = 2;

export default function Deployments() {
  const loaded = useLoaded();
  const all = useRows('deployments');
  const [asked, setAsked] = useState<Deployment>();
  return (
    <>
      <Title text="Deployments" />
      <PageHead
        title="Deployments"
        sub="Changes that are being carried out now."
        actions={<Link href="/activity?kind=deployment">Those that ended</Link>}
      />
      {!loaded && <Skeleton />}
      {loaded && all.length === 0 && (
        <Panel>
          <Empty title="No deployment is running">Every service is at its wanted version and size.</Empty>
        </Panel>
      )}
      {all.map((deployment, at) => (
        <Panel
          key={deployment.id}
          flush
          title={
            <>
              {named(deployment)} <code className="muted">{deployment.id.slice(0, 8)}</code>
            </>
          }
          aside={
            <Button onClick={() => setAsked(deployment)}>
              {(deployment.creates ?? []).length > 0 ? 'Roll back and delete…' : 'Roll back…'}
            </Button>
          }
        >
          <ul>
            <DeploymentRow deployment={deployment} />
          </ul>
          <DeploymentTrouble
            verdict={deployment.verdict}
            // What to do is said once for all that wait for the same.
            quiet={all.findIndex(({ verdict }) => verdict.next === deployment.verdict.next) < at}
          />
        </Panel>
      ))}
      {asked && (asked.creates ?? []).length > 0 && <Undo deployment={asked} onClose={() => setAsked(undefined)} />}
      {asked && (asked.creates ?? []).length === 0 && (
        <Change
          title="Roll this deployment back?"
          verb="Roll back"
          done="Rolling back"
          change={() => api.cancelDeployment(asked.id)}
          onClose={() => setAsked(undefined)}
        >
          <p>
            {asked.app_ids.join(', ')} returns to the version and size before this deployment, by a
            deployment of its own.
          </p>
          <Command text={`tepui deployment cancel ${asked.id}`} />
        </Change>
      )}
    </>
  );
}

/** What it is about, by its first services. */
function named({ app_ids }: Deployment): string {
  const more = app_ids.length - NAMED_MAX;
  return `${app_ids.slice(0, NAMED_MAX).join(', ')}${more > 0 ? ` ${say('deployments.more', { n: more })}` : ''}`;
}

/** Taking back what made services removes them: that is said, and their name typed. */
function Undo({ deployment, onClose }: { deployment: Deployment; onClose: () => void }) {
  const made = deployment.creates ?? [];
  const [first = ''] = made;
  const others = deployment.app_ids.filter((id) => !made.includes(id));
  const what = made.length === 1 ? first : `${made.length} services`;
  return (
    <Change
      title={`Roll back and delete ${what}?`}
      verb={`Roll back and delete ${what}`}
      danger
      typed={first}
      command={`tepui deployment cancel ${deployment.id}`}
      done="Rolling back"
      change={() => api.cancelDeployment(deployment.id)}
      onClose={onClose}
    >
      <p>
        This deployment makes {made.join(', ')}: there is nothing to go back to, so{' '}
        {made.length === 1 ? 'it is' : 'they are'} deleted.
        {others.length > 0 && ` ${others.join(', ')} returns to the version and size before.`}
      </p>
    </Change>
  );
}
