// Deployments on their way, and the way back.
import { useState } from 'react';
import { Link } from 'wouter';
import { api, calls } from '../api/client';
import { useLoaded, useRows } from '../api/hooks';
import type { Deployment } from '../api/types';
import { Button, Empty, PageHead, Panel, Skeleton } from '../components/ui';
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
      <Title text={say('nav.deployments')} />
      <PageHead
        title={say('nav.deployments')}
        sub={say('deployments.about')}
        actions={<Link href="/activity?kind=deployment">{say('deployments.ended')}</Link>}
      />
      {!loaded && <Skeleton />}
      {loaded && all.length === 0 && (
        <Panel>
          <Empty title={say('deployments.none')}>{say('deployments.noneHint')}</Empty>
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
              {(deployment.creates ?? []).length > 0 ? say('deployments.backAndDelete…') : say('versions.back…')}
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
          title={say('deployments.backTitle')}
          verb={say('versions.back')}
          command={`tepui deployment cancel ${asked.id}`}
          call={calls.cancelDeployment(asked.id)}
          done={say('deployments.backDone')}
          change={() => api.cancelDeployment(asked.id)}
          onClose={() => setAsked(undefined)}
        >
          <p>
            {say('deployments.returns', { n: asked.app_ids.length, ids: asked.app_ids.join(', ') })}
          </p>
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
  const what = made.length === 1 ? first : say('count.services', { n: made.length });
  return (
    <Change
      title={say('deployments.backAndDeleteTitle', { what })}
      verb={say('deployments.backAndDelete', { what })}
      danger
      typed={first}
      command={`tepui deployment cancel ${deployment.id}`}
      call={calls.cancelDeployment(deployment.id)}
      done={say('deployments.backDone')}
      change={() => api.cancelDeployment(deployment.id)}
      onClose={onClose}
    >
      <p>
        {say('deployments.makes', { n: made.length, ids: made.join(', ') })}
        {others.length > 0 && ` ${say('deployments.others', { n: others.length, ids: others.join(', ') })}`}
      </p>
    </Change>
  );
}
