// First screen: is anything wrong, how full is it, what is going on.
import { Link } from 'wouter';
import { useRows, useStatus } from '../api/hooks';
import type { AppSummary, NodeSummary, Status } from '../api/types';
import { Mark, StatusLabel } from '../components/status';
import { Age, InstanceBar, Meter, Notice, PageHead, Panel, Skeleton } from '../components/ui';
import { appHref, count, cpus, duration, mebibytes, percent } from '../lib/format';
import { appLook, needsAttention, nodeLook, reason, SEVERITY } from '../lib/status';
import css from './dashboard.module.css';
import { DeploymentRow } from './deployment';
import { NoServices, Title } from './services';

const SHOWN = 6;
/** More nodes than this are drawn as squares without text. */
const TILES_MAX = 36;

export function Dashboard() {
  const status = useStatus((known) => known);
  const apps = useRows('apps');
  const nodes = useRows('nodes');
  const moving = useRows('deployments');
  if (!status) return <Skeleton rows={8} />;
  const troubled = apps
    .filter(needsAttention)
    .sort((a, b) => SEVERITY.indexOf(a.condition) - SEVERITY.indexOf(b.condition));
  return (
    <>
      <Title text={troubled.length > 0 ? `(${troubled.length}) Dashboard` : 'Dashboard'} />
      <PageHead title={<Sentence apps={apps} troubled={troubled.length} nodes={nodes} />} sub={<Facts status={status} />} />
      {status.warnings.map((warning) => (
        <Notice key={warning.code} tone="attention">
          <div>
            <strong>{warning.message}</strong>
            {warning.hint && <div>{warning.hint}</div>}
          </div>
        </Notice>
      ))}
      <Capacity status={status} />
      <div className={css.columns}>
        <div className={css.column}>
          {apps.length === 0 ? (
            <Panel flush>
              <NoServices />
            </Panel>
          ) : (
            <Attention apps={troubled} />
          )}
          {moving.length > 0 && (
            <Panel title={count(moving.length, 'deployment')} aside={<Link href="/deployments">All</Link>} flush>
              <ul>
                {moving.slice(0, SHOWN).map((deployment) => (
                  <DeploymentRow key={deployment.id} deployment={deployment} />
                ))}
              </ul>
            </Panel>
          )}
          {apps.length > 0 && <Recent apps={apps} />}
        </div>
        <div className={css.column}>
          <NodeMap nodes={nodes} />
        </div>
      </div>
    </>
  );
}

function Sentence({ apps, troubled, nodes }: { apps: readonly AppSummary[]; troubled: number; nodes: readonly NodeSummary[] }) {
  const away = nodes.filter((node) => node.condition === 'unreachable').length;
  const dead = nodes.filter((node) => node.condition === 'engine_down').length;
  if (dead > 0) return <>{count(dead, 'node')} cannot run containers.</>;
  if (away > 0) return <>{count(away, 'node does', 'nodes do')} not answer.</>;
  if (troubled > 0) return <>{count(troubled, 'service needs', 'services need')} attention.</>;
  if (apps.length === 0) return <>The cluster is ready.</>;
  return <>Everything runs as wanted.</>;
}

function Facts({ status }: { status: Status }) {
  const { counts } = status;
  return (
    <>
      <span>{status.name}</span>
      <span>{count(counts.apps, 'service')}</span>
      <span>{count(counts.instances_running, 'running instance')}</span>
      <span>{count(counts.nodes, 'node')}</span>
      <span>up {duration(status.uptime_s * 1000)}</span>
      {!status.leader && <strong>no leader</strong>}
    </>
  );
}

function Capacity({ status }: { status: Status }) {
  const { total, allocated, used } = status;
  const kinds = [
    { hue: 'cpu', label: 'CPU', key: 'cpus', print: cpus, unit: ' cores' },
    { hue: 'memory', label: 'Memory', key: 'mem_mb', print: mebibytes, unit: '' },
    { hue: 'disk', label: 'Disk', key: 'disk_mb', print: mebibytes, unit: '' },
    { hue: 'gpu', label: 'GPU', key: 'gpus', print: cpus, unit: '' },
  ] as const;
  return (
    <section aria-label="Capacity" className={css.capacity}>
      {kinds
        .filter(({ key }) => total[key] > 0)
        .map(({ hue, label, key, print, unit }) => {
          const text = `${print(allocated[key])} of ${print(total[key])}${unit}`;
          return (
            <div key={key} className={css.gauge}>
              <div className={css.gaugeHead}>
                <h2>{label}</h2>
                <span>
                  <span className={css.big}>{percent(allocated[key], total[key])}</span>{' '}
                  <span className={css.small}>reserved</span>
                </span>
              </div>
              <Meter
                label={label}
                hue={hue}
                total={total[key]}
                allocated={allocated[key]}
                used={used?.[key]}
                text={`${text} reserved${used ? `, ${print(used[key])} used` : ''}`}
              />
              <p className={css.gaugeText}>
                <span className={`${css.key} ${css[`key-${hue}`]}`}>{text} reserved</span>
                {used && (
                  <span className={`${css.key} ${css.keyUsed}`}>
                    {print(used[key])} used ({percent(used[key], total[key])})
                  </span>
                )}
              </p>
            </div>
          );
        })}
    </section>
  );
}

function Attention({ apps }: { apps: AppSummary[] }) {
  if (apps.length === 0) return null;
  return (
    <Panel
      title="Needs attention"
      flush
      aside={apps.length > SHOWN && <Link href="/services?q=is:attention">All {apps.length}</Link>}
    >
      <ul className={css.list}>
        {apps.slice(0, SHOWN).map((app) => (
          <li key={app.id}>
            <Link href={appHref(app.id, app.waiting ? 'why' : undefined)} className={css.trouble}>
              <Mark look={appLook(app.condition)} size={16} />
              <span className={css.troubleText}>
                <span className={css.troubleName}>
                  <strong>{app.id}</strong> <span className="muted">{appLook(app.condition).word.toLowerCase()}</span>
                </span>
                <span>{reason(app)}</span>
              </span>
              {app.waiting && (
                <span className="muted">
                  <Age at={app.waiting.since} />
                </span>
              )}
            </Link>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Recent({ apps }: { apps: readonly AppSummary[] }) {
  const recent = [...apps].sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1)).slice(0, SHOWN);
  return (
    <Panel title="Changed last" aside={<Link href="/services">All services</Link>} flush>
      <ul className={css.list}>
        {recent.map((app) => (
          <li key={app.id}>
            <Link href={appHref(app.id)} className={css.recent}>
              <span className="truncate">{app.id}</span>
              <StatusLabel look={appLook(app.condition)} />
              <InstanceBar {...app.instances} waiting={!!app.waiting} checked={!!app.has_health_checks} />
              <span className="muted">
                <Age at={app.updated_at} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** Nodes as tiles, grouped by zone; many nodes become small squares filled by what is reserved. */
function NodeMap({ nodes }: { nodes: readonly NodeSummary[] }) {
  const zones = new Map<string, NodeSummary[]>();
  for (const node of nodes) {
    const zone = node.zone ?? '';
    zones.set(zone, [...(zones.get(zone) ?? []), node]);
  }
  const small = nodes.length > TILES_MAX;
  return (
    <Panel title={count(nodes.length, 'node')} aside={<Link href="/nodes">All nodes</Link>}>
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
      {small && <p className={css.legend}>Height: the larger of reserved CPU and memory.</p>}
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
  const look = nodeLook(node.condition);
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
        <span>CPU</span>
        <Meter label="CPU" hue="cpu" total={total.cpus} allocated={allocated.cpus} used={used?.cpus} text={`${percent(share.cpu, 1)} reserved`} />
        <span>{percent(share.cpu, 1)}</span>
      </span>
      <span className={css.tileLoad}>
        <span>Mem</span>
        <Meter label="Memory" hue="memory" total={total.mem_mb} allocated={allocated.mem_mb} used={used?.mem_mb} text={`${percent(share.memory, 1)} reserved`} />
        <span>{percent(share.memory, 1)}</span>
      </span>
    </Link>
  );
}

function Square({ node }: { node: NodeSummary }) {
  const { cpu, memory } = shares(node);
  const full = Math.max(cpu, memory);
  const look = nodeLook(node.condition);
  const text = `${node.host}: ${look.word.toLowerCase()}, ${percent(full, 1)} reserved, ${count(node.instances, 'instance')}`;
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
