// All nodes: condition, what is reserved and used, what runs there.
import { useDeferredValue, useMemo } from 'react';
import { Link, useSearchParams } from 'wouter';
import { useLoaded, useRows } from '../api/hooks';
import type { NodeSummary } from '../api/types';
import { FilterBox, useFilter } from '../components/filterbox';
import { Marked } from '../components/marked';
import { StatusLabel } from '../components/status';
import { type Column, rowLink, type Sort, sorted, Table } from '../components/table';
import { Button, Command, Empty, Meter, PageHead, Panel, Skeleton } from '../components/ui';
import { NODES } from '../lib/filter';
import { byName, cpus, mebibytes } from '../lib/format';
import { useKeys } from '../lib/keys';
import { parse } from '../lib/query';
import { lookOf } from '../lib/status';
import { say } from '../words';
import css from './nodes.module.css';
import { Title } from './services';
import filter from './services.module.css';

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
];

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
  const query = useMemo(() => parse(line, NODES), [line]);
  const by = search.get('sort') ?? '';
  const sort: Sort = { by: by.replace(/^-/, ''), down: by.startsWith('-') };
  const table = columns(query.words);
  const rows = useMemo(() => sorted(nodes.filter(query.test), table, sort), [nodes, query, by]);
  const active = nodes.filter((node) => node.condition === 'active').length;
  const toFirst = () => document.querySelector<HTMLElement>('main [data-row][tabindex="0"]')?.focus();
  useKeys({ j: toFirst, k: toFirst, ArrowDown: toFirst });
  return (
    <>
      <Title text={say('nav.nodes')} />
      <PageHead title={say('nav.nodes')} sub={loaded && say('nodes.summary', { nodes: say('count.nodes', { n: nodes.length }), n: active })} />
      {nodes.length > 1 && (
        <div className={filter.filter}>
          <FilterBox
            label={say('nodes.filter')}
            placeholder={say('nodes.filterHint')}
            query={typed}
            onQuery={setTyped}
            language={NODES}
            rows={nodes}
            fault={query.fault}
            name="nodes"
            count={(saved) => nodes.filter(parse(saved, NODES).test).length}
          />
        </div>
      )}
      <Panel flush>
        {!loaded ? (
          <Skeleton rows={6} />
        ) : nodes.length === 0 ? (
          <Empty title={say('nodes.none')}>
            <p>{say('nodes.start')}</p>
            <Command text="tepui node --role agent --config /etc/tepui/tepui.yaml" />
          </Empty>
        ) : rows.length === 0 ? (
          <Empty title={say('nodes.noMatch')} action={<Button onClick={() => setTyped('')}>{say('filter.clear')}</Button>} />
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
