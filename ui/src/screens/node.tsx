// One node: what it has, what runs on it, and taking it out of service.
import { useState } from 'react';
import { Link } from 'wouter';
import { ApiError, api } from '../api/client';
import { queries, useFromRows, useNode, useRow } from '../api/hooks';
import type { NodeSummary } from '../api/types';
import { StatusLabel } from '../components/status';
import { toast } from '../components/toast';
import { Age, Button, Empty, Failure, Meter, Notice, PageHead, Panel, Skeleton } from '../components/ui';
import { cpus, mebibytes } from '../lib/format';
import { ended, nodeLook } from '../lib/status';
import { Change } from './actions';
import { InstanceTable } from './instances';
import { roles } from './nodes';
import { say } from '../words';
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
        <Title text={gone ? say('missing.title') : id} />
        <PageHead crumbs={[{ href: '/nodes', text: say('nav.nodes') }]} title={gone ? say('missing.title') : id} />
        <Panel>
          {gone ? (
            <Empty title={say('node.gone', { id })} action={<Link href="/nodes">{say('dash.allNodes')}</Link>} />
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
      toast(say('node.takenBack', { host: node.host }));
      void queries.invalidateQueries({ queryKey: ['node'] });
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error), true);
    }
  };

  return (
    <>
      <Title text={node.host} />
      <PageHead
        crumbs={[{ href: '/nodes', text: say('nav.nodes') }]}
        title={node.host}
        sub={
          <>
            <StatusLabel look={nodeLook(node.condition)} />
            <span>{roles(node)}</span>
            {node.last_seen_at && (
              <span>
                {say('node.seen')} <Age at={node.last_seen_at} />
              </span>
            )}
          </>
        }
        actions={
          away ? (
            <Button onClick={() => void takeBack()}>{say('node.takeBack')}</Button>
          ) : (
            <Button onClick={() => void preview()}>{say('node.drain…')}</Button>
          )
        }
      />
      {node.engine_away && (
        <Notice tone="bad">
          <div>
            <strong>{say('node.engine')}</strong>{' '}
            <span className="muted">
              (<Age at={node.engine_away.since} />)
            </span>
            <div lang="en">{node.engine_away.cause}</div>
          </div>
        </Notice>
      )}
      <Panel>
        <Facts node={node} />
      </Panel>
      <Panel title={say('count.instances', { n: tasks.length })} flush>
        {tasks.length === 0 ? (
          <Empty title={say('node.empty')} />
        ) : (
          <InstanceTable rows={tasks} label={say('node.instances', { host: node.host })} app />
        )}
      </Panel>
      {draining && (
        <Change
          title={say('node.drainTitle', { host: node.host })}
          verb={say('node.drain')}
          danger
          command={`tepui node drain ${node.host}`}
          done={say('node.draining', { host: node.host })}
          change={() => api.drain(node.id, {})}
          onClose={() => {
            setDraining(undefined);
            void queries.invalidateQueries({ queryKey: ['node'] });
          }}
        >
          <p>{moves(draining.length, others)}</p>
          <p>{say('node.drainHint')}</p>
        </Change>
      )}
    </>
  );
}

/** What a drain does, as far as it can be known beforehand. */
function moves(n: number, others: number): string {
  if (n === 0) return say('node.nothing');
  if (others === 0) return say('node.noPlace', { n });
  return say('node.moves', { n, others: say('count.otherNodes', { n: others }) });
}

function Facts({ node }: { node: NodeSummary }) {
  const kinds = [
    { hue: 'cpu', label: say('list.cpu'), key: 'cpus', print: cpus },
    { hue: 'memory', label: say('list.memory'), key: 'mem_mb', print: mebibytes },
    { hue: 'disk', label: say('list.disk'), key: 'disk_mb', print: mebibytes },
    { hue: 'gpu', label: say('list.gpu'), key: 'gpus', print: cpus },
  ] as const;
  const attributes = Object.entries(node.attributes);
  return (
    <dl className={css.facts}>
      {kinds
        .filter(({ key }) => node.total[key] > 0)
        .map(({ hue, label, key, print }) => {
          const part = say('load.of', { part: print(node.allocated[key]), all: print(node.total[key]) });
          const text = node.used
            ? say('load.both', { text: part, used: print(node.used[key]) })
            : say('load.reserved', { text: part });
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
        <dt>{say('node.zone')}</dt>
        <dd>{[node.region, node.zone].filter(Boolean).join(', ') || '–'}</dd>
      </div>
      <div>
        <dt>{say('node.attributes')}</dt>
        <dd>{attributes.map(([key, value]) => `${key}=${value}`).join(', ') || '–'}</dd>
      </div>
      <div>
        <dt>{say('node.ports')}</dt>
        <dd className="nums">{node.ports ?? '–'}</dd>
      </div>
      <div>
        <dt>{say('node.id')}</dt>
        <dd>
          <code>{node.id}</code>
        </dd>
      </div>
    </dl>
  );
}
