// What is under the pointer or has the focus, in words, at the foot of the map.
import { Link } from 'wouter';
import type { NodeSummary, PlacedInstance } from '../api/types';
import { StatusLabel } from '../components/status';
import { Close } from '../components/ui';
import { appHref, cpus, mebibytes, shortTask } from '../lib/format';
import { lookOf } from '../lib/status';
import { say } from '../words';
import type { Measure } from './layout';
import { Swatch } from './legend';
import css from './map.module.css';
import type { Placed } from './placed';

/** What is under the pointer or has the focus. */
export interface Chosen {
  node: string;
  instance?: PlacedInstance | undefined;
  /** It was clicked, and stays until something else is. */
  pinned?: boolean;
}

const SERVICES_MAX = 6;

export function About({ chosen, nodes, placed, measure, onClose }: {
  chosen: Chosen | undefined;
  nodes: readonly NodeSummary[];
  placed: Placed;
  measure: Measure;
  onClose: () => void;
}) {
  const node = chosen && nodes.find(({ id }) => id === chosen.node);
  const here = placed.byNode.get(chosen?.node ?? '') ?? [];
  const instance = chosen?.instance && here.find(({ id }) => id === chosen.instance?.id);
  return (
    <div className={css.about} aria-live="polite" data-pinned={chosen?.pinned || undefined}>
      {!node ? (
        <span className="muted">{say('map.hint')}</span>
      ) : instance ? (
        <OfInstance instance={instance} node={node} />
      ) : (
        <OfNode node={node} here={here} measure={measure} />
      )}
      {chosen?.pinned && (
        <Close className={css.close} label={say('map.unpin')} onClick={onClose} />
      )}
    </div>
  );
}

function OfInstance({ instance, node }: { instance: PlacedInstance; node: NodeSummary }) {
  const { app_id, cpus: cores, mem_mb, used } = instance;
  return (
    <>
      <span className={css.part}>
        <Swatch id={app_id} />
        {app_id ? (
          <Link href={appHref(app_id, 'instances')}>
            <strong>{app_id}</strong>
          </Link>
        ) : (
          <strong>{say('node.otherTasks')}</strong>
        )}
        <code>{shortTask(instance as never)}</code>
      </span>
      <StatusLabel look={lookOf(instance.state)} />
      <span>
        {say('map.on')} <Link href={`/nodes/${node.id}`}>{node.host}</Link>
      </span>
      <span className="nums">
        {say('list.cpu')} {used ? say('map.usedOf', { used: cpus(used.cpus), all: cpus(cores) }) : cpus(cores)}
      </span>
      <span className="nums">
        {say('list.memory')} {used ? say('map.usedOf', { used: mebibytes(used.mem_mb), all: mebibytes(mem_mb) }) : mebibytes(mem_mb)}
      </span>
    </>
  );
}

function OfNode({ node, here, measure }: { node: NodeSummary; here: readonly PlacedInstance[]; measure: Measure }) {
  const print = measure === 'cpus' ? cpus : mebibytes;
  const counts = new Map<string, number>();
  for (const { app_id } of here) counts.set(app_id, (counts.get(app_id) ?? 0) + 1);
  const services = [...counts].sort((a, b) => b[1] - a[1]);
  const text = say('load.of', { part: print(node.allocated[measure]), all: print(node.total[measure]) });
  return (
    <>
      <Link href={`/nodes/${node.id}`}>
        <strong>{node.host}</strong>
      </Link>
      <StatusLabel look={lookOf(node.verdict.state)} />
      <span className="nums">{node.used ? say('load.both', { text, used: print(node.used[measure]) }) : say('load.reserved', { text })}</span>
      <span>
        {services.length === 0
          ? say('node.empty')
          : services.slice(0, SERVICES_MAX).map(([id, n]) => `${id || say('node.otherTasks')} ${n}`).join(', ')}
        {services.length > SERVICES_MAX && ` ${say('map.more', { n: services.length - SERVICES_MAX })}`}
      </span>
    </>
  );
}
