// One node: what it has, what runs on it, and taking it out of service.
import { useMemo, useState } from 'react';
import { Link } from 'wouter';
import { api } from '../api/client';
import { useRow } from '../api/hooks';
import { useNode } from '../api/node';
import type { DrainPreview, NodeSummary } from '../api/types';
import { StatusLabel } from '../components/status';
import { toast } from '../components/toast';
import { Age, Button, Empty, Failure, Meter, Notice, PageHead, Panel, Skeleton } from '../components/ui';
import { appHref, cpus, humanise, mebibytes } from '../lib/format';
import { ports, type Ports } from '../lib/ports';
import { capital, ended, lookOf, needsAttention } from '../lib/status';
import { targetsOf } from '../map/drain';
import { began, Draining, Plan } from '../map/drainview';
import { Change } from './actions';
import { roles } from './nodes';
import { NodeTable } from './nodetable';
import { number, say } from '../words';
import css from './nodes.module.css';
import { Title } from './services';

export default function NodePage({ id }: { id: string }) {
  const [round, setRound] = useState(0);
  const { node: known, error } = useNode(id, round);
  // The address may name the node by its host.
  const row = useRow('nodes', known?.id ?? id);
  const [draining, setDraining] = useState<DrainPreview>();
  const all = known?.tasks;
  const tasks = useMemo(() => (all ?? []).filter((task) => !ended(task)), [all]);
  if (!known && !error) return <Skeleton />;
  if (!known) {
    const gone = error?.status === 404;
    return (
      <>
        <Title text={gone ? say('missing.title') : id} />
        <PageHead crumbs={[{ href: '/nodes', text: say('nav.nodes') }]} title={gone ? say('missing.title') : id} />
        <Panel>
          {gone ? (
            <Empty title={say('node.gone', { id })} action={<Link href="/nodes">{say('dash.allNodes')}</Link>} />
          ) : (
            <Failure error={error} retry={() => setRound(round + 1)} />
          )}
        </Panel>
      </>
    );
  }
  // The row is told as it changes, when it was heard of last is told here.
  const node = { ...known, ...row, last_seen_at: known.last_seen_at };
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
            {known.drain?.waits.map((wait) => (
              <div key={wait.app}>
                <Link href={appHref(wait.app)}>{wait.app}</Link>: {say('count.instances', { n: wait.instances })},{' '}
                <span lang="en">{wait.reason}</span>
              </div>
            ))}
          </div>
        </Notice>
      )}
      {(node.condition === 'draining' || node.condition === 'drained') && <Draining node={known} />}
      <Panel>
        <Facts node={node} />
      </Panel>
      <Panel title={say('count.instances', { n: tasks.length })} flush>
        {tasks.length === 0 ? (
          <Empty title={say('node.empty')} />
        ) : (
          <NodeTable tasks={tasks} label={say('node.instances', { host: node.host })} />
        )}
      </Panel>
      {draining && (
        <Change
          title={say('node.drainTitle', { host: node.host })}
          verb={say('node.drain')}
          danger
          command={`tepui node drain ${node.host}`}
          done={say('node.draining', { host: node.host })}
          change={async () => {
            await api.drain(node.id, {});
            began(draining);
          }}
          onClose={() => setDraining(undefined)}
        >
          <p lang="en">{capital(draining.sentence)}.</p>
          <div className={css.plan}>
            <Plan targets={targetsOf(draining)} from={node.host} />
          </div>
          <p>{say('node.drainHint')}</p>
        </Change>
      )}
    </>
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
        <dd className="nums">
          <HostPorts ports={ports(node.ports ?? '')} />
        </dd>
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

/** How many there are, and which; long lists fold. */
function HostPorts({ ports: { n, ranges } }: { ports: Ports }) {
  if (n === 0) return <>–</>;
  const text = ranges.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(', ');
  if (ranges.length === 1) return <>{say('node.portsOf', { n: number(n), ranges: text })}</>;
  return (
    <details className={css.ports}>
      <summary>{say('node.portsIn', { n: number(n), ranges: number(ranges.length) })}</summary>
      {text}
    </details>
  );
}
