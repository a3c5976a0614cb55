// Deployments on their way, and the way back.
import { useState } from 'react';
import { api } from '../api/client';
import { useLive } from '../api/hooks';
import type { Deployment } from '../api/types';
import { Button, Command, Empty, PageHead, Panel, Skeleton } from '../components/ui';
import { Change } from './actions';
import { DeploymentRow } from './deployment';
import { Title } from './services';

export default function Deployments() {
  const { deployments, heardAt } = useLive();
  const [asked, setAsked] = useState<Deployment>();
  const all = [...deployments.values()].sort((a, b) => (a.started_at < b.started_at ? -1 : 1));
  return (
    <>
      <Title text="Deployments" />
      <PageHead title="Deployments" sub="Changes that are being carried out now." />
      {heardAt === 0 && <Skeleton />}
      {heardAt > 0 && all.length === 0 && (
        <Panel>
          <Empty title="No deployment is running">Every service is at its wanted version and size.</Empty>
        </Panel>
      )}
      {all.map((deployment) => (
        <Panel
          key={deployment.id}
          flush
          title={<span className="mono">{deployment.id.slice(0, 8)}</span>}
          aside={<Button onClick={() => setAsked(deployment)}>Roll back…</Button>}
        >
          <ul>
            <DeploymentRow deployment={deployment} />
          </ul>
        </Panel>
      ))}
      {asked && (
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
