// All nodes: condition, what is reserved and used, what runs there.
import { Plus } from 'lucide-react';
import { lazy, Suspense, useDeferredValue, useMemo } from 'react';
import { Link, useSearchParams } from 'wouter';
import { useLoaded, useRows } from '../api/hooks';
import type { NodeSummary } from '../api/types';
import { FilterBox, useFilter } from '../components/filterbox';
import { Marked } from '../components/marked';
import { StatusLabel } from '../components/status';
import { type Column, rowLink, type Sort, sorted, Table } from '../components/table';
import { Age, Button, Empty, Meter, PageHead, Panel, Skeleton } from '../components/ui';
import { useDock } from '../dock/dock';
import { NODES } from '../lib/filter';
import { byName, cpus, mebibytes } from '../lib/format';
import { useKeys } from '../lib/keys';
import { parse } from '../lib/query';
import { lookOf } from '../lib/status';
import { Choice, useChoice } from '../map/choices';
import Invite, { invite, useInviting } from '../map/invite';
import mapCss from '../map/map.module.css';
import { PLACES } from '../map/places';
import { say } from '../words';
import css from './nodes.module.css';
import { Title } from './services';
import filter from './services.module.css';

const MapView = lazy(() => import('../map/mapview'));

export function roles(node: NodeSummary): string {
  return node.roles.map((role) => role.replace('_', ' ')).join(', ');
}

function share(node: NodeSummary, key: 'cpus' | 'mem_mb'): number {
  return node.total[key] > 0 ? node.allocated[key] / node.total[key] : 0;
}

const columns = (words: readonly string[]): Column<NodeSummary>[] => [
  {
    id: 'host',
    head: say('list.node'),
    width: 'minmax(150px, 1.4fr)',
    phone: 'top',
    compare: (a, b) => byName(a.host, b.host),
    cell: (node) => (
      <div className={css.host}>
        <Link href={`/nodes/${node.id}`} className={rowLink}>
          <strong>
            <Marked text={node.host} words={words} />
          </strong>
        </Link>
        <span className={css.roles}>{roles(node)}</span>
      </div>
    ),
  },
  {
    id: 'status',
    head: say('list.status'),
    width: 'minmax(110px, 1fr)',
    phone: 'end',
    compare: (a, b) => a.condition.localeCompare(b.condition),
    cell: (node) => <StatusLabel look={lookOf(node.verdict.state)} />,
  },
  {
    id: 'zone',
    head: say('list.zone'),
    width: 'minmax(80px, 1fr)',
    phone: 'none',
    from: 900,
    compare: (a, b) => (a.zone ?? '').localeCompare(b.zone ?? ''),
    cell: (node) => node.zone ?? <span className="muted">–</span>,
  },
  {
    id: 'cpu',
    head: say('list.cpu'),
    width: 'minmax(130px, 1.4fr)',
    compare: (a, b) => share(a, 'cpus') - share(b, 'cpus'),
    cell: (node) => (
      <Load
        label={say('list.cpu')}
        hue="cpu"
        total={node.total.cpus}
        allocated={node.allocated.cpus}
        used={node.used?.cpus}
        text={say('load.of', { part: cpus(node.allocated.cpus), all: cpus(node.total.cpus) })}
      />
    ),
  },
  {
    id: 'mem',
    head: say('list.memory'),
    width: 'minmax(150px, 1.4fr)',
    compare: (a, b) => share(a, 'mem_mb') - share(b, 'mem_mb'),
    cell: (node) => (
      <Load
        label={say('list.memory')}
        hue="memory"
        total={node.total.mem_mb}
        allocated={node.allocated.mem_mb}
        used={node.used?.mem_mb}
        text={say('load.of', { part: mebibytes(node.allocated.mem_mb), all: mebibytes(node.total.mem_mb) })}
      />
    ),
  },
  {
    id: 'instances',
    head: say('list.instances'),
    width: '76px',
    align: 'end',
    phone: 'none',
    compare: (a, b) => a.instances - b.instances,
    cell: (node) => node.instances,
  },
  {
    id: 'runtime',
    head: say('nodes.runtime'),
    width: 'minmax(120px, 1fr)',
    phone: 'none',
    from: 1000,
    compare: (a, b) => runtime(a).localeCompare(runtime(b)) || byName(a.version, b.version),
    cell: (node) => (
      <div className={css.host}>
        <span>{runtime(node)}</span>
        <span className={css.roles}>{say('nodes.release', { version: node.version })}</span>
      </div>
    ),
  },
  {
    id: 'seen',
    head: say('nodes.seen'),
    width: '84px',
    align: 'end',
    phone: 'none',
    from: 1080,
    compare: (a, b) => (seenAt(b) ?? '~').localeCompare(seenAt(a) ?? '~'),
    cell: (node) => {
      const at = seenAt(node);
      return at ? <Age at={at} /> : say('nodes.now');
    },
  },
];

/** How its container engine is, as far as anybody hears from the node. */
function runtime(node: NodeSummary): string {
  if (node.condition === 'unreachable') return say('nodes.runtime.unknown');
  return node.engine_away ? say('nodes.runtime.down') : say('nodes.runtime.up');
}

/** Since when nobody hears from it; nothing while somebody does. */
function seenAt(node: NodeSummary): string | undefined {
  return node.condition === 'unreachable' ? node.verdict.since : undefined;
}

function Load(props: {
  label: string;
  hue: 'cpu' | 'memory';
  total: number;
  allocated: number;
  used: number | undefined;
  text: string;
}) {
  return (
    <div className={css.load}>
      <span className={css.loadText}>
        <span className={css.loadName}>{props.label} </span>
        {props.text}
      </span>
      <Meter {...props} text={say('load.reserved', { text: props.text })} />
    </div>
  );
}

export default function Nodes() {
  const loaded = useLoaded();
  const nodes = useRows('nodes');
  const [search, setSearch] = useSearchParams();
  const set = (key: string, value: string) =>
    setSearch(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(key, value);
        else next.delete(key);
        return next;
      },
      { replace: true },
    );
  const [typed, setTyped] = useFilter(search.get('q') ?? '', (q) => set('q', q));
  const line = useDeferredValue(typed);
  const [view] = useChoice('view');
  const language = view === 'map' ? PLACES : NODES;
  const query = useMemo(() => parse(line, language), [line, language]);
  const by = search.get('sort') ?? '';
  const sort: Sort = { by: by.replace(/^-/, ''), down: by.startsWith('-') };
  const mayInvite = useDock().mayWrite;
  const inviting = useInviting();
  const table = useMemo(() => columns(query.words), [query]);
  const rows = useMemo(() => sorted(nodes.filter(query.test), table, sort), [nodes, query, by, table]);
  const active = nodes.filter((node) => node.condition === 'active').length;
  const toFirst = () => document.querySelector<HTMLElement>('main :is([data-row], [data-node])[tabindex="0"]')?.focus();
  useKeys({ j: toFirst, k: toFirst, ArrowDown: toFirst });
  return (
    <>
      <Title text={say('nav.nodes')} />
      <PageHead
        title={say('nav.nodes')}
        sub={loaded && say('nodes.summary', { nodes: say('count.nodes', { n: nodes.length }), n: active })}
        actions={
          <>
            <Choice name="view" label={say('map.view')} text={(one) => say(`map.view.${one}`)} />
            {mayInvite && (
              <Button kind="primary" onClick={() => void invite(nodes)}>
                <Plus size={16} aria-hidden />
                {say('invite.button')}
              </Button>
            )}
          </>
        }
      />
      {inviting && <Invite nodes={nodes} />}
      {nodes.length > 1 && (
        <div className={filter.filter}>
          <FilterBox
            label={say('nodes.filter')}
            placeholder={view === 'map' ? say('map.filterHint') : say('nodes.filterHint')}
            query={typed}
            onQuery={setTyped}
            language={language}
            rows={nodes}
            fault={query.fault}
            name="nodes"
            count={(saved) => nodes.filter(parse(saved, language).test).length}
          />
        </div>
      )}
      <Panel flush>
        {!loaded ? (
          <Skeleton rows={6} />
        ) : nodes.length === 0 ? (
          <Empty title={say('nodes.none')} />
        ) : rows.length === 0 && view === 'list' ? (
          <Empty title={say('nodes.noMatch')} action={<Button onClick={() => setTyped('')}>{say('filter.clear')}</Button>} />
        ) : view === 'map' ? (
          <>
            <div className={mapCss.tools}>
              <span className={mapCss.tool}>
                {say('map.area')} <Choice name="area" label={say('map.area')} text={(one) => say(`map.area.${one}`)} />
              </span>
              <span className={mapCss.tool}>
                {say('map.show')} <Choice name="show" label={say('map.show')} text={(one) => say(`map.show.${one}`)} />
              </span>
              <span className={mapCss.tool}>
                {say('map.by')} <Choice name="by" label={say('map.by')} text={(one) => say(`map.by.${one}`)} />
              </span>
            </div>
            <Suspense fallback={<Skeleton rows={8} />}>
              <MapView nodes={nodes} query={query} line={line} />
            </Suspense>
          </>
        ) : (
          <Table
            label={say('nav.nodes')}
            columns={table}
            rows={rows}
            rowKey={(node) => node.id}
            sort={sort}
            onSort={(next) => set('sort', `${next.down ? '-' : ''}${next.by}`)}
          />
        )}
      </Panel>
    </>
  );
}
