// One node: what it has, what runs on it, and taking it out of service.
import { useState } from 'react';
import { Link } from 'wouter';
import { ApiError, api } from '../api/client';
import { queries, useFromRows, useNode, useRow } from '../api/hooks';
import type { NodeSummary } from '../api/types';
import { StatusLabel } from '../components/status';
import { toast } from '../components/toast';
import { Age, Button, Empty, Failure, Meter, Notice, PageHead, Panel, Skeleton } from '../components/ui';
import { count, cpus, mebibytes } from '../lib/format';
import { ended, nodeLook } from '../lib/status';
import { Change } from './actions';
import { InstanceTable } from './instances';
import { roles } from './nodes';
import css from './nodes.module.css';
import { Title } from './services';

export default function NodePage({ id }: { id: string }) {
  const detail = useNode(id);
  // The address may name the node by its host.
  const own = detail.data?.id ?? id;
  const row = useRow('nodes', own);
  const others = useFromRows(
    'nodes',
    (all) => all.filter((other) => other.id !== own && other.condition === 'active').length,
  );
  const [draining, setDraining] = useState<string[]>();
  if (detail.isPending) return <Skeleton />;
  if (!detail.data) {
    const gone = detail.error instanceof ApiError && detail.error.status === 404;
    return (
      <>
        <Title text={gone ? 'Not found' : id} />
        <PageHead crumbs={[{ href: '/nodes', text: 'Nodes' }]} title={gone ? 'Not found' : id} />
        <Panel>
          {gone ? (
            <Empty title={`There is no node ${id}`} action={<Link href="/nodes">All nodes</Link>} />
          ) : (
            <Failure error={detail.error} retry={() => void detail.refetch()} />
          )}
        </Panel>
      </>
    );
  }
  const node = { ...detail.data, ...row };
  const tasks = detail.data.tasks.filter((task) => !ended(task));
  const away = node.condition === 'draining' || node.condition === 'drained';

  const preview = async () => {
    try {
      setDraining((await api.drain(node.id, { dry_run: true })).instances);
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error), true);
    }
  };
  const takeBack = async () => {
    try {
      await api.drain(node.id, { cancel: true });
      toast(`${node.host}: takes work again`);
      void queries.invalidateQueries({ queryKey: ['node'] });
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error), true);
    }
  };

  return (
    <>
      <Title text={node.host} />
      <PageHead
        crumbs={[{ href: '/nodes', text: 'Nodes' }]}
        title={node.host}
        sub={
          <>
            <StatusLabel look={nodeLook(node.condition)} />
            <span>{roles(node)}</span>
            {node.last_seen_at && (
              <span>
                seen <Age at={node.last_seen_at} suffix=" ago" />
              </span>
            )}
          </>
        }
        actions={
          away ? (
            <Button onClick={() => void takeBack()}>Take work again</Button>
          ) : (
            <Button onClick={() => void preview()}>Drain…</Button>
          )
        }
      />
      {node.engine_away && (
        <Notice tone="bad">
          <div>
            <strong>The container engine of this node does not answer.</strong>{' '}
            <span className="muted">
              (<Age at={node.engine_away.since} />)
            </span>
            <div>{node.engine_away.cause}</div>
          </div>
        </Notice>
      )}
      <Panel>
        <Facts node={node} />
      </Panel>
      <Panel title={count(tasks.length, 'instance')} flush>
        {tasks.length === 0 ? (
          <Empty title="Nothing runs here" />
        ) : (
          <InstanceTable rows={tasks} label={`Instances on ${node.host}`} app />
        )}
      </Panel>
      {draining && (
        <Change
          title={`Drain ${node.host}?`}
          verb="Drain"
          danger
          command={`tepui node drain ${node.host}`}
          done={`${node.host}: draining`}
          change={() => api.drain(node.id, {})}
          onClose={() => {
            setDraining(undefined);
            void queries.invalidateQueries({ queryKey: ['node'] });
          }}
        >
          <p>{moves(draining.length, others)}</p>
          <p>The node takes no new work until you take it back.</p>
        </Change>
      )}
    </>
  );
}

/** What a drain does, as far as it can be known beforehand. */
function moves(n: number, others: number): string {
  if (n === 0) return 'Nothing runs here.';
  const all = count(n, 'instance');
  if (others === 0) {
    return `No other node takes work: the ${all} here ${n === 1 ? 'has' : 'have'} no place to go, and will not run until there is one.`;
  }
  return `${all} here ${n === 1 ? 'needs' : 'need'} a place on ${count(others, 'other node')}. What finds none, for want of room or by a constraint, will not run until it does.`;
}

function Facts({ node }: { node: NodeSummary }) {
  const kinds = [
    { hue: 'cpu', label: 'CPU', key: 'cpus', print: cpus },
    { hue: 'memory', label: 'Memory', key: 'mem_mb', print: mebibytes },
    { hue: 'disk', label: 'Disk', key: 'disk_mb', print: mebibytes },
    { hue: 'gpu', label: 'GPU', key: 'gpus', print: cpus },
  ] as const;
  const attributes = Object.entries(node.attributes);
  return (
    <dl className={css.facts}>
      {kinds
        .filter(({ key }) => node.total[key] > 0)
        .map(({ hue, label, key, print }) => {
          const used = node.used ? `, ${print(node.used[key])} used` : '';
          const text = `${print(node.allocated[key])} of ${print(node.total[key])} reserved${used}`;
          return (
            <div key={key}>
              <dt>{label}</dt>
              <dd className={css.load}>
                <span>{text}</span>
                <Meter label={label} hue={hue} total={node.total[key]} allocated={node.allocated[key]} used={node.used?.[key]} text={text} />
              </dd>
            </div>
          );
        })}
      <div>
        <dt>Region and zone</dt>
        <dd>{[node.region, node.zone].filter(Boolean).join(', ') || '–'}</dd>
      </div>
      <div>
        <dt>Attributes</dt>
        <dd>{attributes.map(([key, value]) => `${key}=${value}`).join(', ') || '–'}</dd>
      </div>
      <div>
        <dt>Host ports</dt>
        <dd className="nums">{node.ports ?? '–'}</dd>
      </div>
      <div>
        <dt>Id</dt>
        <dd>
          <code>{node.id}</code>
        </dd>
      </div>
    </dl>
  );
}
