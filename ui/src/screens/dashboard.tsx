// First screen: is anything wrong, how full is it, what is going on.
import { lazy, Suspense } from 'react';
import { Link } from 'wouter';
import { useRows, useStatus } from '../api/hooks';
import type { AppSummary, NodeSummary, Status, Verdict } from '../api/types';
import { Mark } from '../components/status';
import { Age, Meter, Notice, PageHead, Panel, Skeleton } from '../components/ui';
import { appHref, cpus, duration, humanise, mebibytes, percent } from '../lib/format';
import { bySeverity, capital, lookOf, needsAttention, uncapital } from '../lib/status';
import { say } from '../words';
import css from './dashboard.module.css';
import { DeploymentRow } from './deployment';
import { NoServices, Title } from './services';

const Traffic = lazy(() => import('../map/trafficview'));
const ClusterLoad = lazy(() => import('./clusterload'));
const Latest = lazy(() => import('./latest'));

const SHOWN = 6;
/** More nodes than this are drawn as squares without text. */
const TILES_MAX = 36;

export function Dashboard() {
  const status = useStatus((known) => known);
  const apps = useRows('apps');
  const nodes = useRows('nodes');
  const moving = useRows('deployments');
  if (!status) return <Skeleton rows={8} />;
  const troubles = troublesOf(apps, nodes);
  const told = new Set(troubles.flatMap(({ id, held }) => [id, ...held]));
  // A warning about a node says no more than the node does.
  const warnings = status.warnings.filter((warning) => !warning.node_id || !told.has(warning.node_id));
  return (
    <>
      <Title text={say('nav.dashboard')} />
      <PageHead
        title={<span lang="en">{`${capital(humanise(status.verdict.sentence))}.`}</span>}
        sub={<Facts status={status} />}
      />
      {warnings.map((warning) => (
        <Notice key={warning.code} tone="attention">
          <div lang="en">
            <strong>{capital(warning.message)}.</strong>
            {warning.hint && <div>{capital(warning.hint)}</div>}
          </div>
        </Notice>
      ))}
      <Capacity status={status} />
      <div className={css.columns}>
        <div className={css.column}>
          {troubles.length > 0 && <Attention troubles={troubles} />}
          {apps.length === 0 && (
            <Panel flush>
              <NoServices />
            </Panel>
          )}
          {moving.length > 0 && (
            <Panel title={say('count.deployments', { n: moving.length })} aside={<Link href="/deployments">{say('dash.all')}</Link>} flush>
              <ul>
                {moving.slice(0, SHOWN).map((deployment) => (
                  <DeploymentRow key={deployment.id} deployment={deployment} told={told} />
                ))}
              </ul>
            </Panel>
          )}
          <Suspense fallback={<Panel title={say('dash.load')}><Skeleton rows={4} /></Panel>}>
            <ClusterLoad />
          </Suspense>
          {apps.some((app) => app.service_url) && (
            <Suspense>
              <Traffic />
            </Suspense>
          )}
        </div>
        <div className={css.column}>
          <NodeMap nodes={nodes} />
          <Suspense>
            <Latest />
          </Suspense>
        </div>
      </div>
    </>
  );
}

interface Trouble {
  id: string;
  name: string;
  href: string;
  verdict: Verdict;
  /** Services that cannot go on for the same cause. */
  held: string[];
}

/** What needs attention, worst first. Services that lack a container engine are told with its node. */
function troublesOf(apps: readonly AppSummary[], nodes: readonly NodeSummary[]): Trouble[] {
  const all: Trouble[] = nodes
    .filter(needsAttention)
    .map(({ id, host, verdict }) => ({ id, name: host, href: `/nodes/${id}`, verdict, held: [] }));
  for (const { id, verdict } of apps.filter(needsAttention)) {
    const node = all.find((known) => known.verdict.state === 'engine_down' && verdict.state === 'engine_down' && known.verdict.cause === verdict.cause);
    if (node) node.held.push(id);
    else all.push({ id, name: id, href: appHref(id, viewOf(verdict)), verdict, held: [] });
  }
  return all.sort(bySeverity);
}

/** The view of a service where its trouble is looked into. */
function viewOf({ state }: Verdict): string | undefined {
  if (['waiting', 'delayed', 'stuck', 'cannot_start'].includes(state)) return 'why';
  return state === 'unhealthy' || state === 'crash_looping' ? 'logs' : undefined;
}

function Facts({ status }: { status: Status }) {
  const { counts } = status;
  return (
    <>
      <span>{status.name}</span>
      <span>{say('count.services', { n: counts.apps })}</span>
      <span>
        {say('count.running', { n: counts.instances_running })}
        {counts.instances_stopping > 0 && `, ${say('count.stopping', { n: counts.instances_stopping })}`}
      </span>
      <span>{say('count.nodes', { n: counts.nodes })}</span>
      <span>{say('dash.up', { age: duration(status.uptime_s * 1000) })}</span>
      {!status.leader && <strong>{say('dash.noLeader')}</strong>}
    </>
  );
}

function Capacity({ status }: { status: Status }) {
  const { total, allocated, used } = status;
  const kinds = [
    { hue: 'cpu', label: say('list.cpu'), key: 'cpus', print: cpus, unit: ` ${say('dash.cores')}` },
    { hue: 'memory', label: say('list.memory'), key: 'mem_mb', print: mebibytes, unit: '' },
    { hue: 'disk', label: say('list.disk'), key: 'disk_mb', print: mebibytes, unit: '' },
    { hue: 'gpu', label: say('list.gpu'), key: 'gpus', print: cpus, unit: '' },
  ] as const;
  return (
    <section aria-label={say('dash.capacity')} className={css.capacity}>
      {kinds
        .filter(({ key }) => total[key] > 0)
        .map(({ hue, label, key, print, unit }) => {
          const text = say('load.of', { part: print(allocated[key]), all: `${print(total[key])}${unit}` });
          return (
            <div key={key} className={css.gauge}>
              <div className={css.gaugeHead}>
                <h2>{label}</h2>
                <span>
                  <span className={css.big}>{percent(allocated[key], total[key])}</span>{' '}
                  <span className={css.small}>{say('load.word')}</span>
                </span>
              </div>
              <Meter
                label={label}
                hue={hue}
                total={total[key]}
                allocated={allocated[key]}
                used={used?.[key]}
                text={used ? say('load.both', { text, used: print(used[key]) }) : say('load.reserved', { text })}
              />
              <p className={css.gaugeText}>
                <span className={`${css.key} ${css[`key-${hue}`]}`}>{say('load.reserved', { text })}</span>
                {used && (
                  <span className={`${css.key} ${css.keyUsed}`}>
                    {say('load.used', { used: print(used[key]), share: percent(used[key], total[key]) })}
                  </span>
                )}
              </p>
            </div>
          );
        })}
    </section>
  );
}

/** Each trouble as what, since when, because of what, and what to do. */
function Attention({ troubles }: { troubles: Trouble[] }) {
  return (
    <Panel
      title={say('dash.attention')}
      flush
      aside={troubles.length > SHOWN && <Link href="/services?q=is:attention">{say('dash.allN', { n: troubles.length })}</Link>}
    >
      <ul className={css.list}>
        {troubles.slice(0, SHOWN).map(({ id, name, href, verdict, held }) => (
          <li key={id}>
            <Link href={href} className={css.trouble}>
              <Mark look={lookOf(verdict.state)} size={16} />
              <span className={css.troubleText}>
                <span className={css.troubleName}>
                  <strong>{name}</strong>{' '}
                  <span className="muted">{uncapital(lookOf(verdict.state).word)}</span>
                </span>
                <span lang="en">{capital(humanise(verdict.sentence))}</span>
                {verdict.cause && !verdict.sentence.includes(verdict.cause) && (
                  <span lang="en" className={css.troubleCause}>
                    {humanise(verdict.cause)}
                  </span>
                )}
                {held.length > 0 && <span>{say('dash.held', { n: held.length, names: shortened(held) })}</span>}
                {verdict.next && (
                  <span lang="en" className={css.troubleNext}>
                    {capital(humanise(verdict.next))}
                  </span>
                )}
              </span>
              {verdict.since && (
                <span className="muted">
                  <Age at={verdict.since} />
                </span>
              )}
            </Link>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

const shortened = (names: string[]) => `${names.slice(0, SHOWN).join(', ')}${names.length > SHOWN ? ', …' : ''}`;

/** Nodes as tiles, grouped by zone; many nodes become small squares filled by what is reserved. */
function NodeMap({ nodes }: { nodes: readonly NodeSummary[] }) {
  const zones = new Map<string, NodeSummary[]>();
  for (const node of nodes) {
    const zone = node.zone ?? '';
    zones.set(zone, [...(zones.get(zone) ?? []), node]);
  }
  const small = nodes.length > TILES_MAX;
  return (
    <Panel title={say('count.nodes', { n: nodes.length })} aside={<Link href="/nodes">{say('dash.allNodes')}</Link>}>
      <div className={css.zones}>
        {[...zones].sort().map(([zone, members]) => (
          <div key={zone}>
            {zone && <h3 className={css.zone}>{zone}</h3>}
            <ul className={small ? css.squares : css.tiles}>
              {members.map((node) => (
                <li key={node.id}>{small ? <Square node={node} /> : <Tile node={node} />}</li>
              ))}
            </ul>
          </div>
        ))}
      </div>
      {small && <p className={css.legend}>{say('dash.legend')}</p>}
    </Panel>
  );
}

function shares(node: NodeSummary): { cpu: number; memory: number } {
  const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0);
  return {
    cpu: share(node.allocated.cpus, node.total.cpus),
    memory: share(node.allocated.mem_mb, node.total.mem_mb),
  };
}

function Tile({ node }: { node: NodeSummary }) {
  const look = lookOf(node.verdict.state);
  const active = node.condition === 'active';
  const { total, allocated, used } = node;
  const share = shares(node);
  return (
    <Link href={`/nodes/${node.id}`} className={`${css.tile} ${active ? '' : css.away}`}>
      <span className={css.tileHead}>
        <span className="truncate">{node.host}</span>
        <Mark look={look} label={look.word} />
      </span>
      <span className={css.tileLoad}>
        <span>{say('list.cpu')}</span>
        <Meter label={say('list.cpu')} hue="cpu" total={total.cpus} allocated={allocated.cpus} used={used?.cpus} text={say('load.reserved', { text: percent(share.cpu, 1) })} />
        <span>{percent(share.cpu, 1)}</span>
      </span>
      <span className={css.tileLoad}>
        <span>{say('dash.mem')}</span>
        <Meter label={say('list.memory')} hue="memory" total={total.mem_mb} allocated={allocated.mem_mb} used={used?.mem_mb} text={say('load.reserved', { text: percent(share.memory, 1) })} />
        <span>{percent(share.memory, 1)}</span>
      </span>
    </Link>
  );
}

function Square({ node }: { node: NodeSummary }) {
  const { cpu, memory } = shares(node);
  const full = Math.max(cpu, memory);
  const look = lookOf(node.verdict.state);
  const text = `${node.host}: ${look.word}, ${say('load.reserved', { text: percent(full, 1) })}, ${say('count.instances', { n: node.instances })}`;
  return (
    <Link
      href={`/nodes/${node.id}`}
      className={`${css.square} ${node.condition === 'active' ? '' : css.away}`}
      aria-label={text}
      title={text}
    >
      <span className={css.level} style={{ height: `${Math.min(100, full * 100)}%` }} />
    </Link>
  );
}
