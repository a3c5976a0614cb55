// All nodes: condition, what is reserved and used, what runs there.
import { useMemo, useState } from 'react';
import { Link } from 'wouter';
import { useLoaded, useRows } from '../api/hooks';
import type { NodeSummary } from '../api/types';
import { StatusLabel } from '../components/status';
import { type Column, rowLink, type Sort, sorted, Table } from '../components/table';
import { Command, Empty, Meter, PageHead, Panel, Skeleton } from '../components/ui';
import { count, cpus, mebibytes } from '../lib/format';
import { nodeLook } from '../lib/status';
import css from './nodes.module.css';
import { Title } from './services';

export function roles(node: NodeSummary): string {
  return node.roles.map((role) => role.replace('_', ' ')).join(', ');
}

function share(node: NodeSummary, key: 'cpus' | 'mem_mb'): number {
  return node.total[key] > 0 ? node.allocated[key] / node.total[key] : 0;
}

const COLUMNS: Column<NodeSummary>[] = [
  {
    id: 'host',
    head: 'Node',
    width: 'minmax(150px, 1.4fr)',
    phone: 'top',
    compare: (a, b) => a.host.localeCompare(b.host, 'en', { numeric: true }),
    cell: (node) => (
      <div className={css.host}>
        <Link href={`/nodes/${node.id}`} className={rowLink}>
          <strong>{node.host}</strong>
        </Link>
        <span className={css.roles}>{roles(node)}</span>
      </div>
    ),
  },
  {
    id: 'status',
    head: 'Status',
    width: 'minmax(110px, 1fr)',
    phone: 'end',
    compare: (a, b) => a.condition.localeCompare(b.condition),
    cell: (node) => <StatusLabel look={nodeLook(node.condition)} />,
  },
  {
    id: 'zone',
    head: 'Zone',
    width: 'minmax(80px, 1fr)',
    phone: 'none',
    from: 900,
    compare: (a, b) => (a.zone ?? '').localeCompare(b.zone ?? ''),
    cell: (node) => node.zone ?? <span className="muted">–</span>,
  },
  {
    id: 'cpu',
    head: 'CPU',
    width: 'minmax(130px, 1.4fr)',
    compare: (a, b) => share(a, 'cpus') - share(b, 'cpus'),
    cell: (node) => (
      <Load
        label="CPU"
        hue="cpu"
        total={node.total.cpus}
        allocated={node.allocated.cpus}
        used={node.used?.cpus}
        text={`${cpus(node.allocated.cpus)} of ${cpus(node.total.cpus)}`}
      />
    ),
  },
  {
    id: 'mem',
    head: 'Memory',
    width: 'minmax(150px, 1.4fr)',
    compare: (a, b) => share(a, 'mem_mb') - share(b, 'mem_mb'),
    cell: (node) => (
      <Load
        label="Memory"
        hue="memory"
        total={node.total.mem_mb}
        allocated={node.allocated.mem_mb}
        used={node.used?.mem_mb}
        text={`${mebibytes(node.allocated.mem_mb)} of ${mebibytes(node.total.mem_mb)}`}
      />
    ),
  },
  {
    id: 'instances',
    head: 'Instances',
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
      <Meter {...props} text={`${props.text} reserved`} />
    </div>
  );
}

export default function Nodes() {
  const loaded = useLoaded();
  const nodes = useRows('nodes');
  const [sort, setSort] = useState<Sort>();
  const rows = useMemo(() => sorted(nodes, COLUMNS, sort), [nodes, sort]);
  const active = nodes.filter((node) => node.condition === 'active').length;
  return (
    <>
      <Title text="Nodes" />
      <PageHead title="Nodes" sub={loaded && `${count(nodes.length, 'node')}, ${active} taking work`} />
      <Panel flush>
        {!loaded ? (
          <Skeleton rows={6} />
        ) : nodes.length === 0 ? (
          <Empty title="No node has joined">
            <p>Start one on a machine:</p>
            <Command text="tepui node --role agent --config /etc/tepui/tepui.yaml" />
          </Empty>
        ) : (
          <Table label="Nodes" columns={COLUMNS} rows={rows} rowKey={(node) => node.id} sort={sort} onSort={setSort} />
        )}
      </Panel>
    </>
  );
}
