// One node: what it has, what runs on it, and taking it out of service.
import { useState } from 'react';
import { Link } from 'wouter';
import { ApiError, api } from '../api/client';
import { queries, useNode, useRow } from '../api/hooks';
import type { DrainPreview, NodeSummary } from '../api/types';
import { StatusLabel } from '../components/status';
import { toast } from '../components/toast';
import { Age, Button, Empty, Failure, Meter, Notice, PageHead, Panel, Skeleton } from '../components/ui';
import { appHref, cpus, humanise, mebibytes } from '../lib/format';
import { capital, ended, lookOf, needsAttention } from '../lib/status';
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
  const [draining, setDraining] = useState<DrainPreview>();
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
      setDraining(await api.drainPreview(node.id));
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
            <StatusLabel look={lookOf(node.verdict.state)} />
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
      {node.verdict.state !== 'active' && (
        <Notice tone={needsAttention(node) ? 'bad' : 'moving'}>
          <div>
            <strong lang="en">{capital(humanise(node.verdict.sentence))}</strong>{' '}
            {node.verdict.since && (
              <span className="muted">
                (<Age at={node.verdict.since} />)
              </span>
            )}
            {node.verdict.cause && <div lang="en">{node.verdict.cause}</div>}
            {node.verdict.next && <div lang="en">{capital(humanise(node.verdict.next))}</div>}
            {detail.data.drain?.waits.map((wait) => (
              <div key={wait.app}>
                <Link href={appHref(wait.app)}>{wait.app}</Link>: {say('count.instances', { n: wait.instances })},{' '}
                <span lang="en">{wait.reason}</span>
              </div>
            ))}
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
          <Preview preview={draining} />
          <p>{say('node.drainHint')}</p>
        </Change>
      )}
    </>
  );
}

/** Where each instance would go: a line per service, the same reason once. */
function Preview({ preview }: { preview: DrainPreview }) {
  const apps = new Map<string, DrainPreview['instances']>();
  for (const row of preview.instances) apps.set(row.app_id, [...(apps.get(row.app_id) ?? []), row]);
  return (
    <>
      <p lang="en">{capital(preview.sentence)}.</p>
      {apps.size > 0 && (
        <ul className={css.fates} aria-label={say('node.fates')}>
          {[...apps].map(([app, rows]) => (
            <li key={app}>
              <strong>{app || say('node.otherTasks')}</strong>
              <span>{fates(rows).join(', ')}</span>
              {[...new Set(rows.map((row) => row.because))].map(
                (because) =>
                  because && (
                    <span key={because} lang="en" className="muted">
                      {capital(because)}
                    </span>
                  ),
              )}
              {rows.some((row) => row.leaves_volumes) && (
                <span className={css.lost}>
                  {say('node.leaves', { volumes: [...new Set(rows.flatMap((row) => row.leaves_volumes ?? []))].join(', ') })}
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** As "2 to n1", "1 to n2", "1 without a place". */
function fates(rows: DrainPreview['instances']): string[] {
  const alike = new Map<string, { fate: (typeof rows)[number]['fate']; host: string; n: number }>();
  for (const { fate, to_host: host = '' } of rows) {
    const key = `${fate} ${host}`;
    alike.set(key, { fate, host, n: (alike.get(key)?.n ?? 0) + 1 });
  }
  return [...alike.values()].map(({ fate, host, n }) =>
    fate === 'moves' ? say('node.goesTo', { n, host }) : say(`node.fate.${fate}`, { n }),
  );
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
